-- description: Every student of the hub has one current row.
-- severity: error
-- owner: data-engineering
-- returns: rows
select
    hub_student.student_hk,
    count_if(dim_student.is_current) as current_rows
from hub_student
left join dim_student
    on hub_student.student_hk = dim_student.student_hk
group by hub_student.student_hk
having count_if(dim_student.is_current) <> 1
