"""What happened, as known at a point in time: tables, cutoffs, history, labels."""
