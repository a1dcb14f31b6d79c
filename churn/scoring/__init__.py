"""A model and a snapshot in, a score and its reasons for every customer out."""
