-- description: enrollment_hk and load_date are there and occur once together; hashdiff is there.
-- severity: error
-- owner: data-engineering
-- returns: rows
-- scope: enrollment_hk
select
    enrollment_hk,
    load_date,
    count(*) as row_count
from sat_enrollment
group by enrollment_hk, load_date
having enrollment_hk is null or load_date is null or count(hashdiff) < count(*) or count(*) > 1
