-- Schools by their business key, the SchoolId.
{% import 'macros/hash.sql.j2' as dv %}
with

keyed as (

    select
        {{ dv.hash_key('school_id') }} as school_hk,
        school_id,
        load_date,
        record_source
    from schools

),

first_seen as (

    select
        *,
        row_number() over (
            partition by school_hk
            order by load_date, record_source
        ) as position
    from keyed
    where school_hk is not null

)

select
    school_hk,
    school_id,
    load_date,
    record_source
from first_seen
where position = 1
