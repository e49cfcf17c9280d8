-- description: One row per student, school and entry date.
-- severity: error
-- owner: data-engineering
-- returns: rows
-- show: entry_date, row_count
select
    dim_student_id,
    dim_school_id,
    entry_date,
    count(*) as row_count
from fact_enrollment
where dim_student_id <> '-1' and dim_school_id <> '-1'
group by dim_student_id, dim_school_id, entry_date
having count(*) > 1
