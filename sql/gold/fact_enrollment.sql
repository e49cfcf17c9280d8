-- Enrollments, one row per student, school and entry date, as last known; of those that a change,
-- or a day that has passed, touches.
--
-- The student and the school are the versions valid on the entry date. Entry day counts, exit day
-- does not: a student who leaves on the day of entry has 0 days. Days are null until the exit;
-- activity is as of the run date. A deleted enrollment leaves, and so does one with an exit before
-- the entry, which quarantine_enrollment has.
with

touched as (

    select enrollment_hk
    from sat_enrollment__changes
    union
    select link_enrollment.enrollment_hk
    from link_enrollment
    left semi join dim_student__changes as student
        on link_enrollment.student_hk = student.student_hk
    union
    select link_enrollment.enrollment_hk
    from link_enrollment
    left semi join dim_school__changes as school
        on link_enrollment.school_hk = school.school_hk
    union
    select link_enrollment.enrollment_hk
    from link_enrollment
    left semi join dim_date__changes as day
        on link_enrollment.entry_date = day.calendar_date
    union
    select sat_enrollment.enrollment_hk
    from sat_enrollment
    left semi join dim_date__changes as day
        on sat_enrollment.exit_date = day.calendar_date

),

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
        link_enrollment.enrollment_hk,
        link_enrollment.student_hk,
        link_enrollment.school_hk,
        link_enrollment.entry_date,
        latest.exit_date,
        latest.exit_type,
        latest.grade_level,
        latest.school_year,
        latest.is_deleted or coalesce(latest.exit_date < link_enrollment.entry_date, false)
            as is_out
    from link_enrollment
    inner join latest
        on link_enrollment.enrollment_hk = latest.enrollment_hk
    where latest.is_last

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
    coalesce(dim_student.dim_student_id, unknown_member.dim_student_id) as dim_student_id,
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
left join dim_student
    on
        enrollment.student_hk = dim_student.student_hk
        and enrollment.entry_date >= dim_student.valid_from
        and (enrollment.entry_date < dim_student.valid_to or dim_student.valid_to is null)
left join dim_school
    on
        enrollment.school_hk = dim_school.school_hk
        and enrollment.entry_date >= dim_school.valid_from
        and (enrollment.entry_date < dim_school.valid_to or dim_school.valid_to is null)
left join calendar as entry_day
    on enrollment.entry_date = entry_day.calendar_date
left join calendar as exit_day
    on enrollment.exit_date = exit_day.calendar_date
