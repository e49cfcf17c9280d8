-- description: One row per student, school and entry date.
-- severity: error
-- owner: data-engineering
-- returns: rows
-- scope: enrollment_hk
select
    enrollment_hk,
    count(*) as row_count
from fact_enrollment
group by enrollment_hk
having enrollment_hk is null or count(*) > 1
