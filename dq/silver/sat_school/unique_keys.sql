-- description: school_hk and load_date are there and occur once together; hashdiff is there.
-- severity: error
-- owner: data-engineering
-- returns: rows
-- scope: school_hk
select
    school_hk,
    load_date,
    count(*) as row_count
from sat_school
group by school_hk, load_date
having school_hk is null or load_date is null or count(hashdiff) < count(*) or count(*) > 1
