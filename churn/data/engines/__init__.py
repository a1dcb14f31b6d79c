"""Execution engines behind one interface."""
