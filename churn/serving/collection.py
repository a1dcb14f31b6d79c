"""Garbage collection without long stops, for processes that answer requests."""

import atexit
import gc

atexit.register(gc.unfreeze)  # libraries complain of what is left when the process ends


def settle() -> None:
    """Exempts what is in memory now from garbage collection: libraries, models and documents stay,
    and looking through them stops every request for 50 to 100 ms.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
