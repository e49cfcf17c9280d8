-- The least that the main flow needs of an Ed-Fi ODS on SQL Server. Run it in the ODS as its owner. The login is
-- made by an administrator: create login edfi_reader with password = '…', check_policy = on;
-- A flow that reads more tables needs a line for each.
create user edfi_reader for login edfi_reader;

grant select on edfi.Descriptor to edfi_reader;
grant select on edfi.EducationOrganization to edfi_reader;
grant select on edfi.EducationOrganizationAddress to edfi_reader;
grant select on edfi.School to edfi_reader;
grant select on edfi.Student to edfi_reader;
grant select on edfi.StudentEducationOrganizationAssociation to edfi_reader;
grant select on edfi.StudentEducationOrganizationAssociationLanguage to edfi_reader;
grant select on edfi.StudentEducationOrganizationAssociationRace to edfi_reader;
grant select on edfi.StudentSchoolAssociation to edfi_reader;
grant select on tracked_changes_edfi.Student to edfi_reader;
grant select on tracked_changes_edfi.StudentEducationOrganizationAssociation to edfi_reader;
grant select on tracked_changes_edfi.StudentSchoolAssociation to edfi_reader;

-- It can change nothing, not even where somebody grants too much.
deny insert, update, delete, execute on schema::edfi to edfi_reader;
deny insert, update, delete, execute on schema::tracked_changes_edfi to edfi_reader;
