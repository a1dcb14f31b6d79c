"""Results of commands: job results, and result tables as files or database rows."""
