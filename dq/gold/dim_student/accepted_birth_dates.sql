-- description: Students whose birth date is missing, after the run or more than 30 years before it.
-- expect: value = 0
-- severity: warn
-- owner: data-engineering
select count(*) as value
from dim_student
where
    is_current
    and student_hk <> '-1'
    and (
        birth_date is null
        or birth_date > date '{{ run_date }}'
        or birth_date < add_months(date '{{ run_date }}', -360)
    )
