"""`churn demo`: the complete loop on a simulated shop."""
