"""The pages of the shop: what `churn publish` wrote, rendered on the server, by role."""
