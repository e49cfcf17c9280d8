-- Schools with what the ODS keeps on their education organization: names, addresses, district.
with

education_organization as (

    select
        cast(EducationOrganizationId as bigint) as education_organization_id,
        cast(NameOfInstitution as string) as name_of_institution,
        cast(ShortNameOfInstitution as string) as short_name_of_institution,
        cast(WebSite as string) as web_site,
        cast(OperationalStatusDescriptorId as int) as operational_status_descriptor_id,
        cast(Id as string) as resource_id,
        cast(CreateDate as timestamp) as create_date,
        cast(LastModifiedDate as timestamp) as last_modified_date,
        cast(ChangeVersion as bigint) as change_version
    from education_organizations

),

address as (

    select
        cast(EducationOrganizationId as bigint) as education_organization_id,
        sort_array(
            collect_list(
                struct(
                    cast(AddressTypeDescriptorId as int) as address_type_descriptor_id,
                    cast(StreetNumberName as string) as street,
                    cast(City as string) as city,
                    cast(StateAbbreviationDescriptorId as int) as state_descriptor_id,
                    cast(PostalCode as string) as postal_code,
                    cast(NameOfCounty as string) as county
                )
            )
        ) as addresses,
        max(cast(CreateDate as timestamp)) as last_address_create_date
    from education_organization_addresses
    group by cast(EducationOrganizationId as bigint)

),

school as (

    select
        cast(SchoolId as bigint) as school_id,
        cast(LocalEducationAgencyId as bigint) as district_id,
        cast(SchoolTypeDescriptorId as int) as school_type_descriptor_id,
        cast(CharterStatusDescriptorId as int) as charter_status_descriptor_id
    from schools

)

select /*+ broadcast(education_organization, address, district) */
    school.school_id,
    education_organization.name_of_institution,
    education_organization.short_name_of_institution,
    education_organization.web_site,
    education_organization.operational_status_descriptor_id,
    school.school_type_descriptor_id,
    school.charter_status_descriptor_id,
    address.addresses,
    school.district_id,
    district.name_of_institution as district_name,
    education_organization.resource_id,
    education_organization.create_date,
    education_organization.last_modified_date,
    district.last_modified_date as district_last_modified_date,
    address.last_address_create_date,
    education_organization.change_version,
    district.change_version as district_change_version
from school
left join education_organization
    on school.school_id = education_organization.education_organization_id
left join education_organization as district
    on school.district_id = district.education_organization_id
left join address
    on school.school_id = address.education_organization_id
