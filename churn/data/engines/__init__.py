"""What computes: one interface, and the engines behind it."""
