"""What happens with results: logs, tables, notifications."""
