"""The peers: what each needs, and the command that writes its table."""

import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from features.measure import PROGRAMS

__all__ = ["Peer", "peers_of"]

VERSION = "import importlib.metadata as m; print(m.version('{}'))"


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A tool: the package it needs, its program, and an interpreter that has the package."""

    name: str
    package: str
    program: str
    python: str = sys.executable
    slow: bool = False

    def command(self, orders: Path, cutoff: date, out: Path) -> list[str]:
        """The command line that writes this tool's table; what it keeps at home, it keeps there."""
        home = ["env", f"HOME={out.parent}"]
        program = [self.python, str(PROGRAMS / self.program)]
        return [*home, *program, str(orders), str(cutoff), str(out)]

    def version(self) -> str | None:
        """The version of the package that the interpreter has; None where it has none."""
        command = [self.python, "-c", VERSION.format(self.package)]
        try:
            found = subprocess.run(command, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        return found.stdout.strip()


def peers_of(other_python: str | None) -> list[Peer]:
    """By hand with what this project has; the rest with an interpreter that has them."""
    other = other_python or "not installed"
    return [
        Peer(name="SQL by hand, DuckDB", package="duckdb", program="sql_by_hand.py"),
        Peer(name="by hand, Polars", package="polars", program="polars_by_hand.py"),
        Peer(name="by hand, pandas", package="pandas", program="pandas_by_hand.py"),
        Peer(name="FastProp, getML", package="getml", program="getml_fastprop.py", python=other),
        Peer(
            name="dfs, Featuretools",
            package="featuretools",
            program="featuretools_dfs.py",
            python=other,
            slow=True,
        ),
    ]
