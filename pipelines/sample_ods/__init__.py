"""An embedded Ed-Fi ODS with synthetic data, for users without a database."""
