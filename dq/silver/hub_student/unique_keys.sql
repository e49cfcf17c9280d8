-- description: Hash key and business key of hub_student are there, and the hash key occurs once.
-- severity: error
-- owner: data-engineering
-- returns: rows
-- scope: student_hk
select
    student_hk,
    count(*) as row_count
from hub_student
group by student_hk
having student_hk is null or count(*) > 1 or count(student_unique_id) = 0
