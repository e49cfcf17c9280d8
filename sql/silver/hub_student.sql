-- Students by their business key, the trimmed StudentUniqueId; rows without one stay in bronze.
{% import 'macros/hash.sql.j2' as dv %}
with

keyed as (

    select
        {{ dv.hash_key('student_unique_id') }} as student_hk,
        trim(student_unique_id) as student_unique_id,
        load_date,
        record_source
    from students

),

first_seen as (

    select
        *,
        row_number() over (
            partition by student_hk
            order by load_date, record_source, student_unique_id
        ) as position
    from keyed
    where student_hk is not null

)

select
    student_hk,
    student_unique_id,
    load_date,
    record_source
from first_seen
where position = 1
