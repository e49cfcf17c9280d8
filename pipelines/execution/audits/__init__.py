"""Audits of tables: put back to before a run, compared, and asked who wrote which row."""
