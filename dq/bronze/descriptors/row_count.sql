-- description: The load of descriptors is not empty.
-- expect: value >= 1
-- severity: error
-- owner: data-engineering
select count(*) as value
from descriptors
