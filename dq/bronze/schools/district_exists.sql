-- description: Schools without a name, or with a district that the ODS does not know.
-- severity: warn
-- owner: data-engineering
-- returns: rows
-- show: school_id, district_id
select
    school_id,
    district_id
from schools
where
    name_of_institution is null
    or (district_id is not null and district_name is null)
