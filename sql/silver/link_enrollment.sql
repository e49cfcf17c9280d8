-- Which student entered which school on which day. Enrollments whose student or school cannot be
-- resolved are in quarantine_enrollment.
{% import 'macros/hash.sql.j2' as dv %}
with

resolved as (

    select
        trim(students.student_unique_id) as student_unique_id,
        enrollments.school_id,
        enrollments.entry_date,
        enrollments.load_date,
        enrollments.record_source
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
        {{ dv.hash_key('student_unique_id') }} as student_hk,
        {{ dv.hash_key('school_id') }} as school_hk,
        *
    from resolved

),

first_seen as (

    select
        *,
        row_number() over (
            partition by enrollment_hk
            order by load_date, record_source, student_unique_id
        ) as position
    from keyed

)

select
    enrollment_hk,
    student_hk,
    school_hk,
    student_unique_id,
    school_id,
    entry_date,
    load_date,
    record_source
from first_seen
where position = 1
