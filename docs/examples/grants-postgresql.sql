-- The least that the main flow needs of an Ed-Fi ODS on PostgreSQL. Run it in the ODS as its owner, then give the
-- user a password by \password, which sends no plain text. A flow that reads more tables needs a line for each.
create role edfi_reader login connection limit 8;

-- It can change nothing, not even where somebody grants too much, and no statement of it blocks the ODS for long.
alter role edfi_reader set default_transaction_read_only = on;
alter role edfi_reader set statement_timeout = '30min';
alter role edfi_reader set lock_timeout = '10s';

grant usage on schema edfi, tracked_changes_edfi to edfi_reader;
grant select on
    edfi.Descriptor,
    edfi.EducationOrganization,
    edfi.EducationOrganizationAddress,
    edfi.School,
    edfi.Student,
    edfi.StudentEducationOrganizationAssociation,
    edfi.StudentEducationOrganizationAssociationLanguage,
    edfi.StudentEducationOrganizationAssociationRace,
    edfi.StudentSchoolAssociation,
    tracked_changes_edfi.Student,
    tracked_changes_edfi.StudentEducationOrganizationAssociation,
    tracked_changes_edfi.StudentSchoolAssociation
to edfi_reader;
