"""Whole commands as library calls; the command line is their face."""
