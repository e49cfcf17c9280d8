-- description: dim_school has one unknown member, for facts without a school.
-- expect: value = 1
-- severity: error
-- owner: data-engineering
select count(*) as value
from dim_school
where dim_school_id = '-1'
