"""Tables in PostgreSQL: addresses, connections, atomic writes of rows."""
