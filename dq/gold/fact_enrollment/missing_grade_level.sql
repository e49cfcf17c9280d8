-- description: Enrollments without a grade: no code, or one that is not in the code list.
-- expect: value = 0
-- severity: warn
-- owner: data-engineering
select count(*) as value
from fact_enrollment
where grade_level is null
