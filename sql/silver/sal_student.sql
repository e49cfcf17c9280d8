-- Which StudentUSI of the ODS has ever stood for which student: a student entered twice has two,
-- and one whose StudentUniqueId was put right leaves the old student's row. What depends on a
-- student finds by it whom a change of the ODS touches.
{% import 'macros/hash.sql.j2' as dv %}
with

keyed as (

    select
        {{ dv.hash_key('student_unique_id') }} as student_hk,
        student_usi
    from students__changes
    where _change_type <> 'delete'

)

select
    student_hk,
    student_usi,
    timestamp '{{ run_date }}' as load_date,
    'edfi_ods' as record_source
from keyed
where student_hk is not null
