-- description: Students without a usable StudentUniqueId (null or blank); they stay in bronze.
-- expect: value = 0
-- severity: warn
-- owner: data-engineering
select count(*) as value
from students
where coalesce(trim(student_unique_id), '') = ''
