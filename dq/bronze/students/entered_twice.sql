-- description: Students entered more than once: one StudentUniqueId but for blanks and case.
-- severity: warn
-- owner: data-engineering
-- returns: rows
select
    upper(trim(student_unique_id)) as student_unique_id,
    count(*) as row_count
from students
where trim(student_unique_id) <> ''
group by upper(trim(student_unique_id))
having count(*) > 1
