-- Students with their history (type 2), and one unknown member for facts without a student. What
-- comes out are the states to take in; the mode makes the versions.
--
-- A state holds from the day the source names for it, if that lies after the load before and not
-- after its own, else from the day of its load: the time stamps of the source alone are no order
-- (they can be set back). The first is open to the past, so that facts older than the first load
-- find it. A deleted student has no current version.
--
-- race_ethnicity: the Hispanic flag wins; more than one race is multiple; else the race.
-- current_grade_level makes no version: the current one has the grade of the latest entry that has
-- begun, an older one what it had last.
with

state as (

    select
        sat_student_demographics.*,
        lag(sat_student_demographics.load_date) over in_order as previous_load_date,
        lead(sat_student_demographics.load_date) over in_order is null as is_last
    from sat_student_demographics
    left semi join touched
        on sat_student_demographics.student_hk = touched.student_hk
    window in_order as (
        partition by sat_student_demographics.student_hk
        order by sat_student_demographics.load_date
    )

),

dated as (

    select
        *,
        case
            when previous_load_date is null then date '1900-01-01'
            when
                to_date(effective_from) > to_date(previous_load_date)
                and to_date(effective_from) <= to_date(load_date)
                then to_date(effective_from)
            else to_date(load_date)
        end as changed_on
    from state

),

news as (

    select dated.*
    from dated
    left join sat_student_demographics__changes as changed
        on
            dated.student_hk = changed.student_hk
            and dated.load_date = changed.load_date
    where dated.is_last or changed.student_hk is not null

),

latest as (

    select
        sat_enrollment.*,
        lead(sat_enrollment.load_date) over (
            partition by sat_enrollment.enrollment_hk
            order by sat_enrollment.load_date
        ) is null as is_last
    from sat_enrollment
    left semi join touched_enrollment
        on sat_enrollment.enrollment_hk = touched_enrollment.enrollment_hk

),

grade as (

    select
        enrollment.student_hk,
        max_by(
            latest.grade_level,
            struct(enrollment.entry_date, enrollment.school_id, latest.enrollment_hk)
        ) as current_grade_level
    from touched_enrollment as enrollment
    inner join latest
        on enrollment.enrollment_hk = latest.enrollment_hk
    where
        latest.is_last
        and not latest.is_deleted
        and enrollment.entry_date <= date '{{ run_date }}'
    group by enrollment.student_hk

)

select
    news.student_hk,
    hub_student.student_unique_id,
    news.first_name,
    news.middle_name,
    news.last_name,
    news.generation_code_suffix,
    concat_ws(
        ' ',
        coalesce(news.preferred_first_name, news.first_name),
        coalesce(news.preferred_last_name, news.last_name),
        news.generation_code_suffix
    ) as display_name,
    news.birth_date,
    coalesce(news.sex, 'Unknown') as sex,
    case
        when news.hispanic_latino_ethnicity then 'Hispanic or Latino'
        when size(news.races) > 1 then 'Multiple'
        when size(news.races) = 1 then news.races[0]
        else 'Unknown'
    end as race_ethnicity,
    coalesce(news.limited_english_proficiency, 'Unknown') as limited_english_proficiency,
    grade.current_grade_level,
    news.changed_on,
    news.is_deleted
from news
inner join (
    select
        hub_student.student_hk,
        hub_student.student_unique_id
    from hub_student
    left semi join touched
        on hub_student.student_hk = touched.student_hk
) as hub_student
    on news.student_hk = hub_student.student_hk
left join grade
    on news.student_hk = grade.student_hk
union all
select
    '-1' as student_hk,
    cast(null as string) as student_unique_id,
    cast(null as string) as first_name,
    cast(null as string) as middle_name,
    cast(null as string) as last_name,
    cast(null as string) as generation_code_suffix,
    'Unknown' as display_name,
    cast(null as date) as birth_date,
    'Unknown' as sex,
    'Unknown' as race_ethnicity,
    'Unknown' as limited_english_proficiency,
    cast(null as string) as current_grade_level,
    date '1900-01-01' as changed_on,
    false as is_deleted
