-- description: Every row of sat_school has its school in hub_school.
-- severity: error
-- owner: data-engineering
-- returns: rows
-- scope: school_hk
select sat_school.school_hk
from sat_school
left anti join hub_school
    on sat_school.school_hk = hub_school.school_hk
