"""The past of customers at a cutoff: sorted rows, swept with NumPy, the same on every engine."""
