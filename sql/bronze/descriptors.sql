-- Code lists, one row per row of edfi.Descriptor. Ids differ from database to database: only this
-- layer keeps them, silver has the code values.
select
    cast(DescriptorId as int) as descriptor_id,
    cast(Namespace as string) as namespace,
    substring_index(cast(Namespace as string), '/', -1) as descriptor_type,
    cast(CodeValue as string) as code_value,
    cast(ShortDescription as string) as short_description,
    cast(Id as string) as resource_id,
    cast(CreateDate as timestamp) as create_date,
    cast(LastModifiedDate as timestamp) as last_modified_date,
    cast(ChangeVersion as bigint) as change_version
from descriptors
