"""Scores in, one offer or none for every customer out, within the budget."""
