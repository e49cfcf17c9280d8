-- description: Every school of the hub has one current row.
-- severity: error
-- owner: data-engineering
-- returns: rows
select
    hub_school.school_hk,
    count_if(dim_school.is_current) as current_rows
from hub_school
left join dim_school
    on hub_school.school_hk = dim_school.school_hk
group by hub_school.school_hk
having count_if(dim_school.is_current) <> 1
