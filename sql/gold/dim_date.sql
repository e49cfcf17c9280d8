-- Days of the whole school years that enrollments and the run touch, and one unknown member. Days
-- before 1990 or more than ten years ahead of the run are typing errors: they get no row, and the
-- fact refers to the unknown member.
--
-- has_begun turns with the day of the run. So the days that passed since the last run are the
-- changes of this table, and what is told as of the run (is_active, current_grade_level) is brought
-- up to date for their enrollments alone.
with

fact_date as (

    select entry_date as calendar_date
    from link_enrollment
    union all
    select exit_date as calendar_date
    from sat_enrollment
    union all
    select date '{{ run_date }}' as calendar_date

),

school_year_range as (

    select
        year(add_months(min(calendar_date), 6)) as first_school_year,
        year(add_months(max(calendar_date), 6)) as last_school_year
    from fact_date
    where calendar_date between date '1990-01-01' and add_months(date '{{ run_date }}', 120)

),

calendar as (

    select
        explode(
            sequence(
                make_date(first_school_year - 1, 7, 1),
                make_date(last_school_year, 6, 30)
            )
        ) as calendar_date
    from school_year_range

),

described as (

    select
        year(calendar_date) * 10000 + month(calendar_date) * 100 + day(calendar_date)
            as dim_date_id,
        calendar_date,
        year(calendar_date) as calendar_year,
        quarter(calendar_date) as calendar_quarter,
        month(calendar_date) as calendar_month,
        date_format(calendar_date, 'MMMM') as month_name,
        day(calendar_date) as day_of_month,
        weekday(calendar_date) + 1 as day_of_week,
        date_format(calendar_date, 'EEEE') as day_name,
        weekday(calendar_date) >= 5 as is_weekend,
        year(add_months(calendar_date, 6)) as school_year,
        calendar_date <= date '{{ run_date }}' as has_begun
    from calendar

)

select
    *,
    concat(school_year - 1, '-', school_year) as school_year_name
from described
union all
select
    -1 as dim_date_id,
    cast(null as date) as calendar_date,
    cast(null as int) as calendar_year,
    cast(null as int) as calendar_quarter,
    cast(null as int) as calendar_month,
    'Unknown' as month_name,
    cast(null as int) as day_of_month,
    cast(null as int) as day_of_week,
    'Unknown' as day_name,
    cast(null as boolean) as is_weekend,
    cast(null as int) as school_year,
    cast(null as boolean) as has_begun,
    'Unknown' as school_year_name
