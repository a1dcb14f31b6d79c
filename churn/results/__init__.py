"""What commands return and write: job results, tables of results as files or database rows."""
