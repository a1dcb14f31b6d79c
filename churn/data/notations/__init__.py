"""How values are written: flags, numbers, times, and the shape of unrecognised values."""
