"""What statements read and write: tables from their text, columns from Spark's analysed plans."""
