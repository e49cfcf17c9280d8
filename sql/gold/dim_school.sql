-- Schools and their districts with their history (type 2), and one unknown member for facts
-- without a school. States are dated as in dim_student; a deleted school has no current version.
with

state as (

    select
        sat_school.*,
        lag(sat_school.load_date) over (
            partition by sat_school.school_hk
            order by sat_school.load_date
        ) as previous_load_date
    from sat_school
    left semi join sat_school__changes as touched
        on sat_school.school_hk = touched.school_hk

),

news as (

    select
        state.*,
        case
            when state.previous_load_date is null then date '1900-01-01'
            when
                to_date(state.effective_from) > to_date(state.previous_load_date)
                and to_date(state.effective_from) <= to_date(state.load_date)
                then to_date(state.effective_from)
            else to_date(state.load_date)
        end as changed_on
    from state
    left semi join sat_school__changes as changed
        on
            state.school_hk = changed.school_hk
            and state.load_date = changed.load_date

)

select
    news.school_hk,
    hub_school.school_id,
    coalesce(news.school_name, 'Unknown') as school_name,
    news.short_name,
    coalesce(news.school_type, 'Unknown') as school_type,
    coalesce(news.charter_status, 'Unknown') as charter_status,
    coalesce(news.operational_status, 'Unknown') as operational_status,
    news.web_site,
    news.street,
    news.city,
    news.state,
    news.postal_code,
    news.county,
    news.district_id,
    coalesce(news.district_name, 'Unknown') as district_name,
    news.changed_on,
    news.is_deleted
from news
inner join hub_school
    on news.school_hk = hub_school.school_hk
union all
select
    '-1' as school_hk,
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
    date '1900-01-01' as changed_on,
    false as is_deleted
