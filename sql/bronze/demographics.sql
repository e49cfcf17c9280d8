-- Demographics, one row per row of edfi.StudentEducationOrganizationAssociation, with the races
-- and languages of its child tables as sorted arrays of descriptor ids.
with

race as (

    select
        cast(EducationOrganizationId as bigint) as education_organization_id,
        cast(StudentUSI as int) as student_usi,
        sort_array(collect_set(cast(RaceDescriptorId as int))) as race_descriptor_ids,
        max(cast(CreateDate as timestamp)) as last_race_create_date
    from demographics_races
    group by cast(EducationOrganizationId as bigint), cast(StudentUSI as int)

),

language as (

    select
        cast(EducationOrganizationId as bigint) as education_organization_id,
        cast(StudentUSI as int) as student_usi,
        sort_array(collect_set(cast(LanguageDescriptorId as int))) as language_descriptor_ids,
        max(cast(CreateDate as timestamp)) as last_language_create_date
    from demographics_languages
    group by cast(EducationOrganizationId as bigint), cast(StudentUSI as int)

),

association as (

    select
        cast(EducationOrganizationId as bigint) as education_organization_id,
        cast(StudentUSI as int) as student_usi,
        cast(HispanicLatinoEthnicity as boolean) as hispanic_latino_ethnicity,
        cast(SexDescriptorId as int) as sex_descriptor_id,
        cast(LimitedEnglishProficiencyDescriptorId as int)
            as limited_english_proficiency_descriptor_id,
        cast(Id as string) as resource_id,
        cast(CreateDate as timestamp) as create_date,
        cast(LastModifiedDate as timestamp) as last_modified_date,
        cast(ChangeVersion as bigint) as change_version
    from demographics

)

select
    association.education_organization_id,
    association.student_usi,
    association.hispanic_latino_ethnicity,
    association.sex_descriptor_id,
    association.limited_english_proficiency_descriptor_id,
    race.race_descriptor_ids,
    language.language_descriptor_ids,
    association.resource_id,
    association.create_date,
    association.last_modified_date,
    greatest(race.last_race_create_date, language.last_language_create_date)
        as last_child_create_date,
    association.change_version,
    timestamp '{{ run_date }}' as load_date,
    'edfi_ods' as record_source
from association
left join race
    on
        association.education_organization_id = race.education_organization_id
        and association.student_usi = race.student_usi
left join language
    on
        association.education_organization_id = language.education_organization_id
        and association.student_usi = language.student_usi
