-- Students whose enrollments may be fit for the fact now, or not any more.
select student_usi
from enrollments__changes
union
select student_usi
from students__changes
union
select enrollments.student_usi
from enrollments
left semi join schools__changes as school
    on enrollments.school_id = school.school_id
