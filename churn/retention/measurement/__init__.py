"""What a campaign earned, told from those who were kept without it."""
