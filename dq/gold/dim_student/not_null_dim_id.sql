-- description: Every row of dim_student has its surrogate key.
-- expect: value = 0
-- severity: error
-- owner: data-engineering
-- scope: student_hk
select count(*) as value
from dim_student
where dim_student_id is null
