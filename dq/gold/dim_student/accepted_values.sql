-- description: Students' sex and race_ethnicity are never null, race_ethnicity is no blank.
-- expect: value = 0
-- severity: error
-- owner: data-engineering
-- scope: student_hk
select count(*) as value
from dim_student
where sex is null or coalesce(trim(race_ethnicity), '') = ''
