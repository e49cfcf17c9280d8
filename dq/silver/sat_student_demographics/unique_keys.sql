-- description: student_hk and load_date are there and occur once together; hashdiff is there.
-- severity: error
-- owner: data-engineering
-- returns: rows
-- scope: student_hk
select
    student_hk,
    load_date,
    count(*) as row_count
from sat_student_demographics
group by student_hk, load_date
having student_hk is null or load_date is null or count(hashdiff) < count(*) or count(*) > 1
