"""A simulated shop whose true effects are known."""
