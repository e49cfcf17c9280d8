"""Maintenance of tables: small files joined, files that nobody needs deleted."""
