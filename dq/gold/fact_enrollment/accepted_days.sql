-- description: Days enrolled are there once the enrollment has ended, and never negative.
-- expect: value = 0
-- severity: error
-- owner: data-engineering
select count(*) as value
from fact_enrollment
where
    days_enrolled < 0
    or (days_enrolled is not null) <> coalesce(exit_date <= date '{{ run_date }}', false)
