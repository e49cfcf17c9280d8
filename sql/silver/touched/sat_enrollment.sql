-- Students whose enrollments a change touches.
with

changed as (

    select student_usi
    from enrollments__changes
    union
    select student_usi
    from students__changes
    union
    select enrollments.student_usi
    from enrollments
    left semi join descriptors__changes as descriptor
        on
            enrollments.entry_grade_level_descriptor_id = descriptor.descriptor_id
            or enrollments.exit_withdraw_type_descriptor_id = descriptor.descriptor_id

)

select sal_student.student_hk
from sal_student
left semi join changed
    on sal_student.student_usi = changed.student_usi
union
select student_hk
from link_enrollment__changes
