-- description: enrollment_hk, effective_from and hashdiff are there and occur once together.
-- severity: error
-- owner: data-engineering
-- returns: rows
select
    enrollment_hk,
    effective_from,
    hashdiff,
    count(*) as row_count
from sat_enrollment
group by enrollment_hk, effective_from, hashdiff
having enrollment_hk is null or effective_from is null or hashdiff is null or count(*) > 1
