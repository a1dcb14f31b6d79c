"""Campaigns: delivery and measurement."""
