-- Students whom no hub can take, with the reason and their row in bronze. One that was put right or
-- deleted leaves.
with

judged as (

    select
        student_usi,
        if(
            _change_type <> 'delete' and coalesce(trim(student_unique_id), '') = '',
            'student_without_id',
            ''
        ) as reason,
        resource_id,
        change_version
    from students__changes

)

select
    judged.student_usi,
    judged.reason,
    if(judged.reason <> '', to_json(struct(students.*)), null) as source_row,
    judged.resource_id,
    judged.change_version,
    'edfi_ods' as record_source
from judged
left join students
    on judged.student_usi = students.student_usi and judged.reason <> ''
