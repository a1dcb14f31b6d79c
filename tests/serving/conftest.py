"""The simulated shop, made once and shared with the other rooms."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "shop"))
