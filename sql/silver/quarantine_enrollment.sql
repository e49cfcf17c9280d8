-- Enrollments of the last load that do not reach the fact, with all reasons why.
with

judged as (

    select
        enrollments.student_usi,
        enrollments.school_id,
        enrollments.entry_date,
        enrollments.exit_date,
        concat_ws(
            ', ',
            case when students.student_usi is null then 'student_not_found' end,
            case
                when
                    students.student_usi is not null
                    and coalesce(trim(students.student_unique_id), '') = ''
                    then 'student_without_id'
            end,
            case when schools.school_id is null then 'school_not_found' end,
            case when enrollments.entry_date is null then 'entry_date_missing' end,
            case
                when enrollments.exit_date < enrollments.entry_date then 'exit_before_entry'
            end
        ) as reason,
        enrollments.resource_id,
        enrollments.load_date,
        enrollments.record_source
    from enrollments
    left join students
        on enrollments.student_usi = students.student_usi
    left join schools
        on enrollments.school_id = schools.school_id

)

select *
from judged
where reason <> ''
