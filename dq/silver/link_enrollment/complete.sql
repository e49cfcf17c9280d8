-- description: Every enrollment of the load with a known student and school is in the link.
-- severity: error
-- owner: data-engineering
-- returns: rows
select
    students.student_usi,
    enrollments.school_id,
    enrollments.entry_date
from enrollments
left semi join touched
    on enrollments.student_usi = touched.student_usi
inner join students
    on enrollments.student_usi = students.student_usi
left semi join schools
    on enrollments.school_id = schools.school_id
left anti join link_enrollment
    on
        upper(trim(students.student_unique_id)) = upper(link_enrollment.student_unique_id)
        and enrollments.school_id = link_enrollment.school_id
        and enrollments.entry_date = link_enrollment.entry_date
where trim(students.student_unique_id) <> ''
