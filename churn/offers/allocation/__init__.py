"""Allocation of offers under a budget and capacities."""
