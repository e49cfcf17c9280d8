-- description: Every row of sat_enrollment has its enrollment in link_enrollment.
-- severity: error
-- owner: data-engineering
-- returns: rows
-- scope: enrollment_hk
select sat_enrollment.enrollment_hk
from sat_enrollment
left anti join link_enrollment
    on sat_enrollment.enrollment_hk = link_enrollment.enrollment_hk
