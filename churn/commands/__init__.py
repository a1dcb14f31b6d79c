"""The commands as library calls: each opens a session, calls the rooms below, returns a result."""
