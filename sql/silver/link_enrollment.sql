-- Which student entered which school on which day. Enrollments whose student or school cannot be
-- resolved are in quarantine_enrollment, until these are there.
{% import 'macros/hash.sql.j2' as dv %}
with

student as (

    select
        students.student_usi,
        students.student_unique_id
    from students
    left semi join touched
        on students.student_usi = touched.student_usi

),

resolved as (

    select
        trim(student.student_unique_id) as student_unique_id,
        enrollments.school_id,
        enrollments.entry_date
    from enrollments
    left semi join touched
        on enrollments.student_usi = touched.student_usi
    inner join student
        on enrollments.student_usi = student.student_usi
    left semi join schools
        on enrollments.school_id = schools.school_id
    where trim(student.student_unique_id) <> ''

),

keyed as (

    select
        {{ dv.hash_keys(['student_unique_id', 'school_id', 'entry_date']) }} as enrollment_hk,
        {{ dv.hash_key('student_unique_id') }} as student_hk,
        {{ dv.hash_key('school_id') }} as school_hk,
        *
    from resolved

)

select
    enrollment_hk,
    student_hk,
    school_hk,
    min(student_unique_id) as student_unique_id,
    school_id,
    entry_date,
    timestamp '{{ run_date }}' as load_date,
    'edfi_ods' as record_source
from keyed
group by enrollment_hk, student_hk, school_hk, school_id, entry_date
