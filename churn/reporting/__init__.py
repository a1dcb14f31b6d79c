"""What people read: the overview, the report as one file, the digest, and what the pages show."""
