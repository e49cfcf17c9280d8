-- description: dim_student has one unknown member, for facts without a student.
-- expect: value = 1
-- severity: error
-- owner: data-engineering
select count(*) as value
from dim_student
where student_hk = '-1'
