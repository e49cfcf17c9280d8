-- Students of whom a change, or a day that has passed, tells something.
select student_hk
from sat_student_demographics__changes
union
select link_enrollment.student_hk
from link_enrollment
left semi join sat_enrollment__changes as enrollment
    on link_enrollment.enrollment_hk = enrollment.enrollment_hk
union
select link_enrollment.student_hk
from link_enrollment
left semi join dim_date__changes as day
    on link_enrollment.entry_date = day.calendar_date
