"""Rows in, a fitted, judged and recorded model out."""
