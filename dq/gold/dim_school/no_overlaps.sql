-- description: The versions of a school follow each other without gap or overlap.
-- severity: error
-- owner: data-engineering
-- returns: rows
with

version as (

    select
        school_hk,
        valid_from,
        valid_to,
        lead(valid_from) over (partition by school_hk order by valid_from) as next_valid_from
    from dim_school
    where school_hk is not null

)

select
    school_hk,
    valid_from,
    valid_to,
    next_valid_from
from version
where
    valid_to <= valid_from
    or coalesce(next_valid_from, date '9999-12-31') <> valid_to
