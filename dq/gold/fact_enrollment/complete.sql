-- description: Every enrollment is in the fact, but for deleted ones and exits before the entry.
-- expect: value = 0
-- severity: error
-- owner: data-engineering
-- returns: value
-- scope: enrollment_hk
with

latest as (

    select
        enrollment_hk,
        max_by(exit_date, load_date) as exit_date,
        max_by(is_deleted, load_date) as is_deleted
    from sat_enrollment
    group by enrollment_hk

),

expected as (

    select count(*) as row_count
    from link_enrollment
    left join latest
        on link_enrollment.enrollment_hk = latest.enrollment_hk
    where
        not coalesce(latest.is_deleted, false)
        and (latest.exit_date is null or latest.exit_date >= link_enrollment.entry_date)

),

found as (

    select count(*) as row_count
    from fact_enrollment

)

select expected.row_count - found.row_count as value
from expected
cross join found
