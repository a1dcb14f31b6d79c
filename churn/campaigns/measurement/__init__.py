"""Measurement of campaigns against their holdout."""
