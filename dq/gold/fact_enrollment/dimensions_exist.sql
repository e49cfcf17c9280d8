-- description: Every key of the fact is in its dimension.
-- severity: error
-- owner: data-engineering
-- returns: rows
-- scope: enrollment_hk
select
    fact_enrollment.dim_student_id,
    fact_enrollment.dim_school_id,
    fact_enrollment.entry_date_id,
    fact_enrollment.exit_date_id
from fact_enrollment
left join dim_student
    on fact_enrollment.dim_student_id = dim_student.dim_student_id
left join dim_school
    on fact_enrollment.dim_school_id = dim_school.dim_school_id
left join dim_date as entry_day
    on fact_enrollment.entry_date_id = entry_day.dim_date_id
left join dim_date as exit_day
    on fact_enrollment.exit_date_id = exit_day.dim_date_id
where
    dim_student.dim_student_id is null
    or dim_school.dim_school_id is null
    or entry_day.dim_date_id is null
    or exit_day.dim_date_id is null
