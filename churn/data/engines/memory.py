"""DuckDB's default memory limit: enough for the files, but not the whole machine."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from churn.errors import ConfigError

SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT])(i?)B", re.IGNORECASE)

LEAST_BYTES = 2_500_000_000
COMPRESSED_TIMES = 12  # Parquet and .gz; their rows and days take 10 to 12 times as much memory
PLAIN_TIMES = 3
LARGEST_SHARE = 0.8  # of the machine, DuckDB's own rule


def usual_memory_limit(files: Iterable[Path]) -> str | None:
    """The limit for reading those files, in DuckDB's notation; None without files.

    2.5 GB, or what large files need: 12 times the size of compressed ones and 3 times that of
    others; never more than 80 % of the machine. Beyond it DuckDB spills to disk.
    """
    sizes = [path.stat().st_size * _times(path) for path in files]
    if not sizes:
        return None
    limit = min(max(LEAST_BYTES, sum(sizes)), LARGEST_SHARE * machine_bytes())
    return f"{round(limit / 1e6)}MB"


def bytes_of(limit: str) -> float:
    """The bytes of a size in DuckDB's notation; ConfigError where it is none.

    >>> bytes_of("2GB"), bytes_of("1.5 KiB")
    (2000000000.0, 1536.0)
    """
    match = SIZE.fullmatch(limit.strip())
    if match is None or not float(match[1]):
        rule = "[data] memory_limit must be a size above zero"
        raise ConfigError(rule, got=repr(limit), fix='Write e.g. "2GB".')
    base = 1024 if match[3] else 1000
    return float(float(match[1]) * base ** (1 + "KMGT".index(match[2].upper())))


def machine_bytes() -> int:
    """The memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _times(path: Path) -> int:
    return COMPRESSED_TIMES if path.suffix.lower() in (".parquet", ".gz") else PLAIN_TIMES
