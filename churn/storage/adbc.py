"""Tables of any database with an ADBC driver: `adbc://DRIVER?option=value#table`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import parse_qsl, unquote, urlsplit

from churn.errors import ConfigError, DataError, StorageError, check_extra

SCHEME = "adbc"
DRIVERS = ("sqlite", "snowflake", "bigquery", "flightsql")
"""Each is the extra of that name, and the package `adbc_driver_<name>`."""

EXAMPLE = "Write e.g. adbc://sqlite?uri=shop.db#orders."
NULL, TEXT = "", "="
"""SQLite's rows have types of their own; every value is read as text with a mark before it."""


@dataclass(frozen=True)
class AdbcAddress:
    """A table behind a driver. As text it shows the driver and the table, no option."""

    uri: str = field(repr=False)
    driver: str
    table: str
    options: tuple[tuple[str, str], ...] = field(repr=False)

    def __str__(self) -> str:
        return f"{SCHEME}://{self.driver}#{self.table}"

    @property
    def database(self) -> str:
        """The driver, since options may hold secrets."""
        return self.driver

    @property
    def name(self) -> str:
        """The table's name, as written."""
        return self.table

    @property
    def quoted(self) -> str:
        """The table in SQL, its parts quoted; case counts."""
        mark = "`" if self.driver == "bigquery" else '"'
        return ".".join(_quoted(part, mark) for part in self.table.split("."))


class AdbcSource:
    """Addresses are `adbc://DRIVER?uri=…&option=value#schema.table`, values percent-encoded."""

    schemes = (SCHEME,)

    def address(self, text: str, *, what: str, folder: Path) -> AdbcAddress:
        """The table that the text names; ConfigError about `what` if it is not an address."""
        try:
            parts = urlsplit(text)
            options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True))
        except ValueError:
            _refuse(what, "an address that cannot be read")
        driver, table = parts.netloc.lower(), unquote(parts.fragment)
        if driver not in DRIVERS:
            _refuse(what, f"another driver than {', '.join(DRIVERS)}")
        if not table or "\0" in table or not all(table.split(".")):
            _refuse(what, "no table after a #")
        if driver == "sqlite":
            options["uri"] = str((folder / options.get("uri", "")).absolute())
            if not Path(options["uri"]).is_file():
                rule = f"{what} must name a SQLite file that exists"
                raise ConfigError(rule, got=Path(options["uri"]).name, fix=EXAMPLE)
        chosen = tuple(sorted(options.items()))
        return AdbcAddress(f"{SCHEME}://{driver}?{chosen}", driver, table, chosen)

    @contextmanager
    def snapshot(self, address: AdbcAddress) -> Iterator[AdbcSnapshot]:
        """The address's database, its tables read in one transaction."""
        check_extra(address.driver, f"adbc_driver_{address.driver}", what=f"reading {address}")
        from adbc_driver_manager import Error, dbapi

        driver = import_module(f"adbc_driver_{address.driver}")._driver_path()
        try:
            connection = dbapi.connect(driver, db_kwargs=dict(address.options))
        except Error as failure:
            rule = f"cannot connect to {address}"
            fix = "Check the options in the address, and that the server can be reached."
            raise StorageError(rule, got=type(failure).__name__, fix=fix) from None
        with connection:
            yield AdbcSnapshot(connection, Error)


class AdbcSnapshot:
    """The tables of one connection."""

    def __init__(self, connection: Any, error: type[Exception]) -> None:
        self._connection = connection
        self._error = error

    def columns(self, address: AdbcAddress, *, fix: str) -> Mapping[str, str]:
        """The columns of a table and their types; DataError with that fix if it does not exist."""
        with self._connection.cursor() as cursor:
            try:
                cursor.execute(f"SELECT * FROM {address.quoted} LIMIT 0")  # noqa: S608 - quoted
                schema = cursor.fetch_record_batch().schema
            except self._error as failure:
                rule = f"there must be a readable table {address}"
                raise DataError(rule, got=type(failure).__name__, fix=fix) from None
        return {column.name: str(column.type) for column in schema}

    def read(
        self, address: AdbcAddress, names: Sequence[str]
    ) -> AbstractContextManager[tuple[Any, Iterator[Any]]]:
        """The Arrow schema and batches of these columns, which `columns` returned before."""
        return (
            self._read_sqlite(address, names)
            if address.driver == "sqlite"
            else self._read(address, names)
        )

    @contextmanager
    def _read(
        self, address: AdbcAddress, names: Sequence[str]
    ) -> Iterator[tuple[Any, Iterator[Any]]]:
        mark = "`" if address.driver == "bigquery" else '"'
        listed = ", ".join(_quoted(name, mark) for name in names)
        with self._reader(f"SELECT {listed} FROM {address.quoted}", address) as reader:  # noqa: S608
            yield reader.schema, self._batches(reader, address)

    @contextmanager
    def _read_sqlite(
        self, address: AdbcAddress, names: Sequence[str]
    ) -> Iterator[tuple[Any, Iterator[Any]]]:
        import pyarrow as pa

        schema = pa.schema([(name, pa.string()) for name in names])
        listed = ", ".join(_as_text(name) for name in names)
        with self._reader(f"SELECT {listed} FROM {address.quoted}", address) as reader:  # noqa: S608
            yield schema, (_unmarked(rows, schema) for rows in self._batches(reader, address))

    @contextmanager
    def _reader(self, sql: str, address: AdbcAddress) -> Iterator[Any]:
        with self._connection.cursor() as cursor:
            try:
                cursor.execute(sql)
                reader = cursor.fetch_record_batch()
            except self._error as failure:
                raise _unreadable(address, failure) from None
            yield reader

    def _batches(self, reader: Any, address: AdbcAddress) -> Iterator[Any]:
        try:
            yield from reader
        except (self._error, OSError) as failure:
            raise _unreadable(address, failure) from None


def _as_text(name: str) -> str:
    """The SQL of a SQLite column as text: a number in the shortest digits that give it back."""
    column = _quoted(name, '"')
    short, exact = f"printf('%!.15g', {column})", f"printf('%!.17g', {column})"
    real = f"CASE WHEN CAST({short} AS REAL) = {column} THEN {short} ELSE {exact} END"
    text = f"CASE typeof({column}) WHEN 'real' THEN {real} ELSE CAST({column} AS TEXT) END"
    return f"coalesce('{TEXT}' || {text}, '{NULL}') AS {column}"


def _unmarked(rows: Any, schema: Any) -> Any:
    """The batch without the marks."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = []
    for values in rows.columns:
        texts = values.cast(pa.string())
        missing = pa.scalar(None, pa.string())
        marked = pc.not_equal(texts, NULL)
        columns.append(pc.if_else(marked, pc.utf8_slice_codeunits(texts, 1), missing))
    return pa.record_batch(columns, schema=schema)


def _quoted(name: str, mark: str) -> str:
    return mark + name.replace(mark, mark + mark) + mark


def _refuse(what: str, got: str) -> NoReturn:
    raise ConfigError(f"{what} must be the address of a table", got=got, fix=EXAMPLE)


def _unreadable(address: AdbcAddress, failure: Exception) -> StorageError:
    rule = f"cannot read {address}"
    return StorageError(rule, got=type(failure).__name__, fix="Try again; check the server.")
