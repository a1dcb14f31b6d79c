"""What the shop's base looks like: segments of customers."""
