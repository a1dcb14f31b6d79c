"""A first look at a user's orders: how the file is written, what its columns mean, its grain."""
