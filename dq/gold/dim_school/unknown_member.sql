-- description: dim_school has one unknown member, for facts without a school.
-- expect: value = 1
-- severity: error
-- owner: data-engineering
select count(*) as value
from dim_school
where school_hk = '-1'
