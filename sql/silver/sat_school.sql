-- What is known of a school: names, kind, status, address, district; or that it was deleted. Of
-- several addresses the physical one counts, then the mailing one, then the first by the name of
-- its type.
{% import 'macros/hash.sql.j2' as dv %}
with

touched as (

    select school_id
    from hub_school__changes
    union
    select school_id
    from schools__changes
    union
    select hub_school.school_id
    from hub_school
    where exists (select 1 from descriptors__changes)

),

code as (

    select
        descriptor_id,
        code_value
    from descriptors
    where
        descriptor_type in (
            'AddressTypeDescriptor',
            'CharterStatusDescriptor',
            'OperationalStatusDescriptor',
            'SchoolTypeDescriptor',
            'StateAbbreviationDescriptor'
        )

),

address as (

    select
        school_address.school_id,
        school_address.address.street,
        school_address.address.city,
        state.code_value as state,
        school_address.address.postal_code,
        school_address.address.county,
        row_number() over (
            partition by school_address.school_id
            order by
                coalesce(address_type.code_value <> 'Physical', true),
                coalesce(address_type.code_value <> 'Mailing', true),
                address_type.code_value,
                school_address.address
        ) as position
    from (
        select
            school_id,
            explode(addresses) as address
        from schools
    ) as school_address
    left join code as address_type
        on school_address.address.address_type_descriptor_id = address_type.descriptor_id
    left join code as state
        on school_address.address.state_descriptor_id = state.descriptor_id

),

described as (

    select
        hub_school.school_hk,
        nullif(trim(schools.name_of_institution), '') as school_name,
        nullif(trim(schools.short_name_of_institution), '') as short_name,
        school_type.code_value as school_type,
        charter_status.code_value as charter_status,
        operational_status.code_value as operational_status,
        nullif(trim(schools.web_site), '') as web_site,
        address.street,
        address.city,
        address.state,
        address.postal_code,
        address.county,
        schools.district_id,
        nullif(trim(schools.district_name), '') as district_name,
        schools.school_id is null as is_deleted,
        greatest(schools.change_version, schools.district_change_version) as change_version,
        coalesce(
            greatest(
                schools.last_modified_date,
                schools.district_last_modified_date,
                schools.last_address_create_date
            ),
            timestamp '{{ run_date }}'
        ) as effective_from
    from hub_school
    left semi join touched
        on hub_school.school_id = touched.school_id
    left join schools
        on hub_school.school_id = schools.school_id
    left join address
        on
            schools.school_id = address.school_id
            and address.position = 1
    left join code as school_type
        on schools.school_type_descriptor_id = school_type.descriptor_id
    left join code as charter_status
        on schools.charter_status_descriptor_id = charter_status.descriptor_id
    left join code as operational_status
        on schools.operational_status_descriptor_id = operational_status.descriptor_id

)

select
    school_hk,
    school_name,
    short_name,
    school_type,
    charter_status,
    operational_status,
    web_site,
    street,
    city,
    state,
    postal_code,
    county,
    district_id,
    district_name,
    is_deleted,
    change_version,
    effective_from,
    {{ dv.hashdiff([
        'school_name', 'short_name', 'school_type', 'charter_status', 'operational_status',
        'web_site', 'street', 'city', 'state', 'postal_code', 'county', 'district_id',
        'district_name',
    ]) }} as hashdiff,
    timestamp '{{ run_date }}' as load_date,
    'edfi_ods' as record_source
from described
