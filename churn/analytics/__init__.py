"""Analysis of the customer base: segments."""
