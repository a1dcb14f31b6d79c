"""How long the package and the command take to start, beside a bare interpreter.

    .venv/bin/python benchmarks/startup.py

Medians of whole processes, run in turn so that a slow moment of the machine hits all alike.
"""

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "bare python": [sys.executable, "-c", "pass"],
    "import churn": [sys.executable, "-c", "import churn"],
    "churn --help": [sys.executable, "-m", "churn", "--help"],
}
ROUNDS = 9


def seconds(command: list[str]) -> float:
    """Wall time of one process."""
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def main() -> None:
    """Print the table."""
    for command in COMMANDS.values():  # warm the file cache
        seconds(command)
    runs = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, command in COMMANDS.items():
            runs[name].append(seconds(command))
    bare = statistics.median(runs["bare python"])
    print(f"{'':<14}{'seconds':>9}{'ratio':>8}")
    for name, times in runs.items():
        middle = statistics.median(times)
        print(f"{name:<14}{middle:>9.3f}{middle / bare:>8.1f}")


if __name__ == "__main__":
    main()
