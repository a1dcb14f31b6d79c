"""From history to features: one row of numbers per customer and cutoff."""
