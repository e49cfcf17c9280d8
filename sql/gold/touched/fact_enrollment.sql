-- Enrollments that a change, or a day that has passed, touches.
select enrollment_hk
from sat_enrollment__changes
union
select enrollment_hk
from link_enrollment__changes
union
select link_enrollment.enrollment_hk
from link_enrollment
left semi join dim_student__changes as student
    on link_enrollment.student_hk = student.student_hk
union
select link_enrollment.enrollment_hk
from link_enrollment
left semi join dim_school__changes as school
    on link_enrollment.school_hk = school.school_hk
union
select link_enrollment.enrollment_hk
from link_enrollment
left semi join dim_date__changes as day
    on link_enrollment.entry_date = day.calendar_date
union
select sat_enrollment.enrollment_hk
from sat_enrollment
left semi join dim_date__changes as day
    on sat_enrollment.exit_date = day.calendar_date
