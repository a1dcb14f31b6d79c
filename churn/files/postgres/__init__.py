"""Tables in PostgreSQL: their addresses, one connection, rows that appear whole or not at all."""
