-- Students of whom a change tells something.
with

changed as (

    select student_usi
    from students__changes
    union
    select student_usi
    from demographics__changes
    union
    select student_usi
    from sal_student__changes
    union
    select sal_student.student_usi
    from sal_student
    where
        exists (
            select 1
            from descriptors__changes as descriptor
            where
                descriptor.descriptor_type in (
                    'SexDescriptor', 'LimitedEnglishProficiencyDescriptor',
                    'RaceDescriptor', 'LanguageDescriptor'
                )
        )

)

select distinct sal_student.student_hk
from sal_student
left semi join changed
    on sal_student.student_usi = changed.student_usi
