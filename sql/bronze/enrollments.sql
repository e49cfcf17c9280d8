-- Enrollments as the ODS holds them, one row per row of edfi.StudentSchoolAssociation.
select
    cast(StudentUSI as int) as student_usi,
    cast(SchoolId as bigint) as school_id,
    cast(EntryDate as date) as entry_date,
    cast(ExitWithdrawDate as date) as exit_date,
    cast(EntryGradeLevelDescriptorId as int) as entry_grade_level_descriptor_id,
    cast(ExitWithdrawTypeDescriptorId as int) as exit_withdraw_type_descriptor_id,
    cast(SchoolYear as int) as school_year,
    cast(PrimarySchool as boolean) as is_primary_school,
    cast(Id as string) as resource_id,
    cast(CreateDate as timestamp) as create_date,
    cast(LastModifiedDate as timestamp) as last_modified_date,
    cast(ChangeVersion as bigint) as change_version,
    timestamp '{{ run_date }}' as load_date,
    'edfi_ods' as record_source
from enrollments
