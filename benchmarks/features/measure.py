"""Whole processes, measured from outside: seconds on the wall, seconds of the processor (user and
system, all threads), peak memory, and what they say of themselves.

A measured process ends its standard output with one JSON object. This process stays small on
purpose: a child's peak memory counts from the moment it is forked.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

__all__ = ["PROGRAMS", "ROOT", "Run", "RunError", "interleaved", "measured", "own_program"]

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).resolve().parent / "programs"


class RunError(Exception):
    """A measured process ended with a failure."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """Time, the largest process's memory with that of any server it started, and its word."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    facts: Mapping[str, Any] = field(default_factory=dict)


def own_program(name: str, *arguments: object) -> list[str]:
    """The command that runs one of our programs with this interpreter."""
    return [sys.executable, str(PROGRAMS / name), *map(str, arguments)]


def measured(command: Sequence[str]) -> Run:
    """One run of a command; RunError with its last words where it fails."""
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complained:
        begin = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=said,
            stderr=complained,
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RunError(f"{command} ended with {process.returncode}: {_last_line(complained)}")
        facts = json.loads(_last_line(said))
    peak = used.ru_maxrss / 1024 + facts.get("server_peak_mib", 0)
    cpu_seconds = used.ru_utime + used.ru_stime
    return Run(seconds=seconds, cpu_seconds=cpu_seconds, peak_mib=peak, facts=facts)


def interleaved(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, Run]:
    """The median of each command's runs, taken in turn so that a slow moment hits all alike."""
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            print(f"  {name}", file=sys.stderr, flush=True)
            runs[name].append(measured(command))
    return {name: _median(of_one) for name, of_one in runs.items()}


def _median(runs: Sequence[Run]) -> Run:
    return Run(
        seconds=statistics.median(run.seconds for run in runs),
        cpu_seconds=statistics.median(run.cpu_seconds for run in runs),
        peak_mib=statistics.median(run.peak_mib for run in runs),
        facts=runs[-1].facts
        | {
            key: statistics.median(run.facts[key] for run in runs)
            for key, value in runs[-1].facts.items()
            if isinstance(value, float)
        },
    )


def _last_line(stream: IO[bytes]) -> str:
    stream.seek(0)
    lines = stream.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "{}"
