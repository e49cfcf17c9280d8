-- description: Every student has one current row, or none if it was deleted.
-- severity: error
-- owner: data-engineering
-- returns: rows
-- scope: student_hk
with

latest as (

    select
        student_hk,
        max_by(is_deleted, load_date) as is_deleted
    from sat_student_demographics
    group by student_hk

),

current_version as (

    select
        student_hk,
        count(*) as row_count
    from dim_student
    where is_current and student_hk <> '-1'
    group by student_hk

)

select
    coalesce(latest.student_hk, current_version.student_hk) as student_hk,
    coalesce(current_version.row_count, 0) as current_rows
from latest
full join current_version
    on latest.student_hk = current_version.student_hk
where coalesce(current_version.row_count, 0) <> if(latest.is_deleted, 0, 1)
