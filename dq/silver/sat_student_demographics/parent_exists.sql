-- description: Every row of sat_student_demographics has its student in hub_student.
-- severity: error
-- owner: data-engineering
-- returns: rows
-- scope: student_hk
select sat_student_demographics.student_hk
from sat_student_demographics
left anti join hub_student
    on sat_student_demographics.student_hk = hub_student.student_hk
