-- Enrollments that do not reach the fact, with all reasons why and their row in bronze. One that
-- was put right or deleted, or whose student or school has come, leaves.
with

touched as (

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

),

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
            case
                when enrollments.exit_date < enrollments.entry_date then 'exit_before_entry'
            end
        ) as reason,
        to_json(struct(enrollments.*)) as source_row,
        enrollments.resource_id,
        enrollments.change_version
    from enrollments
    left semi join touched
        on enrollments.student_usi = touched.student_usi
    left join students
        on enrollments.student_usi = students.student_usi
    left join schools
        on enrollments.school_id = schools.school_id

),

gone as (

    select
        student_usi,
        school_id,
        entry_date,
        exit_date,
        '' as reason,
        cast(null as string) as source_row,
        resource_id,
        change_version
    from enrollments__changes
    where _change_type = 'delete'

)

select
    *,
    'edfi_ods' as record_source
from judged
union all
select
    *,
    'edfi_ods' as record_source
from gone
