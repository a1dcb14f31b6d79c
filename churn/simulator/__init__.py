"""A simulated shop with known true effects."""
