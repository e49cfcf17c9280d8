-- description: Students without first name, last name, sex or ethnicity, or with codes unknown.
-- expect: value = 0
-- severity: warn
-- owner: data-engineering
select count(*) as value
from dim_student
where
    is_current
    and student_hk <> '-1'
    and (
        first_name is null
        or last_name is null
        or sex = 'Unknown'
        or race_ethnicity = 'Unknown'
    )
