"""Product recommendations for messages."""
