-- description: Enrollments that refer to an unknown student, school, entry day or exit day.
-- expect: value = 0
-- severity: warn
-- owner: data-engineering
select count(*) as value
from fact_enrollment
left join dim_student
    on fact_enrollment.dim_student_id = dim_student.dim_student_id
left join dim_school
    on fact_enrollment.dim_school_id = dim_school.dim_school_id
where
    fact_enrollment.entry_date_id = -1
    or (fact_enrollment.exit_date is not null and fact_enrollment.exit_date_id = -1)
    or dim_student.student_hk = '-1'
    or dim_school.school_hk = '-1'
