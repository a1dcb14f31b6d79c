"""What `churn export` and `churn send` share."""
