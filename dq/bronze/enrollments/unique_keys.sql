-- description: Student, school and entry date are there and occur once together.
-- severity: error
-- owner: data-engineering
-- returns: rows
-- scope: student_usi, school_id, entry_date
select
    student_usi,
    school_id,
    entry_date,
    count(*) as row_count
from enrollments
group by student_usi, school_id, entry_date
having
    student_usi is null
    or school_id is null
    or entry_date is null
    or count(*) > 1
