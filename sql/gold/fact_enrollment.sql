-- Enrollments, one row per student, school and entry date, as last known; of those that a change,
-- or a day that has passed, touches.
--
-- The student and the school are the versions valid on the entry date. Entry day counts, exit day
-- does not: a student who leaves on the day of entry has 0 days. Days are null until the exit;
-- activity is as of the run date. A deleted enrollment leaves, and so does one with an exit before
-- the entry, which quarantine_enrollment has.
with

latest as (

    select
        sat_enrollment.*,
        lead(sat_enrollment.load_date) over (
            partition by sat_enrollment.enrollment_hk
            order by sat_enrollment.load_date
        ) is null as is_last
    from sat_enrollment
    left semi join touched
        on sat_enrollment.enrollment_hk = touched.enrollment_hk

),

enrollment as (

    select
        touched_enrollment.enrollment_hk,
        touched_enrollment.student_hk,
        touched_enrollment.school_hk,
        touched_enrollment.entry_date,
        latest.exit_date,
        latest.exit_type,
        latest.grade_level,
        latest.school_year,
        latest.is_deleted or coalesce(latest.exit_date < touched_enrollment.entry_date, false)
            as is_out
    from touched_enrollment
    inner join latest
        on touched_enrollment.enrollment_hk = latest.enrollment_hk
    where latest.is_last

),

student as (

    select
        dim_student.student_hk,
        dim_student.dim_student_id,
        dim_student.valid_from,
        dim_student.valid_to
    from dim_student
    left semi join touched_enrollment
        on dim_student.student_hk = touched_enrollment.student_hk

),

calendar as (

    select
        dim_date_id,
        calendar_date
    from dim_date

),

unknown_member as (

    select
        max(dim_student_id) as dim_student_id,
        max(dim_school_id) as dim_school_id
    from (
        select
            dim_student_id,
            cast(null as string) as dim_school_id
        from dim_student
        where student_hk = '-1'
        union all
        select
            cast(null as string) as dim_student_id,
            dim_school_id
        from dim_school
        where school_hk = '-1'
    ) as member

)

select
    enrollment.enrollment_hk,
    coalesce(student.dim_student_id, unknown_member.dim_student_id) as dim_student_id,
    coalesce(dim_school.dim_school_id, unknown_member.dim_school_id) as dim_school_id,
    coalesce(entry_day.dim_date_id, -1) as entry_date_id,
    coalesce(exit_day.dim_date_id, -1) as exit_date_id,
    enrollment.entry_date,
    enrollment.exit_date,
    enrollment.exit_type,
    enrollment.grade_level,
    enrollment.school_year,
    if(
        enrollment.exit_date <= date '{{ run_date }}',
        datediff(enrollment.exit_date, enrollment.entry_date),
        null
    ) as days_enrolled,
    enrollment.entry_date <= date '{{ run_date }}'
    and (enrollment.exit_date is null or enrollment.exit_date > date '{{ run_date }}')
        as is_active,
    enrollment.is_out
from enrollment
cross join unknown_member
left join student
    on
        enrollment.student_hk = student.student_hk
        and enrollment.entry_date >= student.valid_from
        and (enrollment.entry_date < student.valid_to or student.valid_to is null)
left join dim_school
    on
        enrollment.school_hk = dim_school.school_hk
        and enrollment.entry_date >= dim_school.valid_from
        and (enrollment.entry_date < dim_school.valid_to or dim_school.valid_to is null)
left join calendar as entry_day
    on enrollment.entry_date = entry_day.calendar_date
left join calendar as exit_day
    on enrollment.exit_date = exit_day.calendar_date
