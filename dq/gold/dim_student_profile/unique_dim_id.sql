-- description: The key of dim_student_profile is there and occurs once.
-- severity: error
-- owner: data-engineering
-- returns: rows
select
    dim_student_profile_id,
    count(*) as row_count
from dim_student_profile
group by dim_student_profile_id
having dim_student_profile_id is null or count(*) > 1
