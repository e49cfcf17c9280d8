-- description: The load of demographics is not empty.
-- expect: value >= 1
-- severity: error
-- owner: data-engineering
select count(*) as value
from demographics
