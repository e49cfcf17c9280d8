"""SQL templates: files and text rendered with Jinja2, in a sandbox with limits."""

from pipelines.utils.sql_loader.loader import RenderedSql, SqlLoader
from pipelines.utils.sql_loader.quoting import quoted_name, sql_identifier, sql_literal
from pipelines.utils.sql_loader.sandbox import MAX_TEXT

__all__ = ["MAX_TEXT", "RenderedSql", "SqlLoader", "quoted_name", "sql_identifier", "sql_literal"]
