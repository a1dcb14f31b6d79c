"""The HTTP API: scores, offers and consent for other services."""
