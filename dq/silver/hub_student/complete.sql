-- description: Every student_unique_id of the load is in the hub.
-- severity: error
-- owner: data-engineering
-- returns: rows
select students.student_unique_id
from students__changes as students
left anti join hub_student
    on upper(trim(students.student_unique_id)) = upper(hub_student.student_unique_id)
where students._change_type <> 'delete' and trim(students.student_unique_id) <> ''
