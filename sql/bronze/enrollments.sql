-- Enrollments as the ODS holds them, one row per row of edfi.StudentSchoolAssociation. Deleted ones
-- leave, and so does the old key of one whose student, school or entry date was put right.
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
    false as is_deleted
from enrollments
union all
select
    cast(OldStudentUSI as int) as student_usi,
    cast(OldSchoolId as bigint) as school_id,
    cast(OldEntryDate as date) as entry_date,
    cast(null as date) as exit_date,
    cast(null as int) as entry_grade_level_descriptor_id,
    cast(null as int) as exit_withdraw_type_descriptor_id,
    cast(null as int) as school_year,
    cast(null as boolean) as is_primary_school,
    cast(Id as string) as resource_id,
    cast(CreateDate as timestamp) as create_date,
    cast(null as timestamp) as last_modified_date,
    cast(ChangeVersion as bigint) as change_version,
    true as is_deleted
from deleted_enrollments
where
    not (
        OldStudentUSI <=> NewStudentUSI
        and OldSchoolId <=> NewSchoolId
        and OldEntryDate <=> NewEntryDate
    )
