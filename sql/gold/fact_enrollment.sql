-- Enrollments, one row per student, school and entry date, as last known.
--
-- The student and the school are the versions valid on the entry date. Entry day counts, exit day
-- does not: a student who leaves on the day of entry has 0 days. Days and activity are as of the
-- run date. An exit before the entry keeps the row out; quarantine_enrollment has it.
with

latest as (

    select
        *,
        row_number() over (
            partition by enrollment_hk
            order by
                load_date desc,
                change_version desc nulls last,
                effective_from desc,
                hashdiff desc
        ) as position
    from sat_enrollment

),

enrollment as (

    select
        link_enrollment.student_hk,
        link_enrollment.school_hk,
        link_enrollment.entry_date,
        latest.exit_date,
        latest.exit_type,
        latest.grade_level,
        latest.school_year
    from link_enrollment
    inner join latest
        on link_enrollment.enrollment_hk = latest.enrollment_hk
    where
        latest.position = 1
        and (latest.exit_date is null or latest.exit_date >= link_enrollment.entry_date)

),

calendar as (

    select
        dim_date_id,
        calendar_date
    from dim_date

)

select
    coalesce(dim_student.dim_student_id, '-1') as dim_student_id,
    coalesce(dim_school.dim_school_id, '-1') as dim_school_id,
    coalesce(entry_day.dim_date_id, -1) as entry_date_id,
    coalesce(exit_day.dim_date_id, -1) as exit_date_id,
    enrollment.entry_date,
    enrollment.exit_date,
    enrollment.exit_type,
    enrollment.grade_level,
    enrollment.school_year,
    greatest(
        datediff(
            least(coalesce(enrollment.exit_date, date '{{ run_date }}'), date '{{ run_date }}'),
            enrollment.entry_date
        ),
        0
    ) as days_enrolled,
    enrollment.entry_date <= date '{{ run_date }}'
    and (enrollment.exit_date is null or enrollment.exit_date > date '{{ run_date }}')
        as is_active
from enrollment
left join dim_student
    on
        enrollment.student_hk = dim_student.student_hk
        and enrollment.entry_date >= dim_student.valid_from
        and enrollment.entry_date < dim_student.valid_to
left join dim_school
    on
        enrollment.school_hk = dim_school.school_hk
        and enrollment.entry_date >= dim_school.valid_from
        and enrollment.entry_date < dim_school.valid_to
left join calendar as entry_day
    on enrollment.entry_date = entry_day.calendar_date
left join calendar as exit_day
    on enrollment.exit_date = exit_day.calendar_date
