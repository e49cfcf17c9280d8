-- Students with their history (type 2), and one unknown member for facts without a student.
--
-- A version is a change against the load before. It is valid from the day the source names for
-- it, if that lies after the load before and not after its own, else from the day of its load: the
-- time stamps of the source alone are no order (they can be set back). The first version is open to
-- the past, so that facts older than the first load find it; valid_to is the first day after.
--
-- race_ethnicity: the Hispanic flag wins; more than one race is multiple; else the race.
-- current_grade_level is type 1: the grade of the latest entry, the same on all versions.
{% import 'macros/hash.sql.j2' as dv %}
with

ordered as (

    select
        *,
        lead(load_date) over (
            partition by student_hk
            order by load_date, change_version, effective_from, hashdiff
        ) as next_load_date
    from sat_student_demographics

),

state as (

    select
        *,
        lag(hashdiff) over (partition by student_hk order by load_date) as previous_hashdiff,
        lag(load_date) over (partition by student_hk order by load_date) as previous_load_date
    from ordered
    where next_load_date is null or next_load_date > load_date

),

version as (

    select
        *,
        case
            when previous_load_date is null then date '1900-01-01'
            when
                to_date(effective_from) > to_date(previous_load_date)
                and to_date(effective_from) <= to_date(load_date)
                then to_date(effective_from)
            else to_date(load_date)
        end as valid_from
    from state
    where previous_hashdiff is null or hashdiff <> previous_hashdiff

),

history as (

    select
        *,
        lead(valid_from) over (partition by student_hk order by load_date) as next_valid_from
    from version

),

enrollment as (

    select
        enrollment_hk,
        max_by(grade_level, struct(load_date, change_version, effective_from, hashdiff))
            as grade_level
    from sat_enrollment
    group by enrollment_hk

),

latest_enrollment as (

    select
        link_enrollment.student_hk,
        max_by(enrollment.grade_level, struct(link_enrollment.entry_date, enrollment.grade_level))
            as grade_level
    from link_enrollment
    inner join enrollment
        on link_enrollment.enrollment_hk = enrollment.enrollment_hk
    where link_enrollment.entry_date <= date '{{ run_date }}'
    group by link_enrollment.student_hk

),

profile as (

    select
        history.student_hk,
        hub_student.student_unique_id,
        history.first_name,
        history.middle_name,
        history.last_name,
        history.generation_code_suffix,
        concat_ws(
            ' ',
            coalesce(history.preferred_first_name, history.first_name),
            coalesce(history.preferred_last_name, history.last_name),
            history.generation_code_suffix
        ) as display_name,
        history.birth_date,
        coalesce(history.sex, 'Unknown') as sex,
        case
            when history.hispanic_latino_ethnicity then 'Hispanic or Latino'
            when size(history.races) > 1 then 'Multiple'
            when size(history.races) = 1 then history.races[0]
            else 'Unknown'
        end as race_ethnicity,
        coalesce(history.limited_english_proficiency, 'Unknown') as limited_english_proficiency,
        latest_enrollment.grade_level as current_grade_level,
        history.valid_from,
        coalesce(history.next_valid_from, date '9999-12-31') as valid_to,
        history.next_valid_from is null as is_current
    from history
    inner join hub_student
        on history.student_hk = hub_student.student_hk
    left join latest_enrollment
        on history.student_hk = latest_enrollment.student_hk

)

select
    {{ dv.hash_keys(['student_unique_id', 'valid_from']) }} as dim_student_id,
    *
from profile
union all
select
    '-1' as dim_student_id,
    cast(null as string) as student_hk,
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
    date '1900-01-01' as valid_from,
    date '9999-12-31' as valid_to,
    true as is_current
