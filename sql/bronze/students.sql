-- Students as the ODS holds them, one row per row of edfi.Student.
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
    timestamp '{{ run_date }}' as load_date,
    'edfi_ods' as record_source
from students
