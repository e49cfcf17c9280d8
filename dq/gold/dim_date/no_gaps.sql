-- description: No day between the first and the last is missing, and there is an unknown member.
-- expect: value = 0
-- severity: error
-- owner: data-engineering
select
    datediff(max(calendar_date), min(calendar_date)) + 1
    - count(calendar_date)
    + abs(1 - count_if(dim_date_id = -1)) as value
from dim_date
