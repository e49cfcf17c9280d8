-- description: Student and education organization are there and occur once together.
-- severity: error
-- owner: data-engineering
-- returns: rows
-- scope: education_organization_id, student_usi
select
    student_usi,
    education_organization_id,
    count(*) as row_count
from demographics
group by student_usi, education_organization_id
having student_usi is null or education_organization_id is null or count(*) > 1
