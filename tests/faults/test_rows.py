"""The list of faults: each has a test that names its row, so that none is lost."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
ROWS = {
    1: "killed while scoring",
    2: "killed while writing to a database",
    3: "killed while training",
    4: "disk full",
    5: "output that cannot be written",
    6: "memory limit",
    7: "damaged Parquet",
    8: "flipped bits",
    9: "missing columns",
    10: "extra columns",
    11: "numbers as text, dates as numbers",
    12: "duplicate orders",
    13: "rows later than the clock",
    14: "time zones and changes of the clock",
    15: "amounts that are no numbers",
    16: "negative amounts",
    17: "several currencies",
    18: "ids of any kind",
    19: "a customer with ten million rows",
    20: "no rows",
    21: "one class",
    22: "rows that arrive late",
    23: "drift, or a tenth of the rows",
    24: "a model of other features",
    25: "a damaged model",
    26: "a model whose hash was recomputed",
    27: "a pickle in a model's folder",
    28: "a model with another label",
    29: "paths as names",
    30: "links out of a bundle",
    31: "no MLflow at training",
    32: "no MLflow at serving",
    33: "four first trainings",
    34: "two promotions",
    35: "two runs into one file",
    36: "a swap of the model during a run",
    37: "large bodies",
    38: "too many rows or columns",
    39: "numbers and text that are none",
    40: "slow clients",
    41: "large and ambiguous heads",
    42: "missing and revoked keys",
    43: "SIGTERM under load",
    44: "generated requests",
    45: "SQL as a name",
    46: "files read by a condition",
    47: "formulas in a CSV",
    48: "scripts in a report",
    49: "objectors and erased customers",
    50: "unsubscribing twice, and by GET",
    51: "caps across repeated runs",
    52: "clocks and leap days",
    53: "seeds and threads",
}
ELSEWHERE = range(24, 46)
"""Rows of models and of the service, whose tests may lie beside what they test."""
NAMED = re.compile(r"\b(?:fault|row)s?[ _](\d+(?:(?:, | and | to )\d+)*)", re.IGNORECASE)


def rows_named_in(folder):
    """The rows that the names or docstrings of tests in the folder name."""
    found = set()
    for path in folder.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                text = f"{node.name.removeprefix('test_')} {ast.get_docstring(node) or ''}"
                numbers = " ".join(match[1] for match in NAMED.finditer(text))
                found.update(map(int, re.findall(r"\d+", numbers)))
    return found


def test_every_row_has_a_test_that_names_it():
    here, everywhere = rows_named_in(Path(__file__).parent), rows_named_in(TESTS)
    assert list(ROWS) == list(range(1, 54))
    lost = {
        row: fault
        for row, fault in ROWS.items()
        if row not in (everywhere if row in ELSEWHERE else here)
    }
    assert not lost
