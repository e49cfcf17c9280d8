-- description: student_hk, effective_from and hashdiff are there and occur once together.
-- severity: error
-- owner: data-engineering
-- returns: rows
select
    student_hk,
    effective_from,
    hashdiff,
    count(*) as row_count
from sat_student_demographics
group by student_hk, effective_from, hashdiff
having student_hk is null or effective_from is null or hashdiff is null or count(*) > 1
