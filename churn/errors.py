"""Every failure that a caller can expect, as one tree.

    ChurnError
    ├── ConfigError      2  a wrong argument, option or setting
    ├── DataError        3  input that breaks a table's contract
    ├── GateError        4  too little data, or a model that is not good enough
    ├── ModelError       5  a model that is damaged, foreign or does not fit the features
    ├── BusyError        6  another run holds the lock
    └── StorageError     7  reading or writing failed

The number is the exit code of the command line. Exit code 1 is a bug of ours. No message shows a
secret: addresses are reduced to what may be shown of them.
"""

import re
from importlib.util import find_spec
from numbers import Integral, Real

NUMBERS: dict[type, str] = {Integral: "a whole number", Real: "a number"}
_CONTROLS = re.compile(r"[^\n\t -~\u00a0-\u2027\u202f-\u2065\u206a-\U0010ffff]|[\ud800-\udfff]")
_ADDRESS = re.compile(r"([a-z][a-z0-9+.:-]*)://(\S*)", re.IGNORECASE)
_HOST = re.compile(r"(?:[\w.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?", re.IGNORECASE)
_FILE = re.compile(r"sqlite:///[^?#@]*", re.IGNORECASE)


class ChurnError(Exception):
    """The broken rule, the value received, and how to fix it.

    >>> print(ConfigError("horizon_days must be >= 1", got=0, fix="Pass e.g. 60."))
    horizon_days must be >= 1, got 0. Pass e.g. 60.
    """

    exit_code = 1

    def __init__(self, rule: str, *, got: object = None, fix: str = "") -> None:
        super().__init__(rule, got, fix)
        self.rule = rule
        self.got = None if got is None else str(got)
        self.fix = fix

    def __str__(self) -> str:
        broken = self.rule if self.got is None else f"{self.rule}, got {self.got}"
        return f"{broken.rstrip('.')}. {self.fix}".strip()

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.rule, self.got, self.fix)


def _rebuild(kind: type[ChurnError], rule: str, got: str | None, fix: str) -> ChurnError:
    return kind(rule, got=got, fix=fix)


def check_type(value: object, *kinds: type, name: str, fix: str) -> None:
    """Raises ConfigError, naming the type received, unless `value` is of one of the types.

    >>> check_type("x", Integral, name="count", fix="Pass e.g. 13.")
    Traceback (most recent call last):
    churn.errors.ConfigError: count must be a whole number, got str. Pass e.g. 13.
    """
    wrong = not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)
    if wrong:
        wanted = " or ".join(NUMBERS.get(kind, kind.__name__) for kind in kinds)
        raise ConfigError(f"{name} must be {wanted}", got=type(value).__name__, fix=fix)


def check_extra(extra: str, package: str, *, what: str) -> None:
    """Nothing, or ConfigError naming the extra to install where the package is missing.

    >>> check_extra("tune", "nothing", what="tuning")
    Traceback (most recent call last):
    churn.errors.ConfigError: tuning needs the package nothing. pip install 'churnwise[tune]'
    """
    if find_spec(package) is None:
        rule = f"{what} needs the package {package.replace('_', '-')}"
        raise ConfigError(rule, fix=f"pip install 'churnwise[{extra}]'")


class ConfigError(ChurnError):
    """A wrong argument, option or setting."""

    exit_code = 2


class DataError(ChurnError):
    """Input that breaks a table's contract."""

    exit_code = 3


class GateError(ChurnError):
    """Too little data to learn from, or a model that is not good enough to be used."""

    exit_code = 4


class ModelError(ChurnError):
    """A model that is damaged, foreign, or does not fit the features it was given."""

    exit_code = 5


class OutdatedModelError(ModelError):
    """A model written by another release, in a format that this one cannot read."""


class BusyError(ChurnError):
    """Another run holds the lock."""

    exit_code = 6


class StorageError(ChurnError):
    """Reading or writing failed: no space, no permission, no such place."""

    exit_code = 7


def shown_address(text: str) -> str:
    """What a message may show of a text that may be an address: of one its scheme and host alone,
    for a password or a token may stand in each other part; anything else as it is.

    >>> shown_address("orders.csv"), shown_address("sqlite:///mlflow.db")
    ('orders.csv', 'sqlite:///mlflow.db')
    >>> shown_address("https://ann:secret@host.example:81/a?token=secret")
    'https://host.example:81'
    >>> shown_address("http://ann:se/cr@et@host")
    'http://…'
    """
    found = _ADDRESS.search(text)
    if _FILE.fullmatch(text.strip()):
        return text
    if found is None:
        return "…" if re.search(r":.*@", text, re.DOTALL) else text
    return _scheme_and_host(found)


def without_addresses(text: str) -> str:
    """A sentence in which each address is reduced to its scheme and host.

    >>> without_addresses("no answer from https://ann:secret@host/a?b=secret today")
    'no answer from https://host today'
    """
    return _ADDRESS.sub(_scheme_and_host, text)


def _scheme_and_host(found: re.Match[str]) -> str:
    """A host only if it is unambiguous: at most one @, and none after it."""
    scheme, rest = found[1], found[2]
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    host = authority.rpartition("@")[2]
    clear = rest.count("@") == authority.count("@") <= 1 and _HOST.fullmatch(host)
    return f"{scheme}://{host}" if clear else f"{scheme}://…"


def harmless(text: str) -> str:
    """A text for a terminal: what would move its cursor, colour it, name its window or turn its
    writing around is spelt out.

    >>> print(harmless("Nord \x1b]0;title\x07 und S\u00fcd"))
    Nord \\x1b]0;title\\x07 und S\u00fcd
    """
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)
