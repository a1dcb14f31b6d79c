"""HTTP services: the unsubscribe page."""
