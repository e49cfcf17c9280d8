-- description: A student and a StudentUSI are there and occur once together.
-- severity: error
-- owner: data-engineering
-- returns: rows
-- scope: student_hk, student_usi
select
    student_hk,
    student_usi,
    count(*) as row_count
from sal_student
group by student_hk, student_usi
having student_hk is null or student_usi is null or count(*) > 1
