"""How a value may be written: flags, numbers, times, and the shape of what is not understood."""
