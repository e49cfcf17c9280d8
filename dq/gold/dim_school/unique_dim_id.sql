-- description: The surrogate key of dim_school is there and occurs once.
-- severity: error
-- owner: data-engineering
-- returns: rows
-- scope: dim_school_id
select
    dim_school_id,
    count(*) as row_count
from dim_school
group by dim_school_id
having dim_school_id is null or count(*) > 1
