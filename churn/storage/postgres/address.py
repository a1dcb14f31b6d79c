"""The address of a PostgreSQL table: `postgresql://user:password@host:port/database#schema.table`.

Before the `#` is libpq's own notation; after it the name of the table, as written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

from churn.errors import ConfigError

SCHEME = "postgresql"
EXAMPLE = "Write postgresql://user@host:5432/database#schema.table."
LONGEST_NAME_BYTES = 63  # PostgreSQL would truncate a longer one
DEFAULT_PORT = 5432
_NAMES = re.compile(r'(?P<first>"(?:[^"]|"")+"|[^".?]+)(?:\.(?P<second>"(?:[^"]|"")+"|[^".?]+))?')
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


@dataclass(frozen=True)
class TableAddress:
    """A table of a database. As text it shows neither user nor password.

    `uri` is what libpq connects to. Without a `schema` the server's search path applies. `run_id`
    selects one run's rows in a table that holds several.
    """

    uri: str = field(repr=False)
    host: str
    port: int
    database: str
    table: str
    schema: str | None = None
    run_id: str | None = None

    def __str__(self) -> str:
        return f"{self.server}#{self.name}"

    @property
    def server(self) -> str:
        """The address without the table."""
        return f"{SCHEME}://{self.host}:{self.port}/{self.database}"

    @property
    def name(self) -> str:
        """The table's name with its schema, as written in an address."""
        parts = [part for part in (self.schema, self.table) if part is not None]
        return ".".join(part if _PLAIN.fullmatch(part) else identifier(part) for part in parts)

    @property
    def password(self) -> str | None:
        """The password in the address, which no message may show."""
        secret = urlsplit(self.uri).password
        return None if secret is None else unquote(secret)


Place: TypeAlias = Path | TableAddress
"""The location of a table: a file, or a table of a database."""


def is_address(text: object) -> bool:
    """Whether a text is the address of a database rather than a file.

    >>> is_address("postgresql://host/shop#orders"), is_address("orders.parquet")
    (True, False)
    """
    return isinstance(text, str) and re.match(r"postgres(ql)?:/", text, re.IGNORECASE) is not None


def place_of(out: Place | str) -> Place:
    """A file's path or a table's address, as given by the user."""
    if isinstance(out, TableAddress):
        return out
    if is_address(str(out)):
        return table_address(str(out))
    return Path(out)


def table_address(text: str, *, what: str = "the address") -> TableAddress:
    """The table that an address names. ConfigError, which shows nothing of it, where it is none.

    >>> str(table_address("postgresql://ann:secret@db.example/shop#sales.orders"))
    'postgresql://db.example:5432/shop#sales.orders'
    """
    base, _, fragment = text.partition("#")
    if any(ord(character) < ord(" ") for character in text):
        _refuse(what, "a control character in it")
    try:
        parts = urlsplit(base)
        port = parts.port or DEFAULT_PORT
        options = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
    except ValueError:
        _refuse(what, "a port, or options after the ?, that cannot be read")
    if parts.scheme != SCHEME or not base.startswith(f"{SCHEME}://"):
        _refuse(what, f"a scheme other than {SCHEME}://")
    database = unquote(parts.path.removeprefix("/"))
    unclear = re.search("[/@]", database) or parts.netloc.count("@") > 1 or "," in parts.netloc
    if not database or unclear:
        fix = f"{EXAMPLE} Of a password every / @ # ? : is written as %2F %40 %23 %3F %3A."
        _refuse(what, "no single host and database", fix=fix)
    host = parts.hostname or options.get("host", ["localhost"])[-1]
    names, run_id = _fragment(fragment, what)
    schema, table = (None, names[0]) if len(names) == 1 else names
    return TableAddress(base, host, port, database, table, schema, run_id)


def identifier(name: str) -> str:
    """A quoted SQL name, whatever it contains.

    >>> print(identifier('t"; drop table x'))
    "t""; drop table x"
    """
    return '"' + name.replace('"', '""') + '"'


def _fragment(text: str, what: str) -> tuple[list[str], str | None]:
    """The names after the `#`, and the run requested by `?run_id=`."""
    match = _NAMES.match(text)
    rest = "" if match is None else text[match.end() :]
    asked = re.fullmatch(r"\?run_id=([a-z0-9][a-z0-9._-]{0,63})", rest)
    if match is None or (rest and asked is None):
        rule = "no table name after the #, or one that needs quotes"
        _refuse(what, rule, fix=f'{EXAMPLE} Quote as in SQL: #"my schema"."a ""table""".')
    names = [_unquoted(name) for name in match.groups() if name is not None]
    if any(len(name.encode()) > LONGEST_NAME_BYTES for name in names):
        _refuse(what, f"a name of more than {LONGEST_NAME_BYTES} bytes", fix="Use a shorter one.")
    return names, None if asked is None else asked[1]


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _refuse(what: str, got: str, *, fix: str = EXAMPLE) -> NoReturn:
    raise ConfigError(f"{what} must name one PostgreSQL table", got=got, fix=fix) from None
