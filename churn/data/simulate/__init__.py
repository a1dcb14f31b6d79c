"""A made-up shop whose truth is known: for mechanics and speed, never as evidence of quality."""
