-- description: Every school has one current row, or none if it was deleted.
-- severity: error
-- owner: data-engineering
-- returns: rows
-- scope: school_hk
with

latest as (

    select
        school_hk,
        max_by(is_deleted, load_date) as is_deleted
    from sat_school
    group by school_hk

),

current_version as (

    select
        school_hk,
        count(*) as row_count
    from dim_school
    where is_current and school_hk <> '-1'
    group by school_hk

)

select
    coalesce(latest.school_hk, current_version.school_hk) as school_hk,
    coalesce(current_version.row_count, 0) as current_rows
from latest
full join current_version
    on latest.school_hk = current_version.school_hk
where coalesce(current_version.row_count, 0) <> if(latest.is_deleted, 0, 1)
