"""Erasure of customers from written files, which are rewritten without their rows.

A file is recognised by its manifest and verified against it. It is replaced atomically, like every
output; its manifest counts the erased rows and contains no id.
"""

from __future__ import annotations

import csv
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from churn.campaigns.delivery.audiences import AUDIENCES
from churn.campaigns.delivery.planned import LIST_SCHEMA, PLANNED_COLUMNS, Planned
from churn.errors import DataError
from churn.reporting.page_tables import erase_from_page
from churn.reporting.report import customers_listed
from churn.results.spreadsheets import read_text, unguarded
from churn.results.workbook import as_table, cells_of, text_of, write_workbook
from churn.storage.erasures import Erased
from churn.storage.ledger import Ledger
from churn.storage.locks import exclusive, lock_beside
from churn.storage.manifests import publish_with_manifest, sidecar_of, verify_file
from churn.storage.publish import remove_leftovers

WRITTEN = (".parquet", ".csv", ".xlsx", ".json", ".duckdb", ".html", ".pdf")
MANIFEST = ".manifest.json"
RECORDS_AT_ONCE = 10_000


class AddressesUnknownError(DataError):
    """An audience cannot be searched, since the addresses of the customers are unknown."""


Addresses = list[tuple[str | None, str | None]]


@dataclass(frozen=True)
class AudienceRows:
    """E-mail address and phone number of the erased customers who are still in the shop's tables.

    If none is, `addresses` is None and audiences cannot be searched.
    """

    addresses: Addresses | None = field(repr=False)
    phone_region: str | None

    def matches(
        self, names: list[str], audience: object
    ) -> tuple[list[str], Callable[[pa.Table], list[bool]]] | None:
        """The hashed columns of an audience, and a function that returns for each row whether it is
        of an erased customer: whether one of the two addresses is theirs. None if the file is no
        audience. Raises AddressesUnknownError without addresses.
        """
        kind = AUDIENCES.get(str(audience))
        if kind is None or [kind.email_column, kind.phone_column] != names:
            return None
        if self.addresses is None:
            rule = "searching an audience requires the addresses of the erased customers"
            fix = "Export it again, or connect [data.customers] with their rows."
            raise AddressesUnknownError(rule, fix=fix)
        emails = {kind.hashed_email(email) for email, _ in self.addresses} - {None}
        region = self.phone_region
        phones = {kind.hashed_phone(phone, region=region) for _, phone in self.addresses} - {None}

        def theirs(rows: pa.Table) -> list[bool]:
            pairs = zip(*(rows[name].to_pylist() for name in names), strict=True)
            return [email in emails or phone in phones for email, phone in pairs]

        return names, theirs


Matches = Callable[[pa.Table], list[bool]]


def files_below(folders: Iterable[Path]) -> list[Path]:
    """The files with a manifest in these folders and below; links are not followed."""
    paths = []
    for folder in folders:
        for parent, _, names in os.walk(folder):
            manifests = [name for name in names if name.endswith(MANIFEST)]
            paths += [Path(parent, name.removesuffix(MANIFEST)) for name in manifests]
    return sorted(path for path in paths if path.suffix in WRITTEN and path.is_file())


@dataclass(frozen=True)
class FileEraser:
    """Removes the erased customers from files; a dry run only counts."""

    ledger: Ledger
    erased: Erased
    audiences: AudienceRows
    dry_run: bool = False

    def erase(self, path: Path) -> int:
        """Number of erased rows. Raises DataError if the file has no manifest or does not match
        it, since its contents are then unknown.
        """
        if not self.dry_run:
            remove_leftovers(path)
        facts = verify_file(path)
        if facts is None:
            raise DataError(f"{path} must have its manifest next to it", fix="Check it by hand.")
        if path.suffix == ".json":
            return self._erase_object(path)
        if path.suffix == ".duckdb":
            return self._erase_published(path, facts)
        if path.suffix in (".html", ".pdf"):
            return self._erase_report(path, facts)
        if path.suffix == ".csv":
            return self._erase_csv(path, facts)
        if path.suffix == ".xlsx":
            return self._erase_workbook(path, facts)
        return self._erase_parquet(path, facts)

    def _matches(self, names: list[str], facts: dict[str, Any]) -> tuple[list[str], Matches] | None:
        """The columns that identify customers, and a function that returns for each row whether it
        is of an erased one; None without such columns.
        """
        if "customer_id" in names:
            return ["customer_id"], self._is_erased
        return self.audiences.matches(names, facts.get("audience"))

    def _is_erased(self, rows: pa.Table) -> list[bool]:
        ids = rows["customer_id"].to_pylist()
        erased = set(self.erased.among({name for name in ids if name is not None}))
        return [name in erased for name in ids]

    def _erase_parquet(self, path: Path, facts: dict[str, Any]) -> int:
        try:
            file = pq.ParquetFile(path)
        except (pa.ArrowException, OSError):
            raise DataError(f"{path} must be a complete Parquet file", fix="Remove it.") from None
        with file:
            matching = self._matches(file.schema_arrow.names, facts)
            if matching is None:
                return 0
            columns, matches = matching
            count = sum(sum(matches(rows)) for rows in _batches(file, columns))
            if not count or self.dry_run:
                return count
            if set(PLANNED_COLUMNS) <= set(file.schema_arrow.names):
                plan = pq.read_table(path, columns=[*PLANNED_COLUMNS])
                update_plan_digest(self.ledger, plan, _remaining(plan, matches(plan)))
            with (
                publish_with_manifest(path, _with_erased(facts, count)) as temporary,
                pq.ParquetWriter(temporary, file.schema_arrow, compression="zstd") as writer,
            ):
                for rows in _batches(file, None):
                    writer.write_table(_remaining(rows, matches(rows)))
        return count

    def _erase_csv(self, path: Path, facts: dict[str, Any]) -> int:
        with path.open(encoding="utf-8", newline="") as text:
            names = _cells([next(_records(text), "")])[0]
            matching = self._matches(names, facts)
            if matching is None:
                return 0
            count = sum(erased for _, erased in _records_matched(text, names, matching))
        if not count or self.dry_run:
            return count
        self._update_plan_of_text(path, names, matching)
        with (
            publish_with_manifest(path, _with_erased(facts, count)) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as target,
            path.open(encoding="utf-8", newline="") as text,
        ):
            target.write(next(_records(text)))
            matched = _records_matched(text, names, matching)
            target.writelines(record for record, erased in matched if not erased)
        return count

    def _erase_workbook(self, path: Path, facts: dict[str, Any]) -> int:
        names, rows = cells_of(path)
        matching = self._matches(names, facts)
        if matching is None:
            return 0
        columns, matches = matching
        texts = {
            name: pa.array([text_of(row[names.index(name)]) for row in rows], pa.string())
            for name in columns
        }
        erased = matches(pa.table(texts))
        count = sum(erased)
        if not count or self.dry_run:
            return count
        self._update_plan_of_text(path, names, matching)
        left = as_table(names, [row for row, gone in zip(rows, erased, strict=True) if not gone])
        with publish_with_manifest(path, _with_erased(facts, count)) as temporary:
            write_workbook([left], left.schema, temporary)
        return count

    def _update_plan_of_text(
        self, path: Path, names: list[str], matching: tuple[list[str], Matches]
    ) -> None:
        """`update_plan_digest` for a plan in a CSV file or workbook."""
        if set(PLANNED_COLUMNS) <= set(names):
            plan = read_text(path, LIST_SCHEMA).select(list(PLANNED_COLUMNS))
            update_plan_digest(self.ledger, plan, _remaining(plan, matching[1](plan)))

    def _erase_published(self, path: Path, facts: dict[str, Any]) -> int:
        """Erases from a file of `churn publish`, its tables and its documents."""
        count = erase_from_page(path, None, self._is_erased)
        if count and not self.dry_run:
            with publish_with_manifest(path, _with_erased(facts, count)) as temporary:
                erase_from_page(path, temporary, self._is_erased)
        return count

    def _erase_report(self, path: Path, facts: dict[str, Any]) -> int:
        """Removes a report that lists an erased customer; one without ids lists nobody."""
        if not facts.get("ids"):
            return 0
        if path.suffix == ".pdf":
            rule = f"{path} cannot be searched for customers"
            raise DataError(rule, fix="Remove it, and write the report again.")
        gone = self.erased.among(set(customers_listed(path.read_text(encoding="utf-8"))))
        if gone and not self.dry_run:
            self._remove(path)
        return len(gone)

    def _remove(self, path: Path) -> None:
        with exclusive(lock_beside(path), what=f"erasing {path.name}"):
            path.unlink()
            sidecar_of(path).unlink(missing_ok=True)
        with suppress(OSError):
            lock_beside(path).unlink()

    def _erase_object(self, path: Path) -> int:
        """Removes the whole file: an answer of `churn access` is about one customer."""
        name = json.loads(path.read_bytes()).get("customer_id")
        if not isinstance(name, str) or self.erased.date_of(name) is None:
            return 0
        if not self.dry_run:
            self._remove(path)
        return 1


def update_plan_digest(ledger: Ledger, before: pa.Table, after: pa.Table) -> None:
    """Links recorded exports, which identify a plan by its digest, to the plan after erasure."""
    if not set(PLANNED_COLUMNS) <= set(before.column_names):
        return
    old, new = Planned.read(before), Planned.read(after)
    if old is not None and new is not None:
        with ledger.changing() as connection:
            connection.execute(
                "UPDATE exports SET plan_digest = ? WHERE plan_digest = ?",
                (new.digest, old.digest),
            )


def _with_erased(facts: dict[str, Any], count: int) -> dict[str, Any]:
    rows = {"rows": facts["rows"] - count} if "rows" in facts else {}
    return {**facts, **rows, "erased": facts.get("erased", 0) + count}


def _batches(file: pq.ParquetFile, columns: list[str] | None) -> Iterator[pa.Table]:
    for batch in file.iter_batches(columns=columns):
        yield pa.Table.from_batches([batch])


def _remaining(rows: pa.Table, erased: list[bool]) -> pa.Table:
    return rows.filter(pa.array([not gone for gone in erased], pa.bool_()))


def _records_matched(
    text: IO[str], names: list[str], matching: tuple[list[str], Matches]
) -> Iterator[tuple[str, bool]]:
    """The records of a CSV file, verbatim, and whether each is of an erased customer."""
    columns, matches = matching
    records = _records(text)
    while batch := list(itertools.islice(records, RECORDS_AT_ONCE)):
        rows = _cells(batch)
        cells = {
            name: unguarded(pa.array([_cell(row, names.index(name)) for row in rows], pa.string()))
            for name in columns
        }
        yield from zip(batch, matches(pa.table(cells)), strict=True)


def _records(text: IO[str]) -> Iterator[str]:
    """The records verbatim; a line with an open quote continues on the next."""
    record = ""
    for line in text:
        record += line
        if record.count('"') % 2 == 0:
            yield record
            record = ""
    if record:
        yield record


def _cells(records: list[str]) -> list[list[str]]:
    return list(csv.reader(StringIO("".join(records), newline="")))


def _cell(row: list[str], column: int) -> str:
    return row[column] if column < len(row) else ""
