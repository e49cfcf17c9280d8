-- description: Enrollments kept out of the fact, by reason.
-- severity: warn
-- owner: data-engineering
-- returns: rows
-- show: reason, row_count
select
    reason,
    count(*) as row_count
from quarantine_enrollment
group by reason
