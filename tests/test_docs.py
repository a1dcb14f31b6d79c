"""The reference pages match the code exactly; the site builds."""

import dataclasses
import json
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from churn.cli.reference import NOTES, command_reference, commands_by_name
from churn.config import Settings
from churn.data.contracts import TABLES
from churn.data.settings import DataSettings, OrdersSource, TableSource
from churn.data.tables import Tables

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
CONFIGURATION = (DOCS / "configuration.md").read_text(encoding="utf-8")
TABLES_PAGE = (DOCS / "tables.md").read_text(encoding="utf-8")
ANY_TABLE = "data.<table>"
NOT_IN_THE_FILE = {("", "folder")}


def documented(page: str, header: str) -> Iterator[tuple[str, list[str]]]:
    """The section (its heading without brackets and backticks) and the cells of each table row."""
    section = ""
    for line in page.splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ").strip("`[]")
        if line.startswith("|") and not line.startswith((header, "|---")):
            cells = line.strip().removeprefix("|").removesuffix("|").split("|")
            if section:  # what stands above the first one is about all of them
                yield section, [cell.strip() for cell in cells]


def written(field: dataclasses.Field[object]) -> str:
    """The default of a key as the page writes it."""
    if field.default_factory is not dataclasses.MISSING:
        empty = json.dumps(field.default_factory(), default=dict)
        return f"`{empty}`"
    if field.default is dataclasses.MISSING:
        return ""
    if field.default is None:
        return "not set"
    return f"`{json.dumps(field.default, default=str)}`"


def part_of(hint: object) -> type | None:
    """The dataclass of a key, None if it has a plain value."""
    found = [one for one in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(one)]
    return typing.cast("type | None", found[0]) if found else None


def keys_of(kind: type, section: str = "") -> Iterator[tuple[tuple[str, str], str]]:
    """(section, key) and the default as written, of a part of the settings and all parts in it."""
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        inner = part_of(hints[field.name])
        if inner is not None and issubclass(inner, TableSource):
            names = {one.name for one in dataclasses.fields(TableSource)}
            for own in dataclasses.fields(inner):
                place = ANY_TABLE if own.name in names else f"{section}.{field.name}"
                yield (place, own.name), written(own)
        elif inner is not None:
            yield from keys_of(inner, f"{section}.{field.name}".strip("."))
        else:
            yield (section, field.name), written(field)


def known_keys() -> dict[tuple[str, str], str]:
    keys = {key: value for key, value in keys_of(Settings) if key not in NOT_IN_THE_FILE}
    own = {key for key in keys if key[0] == "data.orders"}  # stands below the keys of all tables
    return {(ANY_TABLE, k) if (s, k) in own else (s, k): v for (s, k), v in keys.items()}


def documented_keys() -> dict[tuple[str, str], str]:
    rows = documented(CONFIGURATION, "| key |")
    return {(section, cells[0].strip("*`")): cells[2] for section, cells in rows}


def test_every_key_and_no_other_is_documented():
    known, there = set(known_keys()), set(documented_keys())
    missing, extra = sorted(known - there), sorted(there - known)
    assert not missing, f"add a line to docs/configuration.md for each of these keys: {missing}"
    assert not extra, f"take these keys out of docs/configuration.md: {extra}"


def test_the_defaults_of_keys_are_as_documented():
    known, there = known_keys(), documented_keys()
    wrong = {key: value for key, value in known.items() if there.get(key, value) != value}
    assert not wrong, "write these defaults into docs/configuration.md"


def test_required_keys_are_bold():
    rows = documented(CONFIGURATION, "| key |")
    bold = {(section, cells[0].strip("*`")) for section, cells in rows if cells[0][:2] == "**"}
    assert bold == {key for key, default in known_keys().items() if not default}


def test_every_table_has_its_section_in_the_page_of_keys():
    page = re.search(r"## `\[data\.<table>\]`\n\n(.*)\n", CONFIGURATION)
    assert page is not None
    assert set(re.findall(r"`\[data\.(\w+)\]`", page[1])) == set(TABLES)


def documented_columns() -> dict[tuple[str, str], tuple[str, str]]:
    """(table, column) → its kind, and "yes" where it is required."""
    rows = documented(TABLES_PAGE, "| column |")
    return {(table, cells[0].strip("`")): (cells[1], cells[2]) for table, cells in rows}


def known_columns() -> dict[tuple[str, str], tuple[str, str]]:
    return {
        (table.name, column.name): (column.kind, "yes" if column.required else "")
        for table in TABLES.values()
        for column in table.columns
        if column.name != "loaded_at"
    }


def test_every_column_and_no_other_is_documented():
    known, there = known_columns(), documented_columns()
    assert not known.keys() - there.keys(), "add a line to docs/tables.md for each of these columns"
    assert not there.keys() - known.keys(), "take these columns out of docs/tables.md"
    wrong = {name: known[name] for name in known if known[name] != there[name]}
    assert not wrong, "mend kind or required of these columns in docs/tables.md"


def examples() -> dict[str, str]:
    """The example of each table, as CSV."""
    found = re.findall(r"^## `(\w+)`\n.*?^```csv\n(.*?)^```", TABLES_PAGE, re.DOTALL | re.MULTILINE)
    return dict(found)


def test_every_table_has_an_example_with_every_column():
    assert set(examples()) == set(TABLES)
    for table, text in examples().items():
        assert {name for owner, name in known_columns() if owner == table} == set(
            text.splitlines()[0].split(",")
        ), f"the example of {table} in docs/tables.md must have every column"


def test_the_examples_are_read_without_losing_a_row(tmp_path):
    for table, text in examples().items():
        (tmp_path / f"{table}.csv").write_text(text, encoding="utf-8")
    others = {
        name: TableSource(source=f"{name}.csv") for name in examples() if name not in ("orders",)
    }
    settings = DataSettings(orders=OrdersSource(source="orders.csv"), **others)
    tables = Tables.from_settings(settings, folder=tmp_path, clock=datetime(2025, 1, 1, tzinfo=UTC))
    for table, audit in tables.audits.items():
        assert (dict(audit.dropped), audit.rows_kept) == ({}, 1), table
        assert audit.warnings == (), table


def test_the_command_reference_matches_the_application():
    page = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert page == f"{command_reference()}\n", "run `make docs`"


def test_every_command_has_a_note_and_no_other():
    assert set(NOTES) == set(commands_by_name())


def test_the_reference_names_every_argument_and_option():
    """Taken from the application itself, so that a missing row is noticed."""
    sections = command_reference().split("\n## ")[1:]
    for section, (name, command) in zip(sections, commands_by_name().items(), strict=True):
        assert section.startswith(f"`churn {name}`\n")
        rows = section.split("|---|---|---|\n")[1].splitlines()
        assert len(rows) == len(command.params)
        for row, parameter in zip(rows, command.params, strict=True):
            options = [*parameter.opts, *parameter.secondary_opts]
            wanted = [f"`{one}`" for one in options if one.startswith("-")] or [parameter.metavar]
            assert all(one in row for one in wanted), row
            assert row.endswith(f" {parameter.help} |")


def test_the_index_links_to_every_page():
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    links = {link for link in re.findall(r"\]\(([^)#]+)", index) if not link.startswith("..")}
    pages = {page.name for page in DOCS.glob("*.md")} - {"index.md"}
    assert links == pages | {"decisions/README.md"}


def test_the_site_builds_without_a_warning(tmp_path):
    """Broken links and anchors, and pages missing in the menu, are warnings."""
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "commands.html").is_file()
    assert (tmp_path / "project" / "readme.html").is_file()
