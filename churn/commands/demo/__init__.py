"""`churn demo`: the whole loop on a simulated shop."""
