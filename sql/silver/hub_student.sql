-- Students by their business key, the trimmed StudentUniqueId. Rows without one are in
-- quarantine_student.
{% import 'macros/hash.sql.j2' as dv %}
with

keyed as (

    select
        {{ dv.hash_key('student_unique_id') }} as student_hk,
        trim(student_unique_id) as student_unique_id
    from students__changes
    where _change_type <> 'delete'

)

select
    student_hk,
    min(student_unique_id) as student_unique_id,
    timestamp '{{ run_date }}' as load_date,
    'edfi_ods' as record_source
from keyed
where student_hk is not null
group by student_hk
