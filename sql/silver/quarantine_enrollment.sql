-- Enrollments that do not reach the fact, with all reasons why and their row in bronze. One that
-- was put right or deleted, or whose student or school has come, leaves.
with

student as (

    select
        students.student_usi,
        students.student_unique_id
    from students
    left semi join touched
        on students.student_usi = touched.student_usi

),

judged as (

    select
        enrollments.student_usi,
        enrollments.school_id,
        enrollments.entry_date,
        enrollments.exit_date,
        concat_ws(
            ', ',
            case when student.student_usi is null then 'student_not_found' end,
            case
                when
                    student.student_usi is not null
                    and coalesce(trim(student.student_unique_id), '') = ''
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
    left join student
        on enrollments.student_usi = student.student_usi
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
