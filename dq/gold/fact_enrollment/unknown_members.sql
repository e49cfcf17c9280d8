-- description: Enrollments that refer to an unknown student, school, entry day or exit day.
-- expect: value = 0
-- severity: warn
-- owner: data-engineering
select count(*) as value
from fact_enrollment
where
    entry_date_id = -1
    or (exit_date is not null and exit_date_id = -1)
    or dim_student_id = (
        select max(dim_student.dim_student_id)
        from dim_student
        where dim_student.student_hk = '-1'
    )
    or dim_school_id = (
        select max(dim_school.dim_school_id)
        from dim_school
        where dim_school.school_hk = '-1'
    )
