-- description: StudentUSI is there and occurs once.
-- severity: error
-- owner: data-engineering
-- returns: rows
-- scope: student_usi
select
    student_usi,
    count(*) as row_count
from students
group by student_usi
having student_usi is null or count(*) > 1
