-- description: Hash key and business key of hub_school are there, and the hash key occurs once.
-- severity: error
-- owner: data-engineering
-- returns: rows
-- scope: school_hk
select
    school_hk,
    count(*) as row_count
from hub_school
group by school_hk
having school_hk is null or count(*) > 1 or count(school_id) = 0
