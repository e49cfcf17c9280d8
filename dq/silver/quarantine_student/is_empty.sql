-- description: Students kept out of the hub, by reason.
-- severity: warn
-- owner: data-engineering
-- returns: rows
-- show: reason, row_count
select
    reason,
    count(*) as row_count
from quarantine_student
group by reason
