"""The nightly run on a copy of a shop: what a second run costs, and what kills leave.

    python benchmarks/nightly.py churn.toml 2017-12-10 [--kills 40] [--seed 7]

The configuration needs a champion. Its folder is not touched: nights run in copies, in which the
data are linked. Each run is a process of its own. A run is killed (SIGKILL) after a drawn amount of
processor time, whatever step it is in, and then started again, until its night is done; nights are
added until there were enough kills. The outputs of each must have the hashes of a night that
nobody disturbed.
"""

import argparse
import hashlib
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import psutil

from churn.reporting.published import Published
from churn.storage.files import sha256_of

REPEATS = 3
PER_NIGHT = 10
"""Kills of one night, at most."""
LEFT = ("out", "ledger.*", "mlflow.db", "mlartifacts", "data", ".*", "tests", "churn", "benchmarks")
FILES = ("scores.parquet", "plan.parquet", "monitor.json")
OWN = ("published", "documents")
"""Tables that hold when and by which run the file was published."""


@contextmanager
def copied(config):
    """The configuration in a copy of its folder."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "shop"
        shutil.copytree(config.parent, folder, ignore=shutil.ignore_patterns(*LEFT))
        (folder / "data").symlink_to((config.parent / "data").resolve())
        yield folder / config.name


def command(config, as_of):
    """One nightly run."""
    return [sys.executable, "-m", "churn", "run", "--config", config.name, "--as-of", as_of]


def spent(config, as_of):
    """CPU seconds and seconds on the clock of one run that nobody disturbs."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    subprocess.run(command(config, as_of), cwd=config.parent, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.perf_counter() - begun


def killed(config, as_of, after_cpu_seconds):
    """Whether the run was killed after that much processor time, and did not end before."""
    words = command(config, as_of)
    with subprocess.Popen(words, cwd=config.parent, stdout=-3, stderr=-3) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                times = watched.cpu_times()
            except psutil.NoSuchProcess:
                break
            if times.user + times.system >= after_cpu_seconds:
                process.kill()
            time.sleep(0.01)
    assert process.returncode in (0, -9), process.returncode
    return process.returncode == -9


def content(config):
    """The hashes of the results: of files, and of every table of the published one."""
    out = config.parent / "out"
    found = {name: sha256_of(out / name) for name in FILES}
    with Published(out / "page.duckdb") as page:
        cursor = page.cursor()
        names = [name for (name,) in cursor.execute("SHOW TABLES").fetchall()]
        for name in names:
            if name not in OWN:
                rows = cursor.execute(f'SELECT * FROM "{name}" ORDER BY ALL').fetchall()
                found[name] = hashlib.sha256(repr(rows).encode()).hexdigest()
    assert not list(config.parent.rglob(".*.tmp"))
    return found


def kills(config, as_of, expected, *, count, cpu, seed):
    """Kills so many runs at drawn moments; every night must end as expected."""
    chance = random.Random(seed)
    done = nights = 0
    while done < count:
        with copied(config) as shop:
            last = min(count, done + PER_NIGHT)
            while done < last and killed(shop, as_of, chance.uniform(0, cpu)):
                done += 1
            spent(shop, as_of)
            found = content(shop)
            different = {name for name in expected if found.get(name) != expected[name]}
            assert not different, different
        nights += 1
        print(f"{done} kills, {nights} nights as undisturbed: {len(expected)} hashes", flush=True)


def main():
    """The costs, then the kills."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("as_of")
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    config = given.config.resolve()
    os.environ["CHURN__TRACKING__URI"] = "http://127.0.0.1:9"
    with copied(config) as shop:
        first = spent(shop, given.as_of)
        later = [spent(shop, given.as_of) for _ in range(REPEATS)]
        expected = content(shop)
    again = sorted(cpu for cpu, _ in later)[REPEATS // 2]
    print(f"first {first[0]:.1f} s of CPU ({first[1]:.1f} s), again {again:.2f} s of CPU")
    print(f"ratio {again / first[0]:.1%}; load {os.getloadavg()[0]:.0f}", flush=True)
    kills(config, given.as_of, expected, count=given.kills, cpu=first[0] / 2, seed=given.seed)


if __name__ == "__main__":
    main()
