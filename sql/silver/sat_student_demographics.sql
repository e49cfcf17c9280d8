-- What is known of a student: names, birth, sex, ethnicity, races, languages, English proficiency;
-- or that the student was deleted.
--
-- One row per student and load, of those whom a change touches. Where a student is entered twice,
-- an entry with demographics comes first, then the one that changed last (ChangeVersion, then the
-- higher StudentUSI); of several demographics those of a district come before those of a school,
-- then the ones that changed last, then the lower organization id.
{% import 'macros/hash.sql.j2' as dv %}
with

code as (

    select
        descriptor_id,
        code_value
    from descriptors
    where descriptor_type in ('SexDescriptor', 'LimitedEnglishProficiencyDescriptor')

),

code_list as (

    select
        map_from_entries(
            collect_list(struct(descriptor_id, code_value))
            filter (where descriptor_type = 'RaceDescriptor')
        ) as races,
        map_from_entries(
            collect_list(struct(descriptor_id, code_value))
            filter (where descriptor_type = 'LanguageDescriptor')
        ) as languages
    from descriptors
    where descriptor_type in ('RaceDescriptor', 'LanguageDescriptor')

),

demographic as (

    select demographics.*
    from demographics
    left semi join touched_entry
        on demographics.student_usi = touched_entry.student_usi

),

student as (

    select
        {{ dv.hash_key('student_unique_id') }} as student_hk,
        student_usi,
        nullif(trim(first_name), '') as first_name,
        nullif(trim(middle_name), '') as middle_name,
        nullif(trim(last_name), '') as last_name,
        nullif(trim(generation_code_suffix), '') as generation_code_suffix,
        nullif(trim(preferred_first_name), '') as preferred_first_name,
        nullif(trim(preferred_last_name), '') as preferred_last_name,
        birth_date,
        last_modified_date,
        change_version
    from students
    where student_usi in (select touched_entry.student_usi from touched_entry)

),

candidate as (

    select
        student.*,
        demographic.hispanic_latino_ethnicity,
        demographic.sex_descriptor_id,
        demographic.limited_english_proficiency_descriptor_id,
        demographic.race_descriptor_ids,
        demographic.language_descriptor_ids,
        demographic.last_modified_date as demographics_last_modified_date,
        demographic.last_child_create_date,
        demographic.change_version as demographics_change_version,
        row_number() over (
            partition by student.student_hk
            order by
                demographic.student_usi is null asc,
                student.change_version desc nulls last,
                student.student_usi desc,
                school.school_id is not null asc,
                demographic.change_version desc nulls last,
                demographic.education_organization_id asc
        ) as position
    from student
    left join demographic
        on student.student_usi = demographic.student_usi
    left join schools as school
        on demographic.education_organization_id = school.school_id

),

described as (

    select
        touched.student_hk,
        candidate.first_name,
        candidate.middle_name,
        candidate.last_name,
        candidate.generation_code_suffix,
        candidate.preferred_first_name,
        candidate.preferred_last_name,
        candidate.birth_date,
        sex.code_value as sex,
        candidate.hispanic_latino_ethnicity,
        sort_array(
            array_compact(
                transform(
                    candidate.race_descriptor_ids,
                    id -> element_at(code_list.races, id)
                )
            )
        ) as races,
        sort_array(
            array_compact(
                transform(
                    candidate.language_descriptor_ids,
                    id -> element_at(code_list.languages, id)
                )
            )
        ) as languages,
        proficiency.code_value as limited_english_proficiency,
        candidate.position is null as is_deleted,
        greatest(candidate.change_version, candidate.demographics_change_version)
            as change_version,
        coalesce(
            greatest(
                candidate.last_modified_date,
                candidate.demographics_last_modified_date,
                candidate.last_child_create_date
            ),
            timestamp '{{ run_date }}'
        ) as effective_from
    from touched
    left join candidate
        on
            touched.student_hk = candidate.student_hk
            and candidate.position = 1
    left join code as sex
        on candidate.sex_descriptor_id = sex.descriptor_id
    left join code as proficiency
        on candidate.limited_english_proficiency_descriptor_id = proficiency.descriptor_id
    cross join code_list

)

select
    student_hk,
    first_name,
    middle_name,
    last_name,
    generation_code_suffix,
    preferred_first_name,
    preferred_last_name,
    birth_date,
    sex,
    hispanic_latino_ethnicity,
    races,
    languages,
    limited_english_proficiency,
    is_deleted,
    change_version,
    effective_from,
    {{ dv.hashdiff([
        'first_name', 'middle_name', 'last_name', 'generation_code_suffix',
        'preferred_first_name', 'preferred_last_name', 'birth_date', 'sex',
        'hispanic_latino_ethnicity', 'races', 'languages', 'limited_english_proficiency',
    ]) }} as hashdiff,
    timestamp '{{ run_date }}' as load_date,
    'edfi_ods' as record_source
from described
