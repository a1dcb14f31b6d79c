"""Access to and erasure of what is held on a customer."""
