-- Students as the ODS holds them, one row per row of edfi.Student; those that were deleted leave.
select
    cast(StudentUSI as int) as student_usi,
    cast(StudentUniqueId as string) as student_unique_id,
    cast(FirstName as string) as first_name,
    cast(MiddleName as string) as middle_name,
    cast(LastSurname as string) as last_name,
    cast(GenerationCodeSuffix as string) as generation_code_suffix,
    cast(PreferredFirstName as string) as preferred_first_name,
    cast(PreferredLastSurname as string) as preferred_last_name,
    cast(BirthDate as date) as birth_date,
    cast(BirthSexDescriptorId as int) as birth_sex_descriptor_id,
    cast(Id as string) as resource_id,
    cast(CreateDate as timestamp) as create_date,
    cast(LastModifiedDate as timestamp) as last_modified_date,
    cast(ChangeVersion as bigint) as change_version,
    false as is_deleted
from students
union all
select
    cast(OldStudentUSI as int) as student_usi,
    cast(null as string) as student_unique_id,
    cast(null as string) as first_name,
    cast(null as string) as middle_name,
    cast(null as string) as last_name,
    cast(null as string) as generation_code_suffix,
    cast(null as string) as preferred_first_name,
    cast(null as string) as preferred_last_name,
    cast(null as date) as birth_date,
    cast(null as int) as birth_sex_descriptor_id,
    cast(Id as string) as resource_id,
    cast(CreateDate as timestamp) as create_date,
    cast(null as timestamp) as last_modified_date,
    cast(ChangeVersion as bigint) as change_version,
    true as is_deleted
from deleted_students
where NewStudentUSI is null
