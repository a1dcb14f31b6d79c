"""Erasure from files that the product wrote: rewritten without the customer, or left alone.

A file is known as the product's by its manifest, and checked against it. It is replaced as a whole,
like every output; its manifest counts how many rows were erased and holds no id.
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
from churn.results.spreadsheets import read_text, unguarded
from churn.results.workbook import as_table, cells_of, text_of, write_workbook
from churn.storage.erasures import Erased
from churn.storage.ledger import Ledger
from churn.storage.locks import exclusive, lock_beside
from churn.storage.manifests import publish_with_manifest, sidecar_of, verify_file
from churn.storage.publish import remove_leftovers

WRITTEN = (".parquet", ".csv", ".xlsx", ".json")
MANIFEST = ".manifest.json"
RECORDS_AT_ONCE = 10_000


class AddressesUnknownError(DataError):
    """An audience cannot be looked through, for the shop no longer knows where to reach them."""


Addresses = list[tuple[str | None, str | None]]


@dataclass(frozen=True)
class AudienceRows:
    """The e-mail and phone of each erased customer, as far as the shop's list still knows them.

    Where it does not, `addresses` is None and no audience can be looked through.
    """

    addresses: Addresses | None = field(repr=False)
    phone_region: str | None

    def matches(
        self, names: list[str], audience: object
    ) -> tuple[list[str], Callable[[pa.Table], list[bool]]] | None:
        """The hashed columns of an audience, and whether each row is of an erased customer; None
        where the file is no audience. AddressesUnknownError where there is nothing to hash.

        A row that shares one of the two with an erased customer counts as theirs.
        """
        kind = AUDIENCES.get(str(audience))
        if kind is None or [kind.email_column, kind.phone_column] != names:
            return None
        if self.addresses is None:
            rule = "to look through an audience the addresses of the erased must be known"
            fix = "Export it anew, or connect [data.customers] with their rows."
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
    """The files with a manifest beside them in those folders and below; links are not followed."""
    found = []
    for folder in folders:
        for parent, _, names in os.walk(folder):
            manifests = [name for name in names if name.endswith(MANIFEST)]
            found += [Path(parent, name.removesuffix(MANIFEST)) for name in manifests]
    return sorted(path for path in found if path.suffix in WRITTEN and path.is_file())


@dataclass(frozen=True)
class FileEraser:
    """Takes the erased out of one file after the other; a dry run only counts."""

    ledger: Ledger
    erased: Erased
    audiences: AudienceRows
    dry_run: bool = False

    def erase(self, path: Path) -> int:
        """How many rows of the erased were in the file. DataError where it is not what its
        manifest describes, or has none: then nobody knows what it holds.
        """
        if not self.dry_run:
            remove_leftovers(path)
        facts = verify_file(path)
        if facts is None:
            raise DataError(f"{path} must lie beside its manifest", fix="Look into it yourself.")
        if path.suffix == ".json":
            return self._erase_object(path)
        if path.suffix == ".csv":
            return self._erase_csv(path, facts)
        if path.suffix == ".xlsx":
            return self._erase_workbook(path, facts)
        return self._erase_parquet(path, facts)

    def _matches(self, names: list[str], facts: dict[str, Any]) -> tuple[list[str], Matches] | None:
        """The columns that tell whose a row is, and whether each row of them is of an erased."""
        if "customer_id" in names:
            return ["customer_id"], self._theirs
        return self.audiences.matches(names, facts.get("audience"))

    def _theirs(self, rows: pa.Table) -> list[bool]:
        cells = rows["customer_id"].to_pylist()
        gone = set(self.erased.among({name for name in cells if name is not None}))
        return [name in gone for name in cells]

    def _erase_parquet(self, path: Path, facts: dict[str, Any]) -> int:
        try:
            file = pq.ParquetFile(path)
        except (pa.ArrowException, OSError):
            raise DataError(f"{path} must be a whole Parquet file", fix="Remove it.") from None
        with file:
            matching = self._matches(file.schema_arrow.names, facts)
            if matching is None:
                return 0
            columns, matches = matching
            count = sum(sum(matches(rows)) for rows in _batches(file, columns))
            if not count or self.dry_run:
                return count
            if set(PLANNED_COLUMNS) <= set(file.schema_arrow.names):
                whole = pq.read_table(path, columns=[*PLANNED_COLUMNS])
                follow_plan(self.ledger, whole, _kept(whole, matches(whole)))
            with (
                publish_with_manifest(path, _with_erased(facts, count)) as temporary,
                pq.ParquetWriter(temporary, file.schema_arrow, compression="zstd") as writer,
            ):
                for rows in _batches(file, None):
                    writer.write_table(_kept(rows, matches(rows)))
        return count

    def _erase_csv(self, path: Path, facts: dict[str, Any]) -> int:
        with path.open(encoding="utf-8", newline="") as text:
            names = _cells([next(_records(text), "")])[0]
            matching = self._matches(names, facts)
            if matching is None:
                return 0
            count = sum(gone for _, gone in _judged(text, names, matching))
        if not count or self.dry_run:
            return count
        self._follow_text(path, names, matching)
        with (
            publish_with_manifest(path, _with_erased(facts, count)) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as kept,
            path.open(encoding="utf-8", newline="") as text,
        ):
            kept.write(next(_records(text)))
            kept.writelines(record for record, gone in _judged(text, names, matching) if not gone)
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
        gone = matches(pa.table(texts))
        count = sum(gone)
        if not count or self.dry_run:
            return count
        self._follow_text(path, names, matching)
        kept = as_table(names, [row for row, out in zip(rows, gone, strict=True) if not out])
        with publish_with_manifest(path, _with_erased(facts, count)) as temporary:
            write_workbook([kept], kept.schema, temporary)
        return count

    def _follow_text(
        self, path: Path, names: list[str], matching: tuple[list[str], Matches]
    ) -> None:
        """Exports of a plan that is written as text go by what is left of it."""
        if set(PLANNED_COLUMNS) <= set(names):
            whole = read_text(path, LIST_SCHEMA).select(list(PLANNED_COLUMNS))
            follow_plan(self.ledger, whole, _kept(whole, matching[1](whole)))

    def _erase_object(self, path: Path) -> int:
        """What `churn access` wrote of one customer goes whole."""
        name = json.loads(path.read_bytes()).get("customer_id")
        if not isinstance(name, str) or self.erased.date_of(name) is None:
            return 0
        if not self.dry_run:
            with exclusive(lock_beside(path), what=f"erasing {path.name}"):
                path.unlink()
                sidecar_of(path).unlink(missing_ok=True)
            with suppress(OSError):
                lock_beside(path).unlink()
        return 1


def follow_plan(ledger: Ledger, before: pa.Table, after: pa.Table) -> None:
    """Exports know a plan again by what it decided: from now on by what is left of it."""
    if not set(PLANNED_COLUMNS) <= set(before.column_names):
        return
    then, now = Planned.read(before), Planned.read(after)
    if then is not None and now is not None:
        with ledger.changing() as connection:
            connection.execute(
                "UPDATE exports SET plan_digest = ? WHERE plan_digest = ?",
                (now.digest, then.digest),
            )


def _with_erased(facts: dict[str, Any], count: int) -> dict[str, Any]:
    rows = {"rows": facts["rows"] - count} if "rows" in facts else {}
    return {**facts, **rows, "erased": facts.get("erased", 0) + count}


def _batches(file: pq.ParquetFile, columns: list[str] | None) -> Iterator[pa.Table]:
    for batch in file.iter_batches(columns=columns):
        yield pa.Table.from_batches([batch])


def _kept(rows: pa.Table, gone: list[bool]) -> pa.Table:
    return rows.filter(pa.array([not one for one in gone], pa.bool_()))


def _judged(
    text: IO[str], names: list[str], matching: tuple[list[str], Matches]
) -> Iterator[tuple[str, bool]]:
    """The records of a CSV, as they stand there, and whether each is of an erased customer."""
    columns, matches = matching
    records = _records(text)
    while some := list(itertools.islice(records, RECORDS_AT_ONCE)):
        rows = _cells(some)
        found = {
            name: unguarded(pa.array([_cell(row, names.index(name)) for row in rows], pa.string()))
            for name in columns
        }
        yield from zip(some, matches(pa.table(found)), strict=True)


def _records(text: IO[str]) -> Iterator[str]:
    """The records as they are written: a line whose quotes are open goes on in the next."""
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


def _cell(row: list[str], place: int) -> str:
    return row[place] if place < len(row) else ""
