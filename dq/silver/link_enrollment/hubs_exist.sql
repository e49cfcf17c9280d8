-- description: Every enrollment has its student and its school in the hubs.
-- severity: error
-- owner: data-engineering
-- returns: rows
-- scope: enrollment_hk
select
    link_enrollment.enrollment_hk,
    hub_student.student_hk is not null as has_student,
    hub_school.school_hk is not null as has_school
from link_enrollment
left join hub_student
    on link_enrollment.student_hk = hub_student.student_hk
left join hub_school
    on link_enrollment.school_hk = hub_school.school_hk
where hub_student.student_hk is null or hub_school.school_hk is null
