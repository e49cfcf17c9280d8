-- description: No two versions of a student hold at once, and none ends before it begins.
-- severity: error
-- owner: data-engineering
-- returns: rows
-- scope: student_hk
with

version as (

    select
        student_hk,
        valid_from,
        valid_to,
        lead(valid_from) over (partition by student_hk order by valid_from) as next_valid_from
    from dim_student

)

select
    student_hk,
    valid_from,
    valid_to,
    next_valid_from
from version
where
    valid_to <= valid_from
    or next_valid_from < coalesce(valid_to, date '9999-12-31')
