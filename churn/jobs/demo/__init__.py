"""`churn demo`: the whole loop on a simulated shop, from its orders to what offers earned."""
