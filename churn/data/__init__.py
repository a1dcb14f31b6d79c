"""What happened, and when we pretend it is now: tables, cutoffs, history, labels."""
