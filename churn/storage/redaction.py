"""What messages may show: addresses without secrets, text without control characters."""

import re

_CONTROLS = re.compile(r"[^\n\t -~\u00a0-\u2027\u202f-\u2065\u206a-\U0010ffff]|[\ud800-\udfff]")
_ADDRESS = re.compile(r"([a-z][a-z0-9+.:-]*)://(\S*)", re.IGNORECASE)
_HOST = re.compile(r"(?:[\w.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?", re.IGNORECASE)
_FILE = re.compile(r"sqlite:///[^?#@]*", re.IGNORECASE)


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
