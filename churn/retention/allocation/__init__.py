"""Who gets which offer within a budget, capacities, and caps and floors of groups."""
