-- What is known of an enrollment: grade, exit, school year; or that it was deleted. Where two
-- entries of a student make one enrollment, the one that changed last counts (ChangeVersion, then
-- the higher StudentUSI). The school year is that of the entry date, from July 1 on, where the ODS
-- gives none.
{% import 'macros/hash.sql.j2' as dv %}
with

code as (

    select
        descriptor_id,
        code_value
    from descriptors
    where descriptor_type in ('GradeLevelDescriptor', 'ExitWithdrawTypeDescriptor')

),

entry as (

    select
        {{ dv.hash_key('student_unique_id') }} as student_hk,
        student_usi
    from students
    where student_usi in (select touched_entry.student_usi from touched_entry)

),

candidate as (

    select
        entry.student_hk,
        enrollments.*,
        row_number() over (
            partition by entry.student_hk, enrollments.school_id, enrollments.entry_date
            order by enrollments.change_version desc nulls last, enrollments.student_usi desc
        ) as position
    from enrollments
    left semi join touched_entry
        on enrollments.student_usi = touched_entry.student_usi
    inner join entry
        on enrollments.student_usi = entry.student_usi
    left semi join schools
        on enrollments.school_id = schools.school_id

),

enrollment as (

    select link_enrollment.*
    from link_enrollment
    left semi join touched
        on link_enrollment.student_hk = touched.student_hk

),

described as (

    select
        enrollment.enrollment_hk,
        grade_level.code_value as grade_level,
        candidate.exit_date,
        exit_type.code_value as exit_type,
        if(
            candidate.position is null,
            null,
            coalesce(candidate.school_year, year(add_months(enrollment.entry_date, 6)))
        ) as school_year,
        candidate.is_primary_school,
        candidate.position is null as is_deleted,
        candidate.change_version,
        coalesce(candidate.last_modified_date, timestamp '{{ run_date }}') as effective_from
    from enrollment
    left join candidate
        on
            enrollment.student_hk = candidate.student_hk
            and enrollment.school_id = candidate.school_id
            and enrollment.entry_date = candidate.entry_date
            and candidate.position = 1
    left join code as grade_level
        on candidate.entry_grade_level_descriptor_id = grade_level.descriptor_id
    left join code as exit_type
        on candidate.exit_withdraw_type_descriptor_id = exit_type.descriptor_id

)

select
    enrollment_hk,
    grade_level,
    exit_date,
    exit_type,
    school_year,
    is_primary_school,
    is_deleted,
    change_version,
    effective_from,
    {{ dv.hashdiff([
        'grade_level', 'exit_date', 'exit_type', 'school_year', 'is_primary_school',
    ]) }} as hashdiff,
    timestamp '{{ run_date }}' as load_date,
    'edfi_ods' as record_source
from described
