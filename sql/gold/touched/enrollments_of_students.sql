-- The enrollments of the students touched.
select
    link_enrollment.enrollment_hk,
    link_enrollment.student_hk,
    link_enrollment.school_hk,
    link_enrollment.school_id,
    link_enrollment.entry_date
from link_enrollment
left semi join touched
    on link_enrollment.student_hk = touched.student_hk
