-- Schools by their business key, the SchoolId.
{% import 'macros/hash.sql.j2' as dv %}
select distinct
    {{ dv.hash_key('school_id') }} as school_hk,
    school_id,
    timestamp '{{ run_date }}' as load_date,
    'edfi_ods' as record_source
from schools__changes
where _change_type <> 'delete' and school_id is not null
