-- Every entry in the ODS of the students whom a change touches.
select
    sal_student.student_hk,
    sal_student.student_usi
from sal_student
left semi join touched
    on sal_student.student_hk = touched.student_hk
