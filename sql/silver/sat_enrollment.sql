-- What is known of an enrollment: grade, exit, school year. Where two entries of a student make one
-- enrollment, the one that changed last counts (ChangeVersion, then the higher StudentUSI). The
-- school year is that of the entry date, from July 1 on, where the ODS gives none.
{% import 'macros/hash.sql.j2' as dv %}
with

code as (

    select
        descriptor_id,
        code_value
    from descriptors
    where descriptor_type in ('GradeLevelDescriptor', 'ExitWithdrawTypeDescriptor')

),

resolved as (

    select
        trim(students.student_unique_id) as student_unique_id,
        enrollments.*
    from enrollments
    inner join students
        on enrollments.student_usi = students.student_usi
    left semi join schools
        on enrollments.school_id = schools.school_id
    where
        trim(students.student_unique_id) <> ''
        and enrollments.entry_date is not null

),

keyed as (

    select
        {{ dv.hash_keys(['student_unique_id', 'school_id', 'entry_date']) }} as enrollment_hk,
        *
    from resolved

),

candidate as (

    select
        *,
        row_number() over (
            partition by enrollment_hk
            order by change_version desc nulls last, student_usi desc
        ) as position
    from keyed

),

described as (

    select
        candidate.enrollment_hk,
        grade_level.code_value as grade_level,
        candidate.exit_date,
        exit_type.code_value as exit_type,
        coalesce(candidate.school_year, year(add_months(candidate.entry_date, 6))) as school_year,
        candidate.is_primary_school,
        candidate.change_version,
        coalesce(candidate.last_modified_date, candidate.load_date) as effective_from,
        candidate.load_date,
        candidate.record_source
    from candidate
    left join code as grade_level
        on candidate.entry_grade_level_descriptor_id = grade_level.descriptor_id
    left join code as exit_type
        on candidate.exit_withdraw_type_descriptor_id = exit_type.descriptor_id
    where candidate.position = 1

)

select
    enrollment_hk,
    grade_level,
    exit_date,
    exit_type,
    school_year,
    is_primary_school,
    change_version,
    effective_from,
    {{ dv.hashdiff([
        'grade_level', 'exit_date', 'exit_type', 'school_year', 'is_primary_school',
    ]) }} as hashdiff,
    load_date,
    record_source
from described
