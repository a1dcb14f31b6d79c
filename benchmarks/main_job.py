"""Wall time and peak memory of the main job's commands on the example data, each a process.

    .venv/bin/python benchmarks/main_job.py

Needs `make train` to have been run once, for its data. Everything is written to a temporary
folder. Peak memory is that of the largest single process.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def commands(out: Path) -> dict[str, list[str]]:
    """The main job, step by step."""
    models = str(out / "models")
    return {
        "check": ["check"],
        "train": ["train", "--models", models],
        "features": ["features", "--out", str(out / "features.parquet")],
        "score": ["score", "--model", f"{models}/champion", "--out", str(out / "scores.parquet")],
        "plan": [
            *("plan", "--scores", str(out / "scores.parquet")),
            *("--out", str(out / "plan.parquet")),
        ],
    }


def measured(command: list[str], folder: Path) -> tuple[float, float]:
    """Seconds and mebibytes of one `churn` command."""
    settings = {"CHURN__TRACKING__URI": f"sqlite:///{folder}/mlflow.db"}
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "churn", *command],
        cwd=ROOT,
        env=os.environ | settings,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"churn {' '.join(command)} ended with {process.returncode}")
    return time.perf_counter() - begin, used.ru_maxrss / 1024


def main() -> None:
    """Print the table."""
    print(f"{os.cpu_count()} cores, {_memory_gib():.0f} GiB")
    print(f"{'command':<12}{'seconds':>9}{'peak MiB':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for name, command in commands(Path(folder)).items():
            took, peak = measured(command, Path(folder))
            print(f"{name:<12}{took:>9.1f}{peak:>10.0f}")


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


if __name__ == "__main__":
    main()
