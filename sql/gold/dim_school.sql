-- Schools and their districts with their history (type 2), and one unknown member for facts
-- without a school. Versions are dated as in dim_student.
{% import 'macros/hash.sql.j2' as dv %}
with

ordered as (

    select
        *,
        lead(load_date) over (
            partition by school_hk
            order by load_date, change_version, effective_from, hashdiff
        ) as next_load_date
    from sat_school

),

state as (

    select
        *,
        lag(hashdiff) over (partition by school_hk order by load_date) as previous_hashdiff,
        lag(load_date) over (partition by school_hk order by load_date) as previous_load_date
    from ordered
    where next_load_date is null or next_load_date > load_date

),

version as (

    select
        *,
        case
            when previous_load_date is null then date '1900-01-01'
            when
                to_date(effective_from) > to_date(previous_load_date)
                and to_date(effective_from) <= to_date(load_date)
                then to_date(effective_from)
            else to_date(load_date)
        end as valid_from
    from state
    where previous_hashdiff is null or hashdiff <> previous_hashdiff

),

history as (

    select
        *,
        lead(valid_from) over (partition by school_hk order by load_date) as next_valid_from
    from version

),

profile as (

    select
        history.school_hk,
        hub_school.school_id,
        coalesce(history.school_name, 'Unknown') as school_name,
        history.short_name,
        coalesce(history.school_type, 'Unknown') as school_type,
        coalesce(history.charter_status, 'Unknown') as charter_status,
        coalesce(history.operational_status, 'Unknown') as operational_status,
        history.web_site,
        history.street,
        history.city,
        history.state,
        history.postal_code,
        history.county,
        history.district_id,
        coalesce(history.district_name, 'Unknown') as district_name,
        history.valid_from,
        coalesce(history.next_valid_from, date '9999-12-31') as valid_to,
        history.next_valid_from is null as is_current
    from history
    inner join hub_school
        on history.school_hk = hub_school.school_hk

)

select
    {{ dv.hash_keys(['school_id', 'valid_from']) }} as dim_school_id,
    *
from profile
union all
select
    '-1' as dim_school_id,
    cast(null as string) as school_hk,
    cast(null as bigint) as school_id,
    'Unknown' as school_name,
    cast(null as string) as short_name,
    'Unknown' as school_type,
    'Unknown' as charter_status,
    'Unknown' as operational_status,
    cast(null as string) as web_site,
    cast(null as string) as street,
    cast(null as string) as city,
    cast(null as string) as state,
    cast(null as string) as postal_code,
    cast(null as string) as county,
    cast(null as bigint) as district_id,
    'Unknown' as district_name,
    date '1900-01-01' as valid_from,
    date '9999-12-31' as valid_to,
    true as is_current
