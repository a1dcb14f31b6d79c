"""Profiling of files: delimiter, columns, notations, grain, source system."""
