"""What offers change, learnt from a randomised past: trial, learners, uplift, verdict, storage."""
