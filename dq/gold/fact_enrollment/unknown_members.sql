-- description: Enrollments that refer to an unknown student, school, entry day or exit day.
-- expect: value = 0
-- severity: warn
-- owner: data-engineering
select count(*) as value
from fact_enrollment
where
    dim_student_id = '-1'
    or dim_school_id = '-1'
    or entry_date_id = -1
    or (exit_date is not null and exit_date_id = -1)
