-- description: No enrollment ends before it begins.
-- expect: value = 0
-- severity: error
-- owner: data-engineering
-- scope: enrollment_hk
select count(*) as value
from fact_enrollment
where exit_date < entry_date
