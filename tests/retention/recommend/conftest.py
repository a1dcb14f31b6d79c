"""The shop of baskets, made once and shared with the other rooms."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "shop"))
