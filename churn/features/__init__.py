"""History in, one row of numbers per customer and cutoff out."""
