-- Demographics, one row per row of edfi.StudentEducationOrganizationAssociation, with the races
-- and languages of its child tables as sorted arrays of descriptor ids. Those deleted leave.
--
-- The source is one statement over parent and children: a row and its children are of one moment.
-- It gives each row once per race and language.
with

association as (

    select
        cast(EducationOrganizationId as bigint) as education_organization_id,
        cast(StudentUSI as int) as student_usi,
        cast(HispanicLatinoEthnicity as boolean) as hispanic_latino_ethnicity,
        cast(SexDescriptorId as int) as sex_descriptor_id,
        cast(LimitedEnglishProficiencyDescriptorId as int)
            as limited_english_proficiency_descriptor_id,
        cast(RaceDescriptorId as int) as race_descriptor_id,
        cast(LanguageDescriptorId as int) as language_descriptor_id,
        cast(Id as string) as resource_id,
        cast(CreateDate as timestamp) as create_date,
        cast(LastModifiedDate as timestamp) as last_modified_date,
        cast(ChildCreateDate as timestamp) as child_create_date,
        cast(ChangeVersion as bigint) as change_version
    from demographics

)

select
    education_organization_id,
    student_usi,
    hispanic_latino_ethnicity,
    sex_descriptor_id,
    limited_english_proficiency_descriptor_id,
    nullif(sort_array(collect_set(race_descriptor_id)), cast(array() as array<int>))
        as race_descriptor_ids,
    nullif(sort_array(collect_set(language_descriptor_id)), cast(array() as array<int>))
        as language_descriptor_ids,
    resource_id,
    create_date,
    last_modified_date,
    max(child_create_date) as last_child_create_date,
    change_version,
    false as is_deleted
from association
group by
    education_organization_id,
    student_usi,
    hispanic_latino_ethnicity,
    sex_descriptor_id,
    limited_english_proficiency_descriptor_id,
    resource_id,
    create_date,
    last_modified_date,
    change_version
union all
select
    cast(OldEducationOrganizationId as bigint) as education_organization_id,
    cast(OldStudentUSI as int) as student_usi,
    cast(null as boolean) as hispanic_latino_ethnicity,
    cast(null as int) as sex_descriptor_id,
    cast(null as int) as limited_english_proficiency_descriptor_id,
    cast(null as array<int>) as race_descriptor_ids,
    cast(null as array<int>) as language_descriptor_ids,
    cast(Id as string) as resource_id,
    cast(CreateDate as timestamp) as create_date,
    cast(null as timestamp) as last_modified_date,
    cast(null as timestamp) as last_child_create_date,
    cast(ChangeVersion as bigint) as change_version,
    true as is_deleted
from deleted_demographics
where
    not (
        OldEducationOrganizationId <=> NewEducationOrganizationId
        and OldStudentUSI <=> NewStudentUSI
    )
