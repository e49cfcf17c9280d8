-- description: SchoolId is there and occurs once.
-- severity: error
-- owner: data-engineering
-- returns: rows
-- show: school_id, row_count
select
    school_id,
    count(*) as row_count
from schools
group by school_id
having school_id is null or count(*) > 1
