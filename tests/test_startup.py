"""What each command imports: heavy libraries are loaded only where they are needed."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

HEAVY = {"numpy", "pyarrow", "duckdb", "scipy", "pandas", "sklearn", "lightgbm", "mlflow"}
NEEDED = {
    "--help": set(),
    "train --help": set(),
    "features": {"numpy", "pyarrow", "duckdb", "scipy"},
    "check": HEAVY - {"lightgbm", "mlflow"},
    "models": HEAVY - {"lightgbm", "mlflow"},
}
"""The most that a command may import of `HEAVY`."""

RUN = """
import json, sys
from churn.cli import main
try:
    main()
except SystemExit as ended:
    code = ended.code or 0
else:
    code = 0
print(json.dumps([code, sorted({name.split(".")[0] for name in sys.modules})]))
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A configuration of forty customers with an order a month."""
    folder = tmp_path_factory.mktemp("startup")
    begin = datetime(2022, 1, 1, tzinfo=UTC)
    rows = [
        {
            "customer_id": f"c{n % 40}",
            "order_id": str(n),
            "ordered_at": begin + timedelta(hours=18 * n),
            "amount": 5.0 + n % 30,
        }
        for n in range(1_200)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "orders.parquet")
    path = folder / "churn.toml"
    path.write_text('[data.orders]\nsource = "orders.parquet"\n[churn]\nhorizon_days = 28\n')
    return path


@pytest.mark.parametrize("command", NEEDED)
def test_a_command_imports_no_heavy_library_that_it_does_not_need(config, command):
    words = command.split()
    if "--help" not in words:
        words += ["--config", str(config)]
    if command == "features":
        words += ["--out", str(config.with_name("features.parquet"))]
    run = subprocess.run(
        [sys.executable, "-c", RUN, *words], capture_output=True, text=True, check=True
    )
    code, modules = json.loads(run.stdout.splitlines()[-1])
    assert code == 0, run.stderr
    assert HEAVY & set(modules) <= NEEDED[command]


def test_serve_listens_before_it_imports_any_library():
    """`/livez` is answered within half a second, for which `import uvicorn` alone is too much."""
    code = "import json, sys, churn.cli, churn.commands.serve; print(json.dumps([*sys.modules]))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = {name.split(".")[0] for name in json.loads(run.stdout)}
    slow = HEAVY | {"fastapi", "uvicorn", "pydantic", "starlette", "rich", "asyncio", "sqlite3"}
    assert not modules & slow
