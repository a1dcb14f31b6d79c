"""Tables of Delta Lake and Apache Iceberg, read only: `delta://PATH`, `iceberg://PATH`,
`iceberg://CATALOG#namespace.table`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote

from churn.errors import ConfigError, DataError, StorageError, check_extra

EXAMPLES = {
    "delta": "Write e.g. delta://lake/orders, or delta://lake/orders?version=12.",
    "iceberg": "Write e.g. iceberg://lake/orders, or iceberg://catalog#shop.orders.",
}
BUFFER_BYTES = 1 << 20
FEATURES = "Write the table without them, or unload it to Parquet."


@dataclass(frozen=True)
class LakeAddress:
    """A table of a lake: the place of its files, or its name in a `catalog`.

    `version` is the version of a Delta table; None is the newest.
    """

    uri: str = field(repr=False)
    scheme: str
    place: str = field(repr=False)
    name: str
    catalog: str | None = None
    version: int | None = None

    def __str__(self) -> str:
        return f"{self.scheme}://{self.catalog or ''}#{self.name}"

    @property
    def database(self) -> str:
        """The kind of lake, and the catalog if there is one."""
        return self.scheme if self.catalog is None else f"{self.scheme}:{self.catalog}"


class DeltaLake:
    """Addresses are `delta://PATH` or `delta://s3://bucket/path`, with `?version=N` if wanted."""

    schemes = ("delta",)

    def address(self, text: str, *, what: str, folder: Path) -> LakeAddress:
        """The table that the text names; ConfigError about `what` if it is not an address."""
        path, _, query = text.split("://", 1)[-1].partition("?")
        version = re.fullmatch(r"version=(\d+)", query)
        if not path or (query and version is None):
            _refuse("delta", what, "no path" if not path else "other options than version=N")
        place = _place(path, folder)
        number = None if version is None else int(version[1])
        return LakeAddress(text, "delta", place, _last(path), version=number)

    @contextmanager
    def snapshot(self, address: LakeAddress) -> Iterator[LakeSnapshot]:
        """One version of the table. Credentials of object stores come from their own variables."""
        check_extra("delta", "deltalake", what=f"reading {address}")
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, DeltaProtocolError, TableNotFoundError

        def opened() -> Any:
            return DeltaTable(address.place, version=address.version).to_pyarrow_dataset()

        def batches(rows: Any, names: Sequence[str]) -> tuple[Any, Iterator[Any]]:
            """In one thread and nothing ahead, or memory would grow with the table."""
            from pyarrow.dataset import ParquetFragmentScanOptions

            streamed = ParquetFragmentScanOptions(
                use_buffered_stream=True, buffer_size=BUFFER_BYTES, pre_buffer=False
            )
            scanner = rows.scanner(
                columns=list(names),
                batch_readahead=0,
                fragment_readahead=1,
                fragment_scan_options=streamed,
                use_threads=False,
            )
            return scanner.projected_schema, scanner.to_batches()

        errors = (DeltaProtocolError,), (TableNotFoundError,), (DeltaError, OSError)
        yield LakeSnapshot(_Library(opened, batches, *errors))


class Iceberg:
    """Addresses are `iceberg://PATH` of a table, or `iceberg://CATALOG#namespace.table`, where the
    catalog is one of PyIceberg's configuration.
    """

    schemes = ("iceberg",)

    def address(self, text: str, *, what: str, folder: Path) -> LakeAddress:
        """The table that the text names; ConfigError about `what` if it is not an address."""
        rest, _, table = text.split("://", 1)[-1].partition("#")
        if not rest or (table and not all(unquote(table).split("."))):
            _refuse("iceberg", what, "no table")
        if table:
            return LakeAddress(text, "iceberg", "", unquote(table), catalog=rest)
        return LakeAddress(text, "iceberg", _place(rest, folder), _last(rest))

    @contextmanager
    def snapshot(self, address: LakeAddress) -> Iterator[LakeSnapshot]:
        """The table's current snapshot. Credentials come from PyIceberg's configuration."""
        check_extra("iceberg", "pyiceberg", what=f"reading {address}")
        from pyiceberg.catalog import load_catalog
        from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError
        from pyiceberg.table import StaticTable

        def opened() -> Any:
            if address.catalog is None:
                return StaticTable.from_metadata(address.place)
            try:
                catalog = load_catalog(address.catalog)
            except ValueError:
                rule = f"the catalog {address.catalog!r} must be configured for PyIceberg"
                fix = f"Set PYICEBERG_CATALOG__{address.catalog.upper()}__URI, or .pyiceberg.yaml."
                raise ConfigError(rule, fix=fix) from None
            return catalog.load_table(address.name)

        def batches(rows: Any, names: Sequence[str]) -> tuple[Any, Iterator[Any]]:
            """File by file: the scan's own reader reads all files ahead, and keeps what it read."""
            import pyarrow as pa
            from pyiceberg.io.pyarrow import ArrowScan, schema_to_pyarrow

            scan = rows.scan(selected_fields=tuple(names))
            schema = schema_to_pyarrow(scan.projection())
            reading = ArrowScan(scan.table_metadata, scan.io, scan.projection(), scan.row_filter)
            found = (
                batch for task in scan.plan_files() for batch in reading.to_record_batches([task])
            )
            return schema, iter(pa.RecordBatchReader.from_batches(schema, found).cast(schema))

        unsupported = (NotImplementedError, ValueError)
        missing = (NoSuchTableError, NoSuchNamespaceError, FileNotFoundError)
        yield LakeSnapshot(_Library(opened, batches, unsupported, missing, (OSError,)))


Errors = tuple[type[Exception], ...]


@dataclass(frozen=True)
class _Library:
    """How a library opens a table and reads columns of it, and its errors: features that it lacks,
    tables that do not exist, and failures to read.
    """

    open: Callable[[], Any]
    batches: Callable[[Any, Sequence[str]], tuple[Any, Iterator[Any]]]
    unsupported: Errors
    missing: Errors
    failed: Errors


class LakeSnapshot:
    """A table as it was when it was opened."""

    def __init__(self, library: _Library) -> None:
        self._library = library
        self._rows: Any = None

    def columns(self, address: LakeAddress, *, fix: str) -> Mapping[str, str]:
        """The columns of a table and their types; DataError with that fix if it does not exist."""
        with self._told(address, fix):
            self._rows = self._library.open()
            schema = self._rows.schema
            schema = schema().as_arrow() if callable(schema) else schema
        return {column.name: str(column.type) for column in schema}

    @contextmanager
    def read(
        self, address: LakeAddress, names: Sequence[str]
    ) -> Iterator[tuple[Any, Iterator[Any]]]:
        """The Arrow schema and batches of these columns, which `columns` returned before."""
        with self._told(address, ""):
            schema, batches = self._library.batches(self._rows, names)
        yield schema, self._all(address, batches)

    def _all(self, address: LakeAddress, batches: Iterator[Any]) -> Iterator[Any]:
        with self._told(address, ""):
            yield from batches

    @contextmanager
    def _told(self, address: LakeAddress, fix: str) -> Iterator[None]:
        library = self._library
        try:
            yield
        except library.missing:
            rule = f"there must be a readable table {address}"
            raise DataError(rule, got="none", fix=fix or EXAMPLES[address.scheme]) from None
        except library.unsupported as failure:
            rule = f"{address} must not use features that its reader lacks"
            raise DataError(rule, got=str(failure).splitlines()[0][:200], fix=FEATURES) from None
        except library.failed as failure:
            rule = f"cannot read {address}"
            fix = "Try again; check the path and the credentials."
            raise StorageError(rule, got=type(failure).__name__, fix=fix) from None


def _place(path: str, folder: Path) -> str:
    """An address of an object store as it is, a path relative to the folder."""
    return path if "://" in path else str((folder / unquote(path)).absolute())


def _last(path: str) -> str:
    return unquote(path.rstrip("/").rsplit("/", 1)[-1])


def _refuse(scheme: str, what: str, got: str) -> NoReturn:
    raise ConfigError(f"{what} must be the address of a table", got=got, fix=EXAMPLES[scheme])
