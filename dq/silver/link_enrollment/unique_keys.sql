-- description: Hash key of the enrollment is there and occurs once.
-- severity: error
-- owner: data-engineering
-- returns: rows
-- scope: enrollment_hk
select
    enrollment_hk,
    count(*) as row_count
from link_enrollment
group by enrollment_hk
having enrollment_hk is null or count(*) > 1
