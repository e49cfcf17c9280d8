-- description: The key of a day is there and occurs once.
-- severity: error
-- owner: data-engineering
-- returns: rows
-- show: dim_date_id, row_count
select
    dim_date_id,
    count(*) as row_count
from dim_date
group by dim_date_id
having dim_date_id is null or count(*) > 1
