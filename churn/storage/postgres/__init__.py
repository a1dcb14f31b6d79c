"""Tables in PostgreSQL: addresses, connections, rows written whole or not at all."""
