-- description: The surrogate key of dim_student is there and occurs once.
-- severity: error
-- owner: data-engineering
-- returns: rows
-- scope: dim_student_id
select
    dim_student_id,
    count(*) as row_count
from dim_student
group by dim_student_id
having dim_student_id is null or count(*) > 1
