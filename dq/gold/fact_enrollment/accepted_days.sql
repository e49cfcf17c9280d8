-- description: Days enrolled are never null or negative.
-- expect: value = 0
-- severity: error
-- owner: data-engineering
select count(*) as value
from fact_enrollment
where days_enrolled is null or days_enrolled < 0
