-- description: The load of fact_enrollment is not empty.
-- expect: value >= 1
-- severity: error
-- owner: data-engineering
select count(*) as value
from fact_enrollment
