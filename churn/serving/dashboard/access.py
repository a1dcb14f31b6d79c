"""Who may see the pages: users with roles, scrypt passwords, API keys, and a limit on guessing."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from churn.errors import ConfigError

Role = Literal["viewer", "analyst", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "analyst", "admin")

COST, BLOCK, PARALLEL = 2**15, 8, 3
"""Parameters of scrypt with 32 MB (OWASP Password Storage Cheat Sheet, 2023)."""
MAX_MEMORY = 64 * 1024 * 1024
MAX_PASSWORD = 1_000
LEAST_KEY = 32
MAX_FAILURES = 10
FAILURE_SECONDS = 900.0
MAX_REMEMBERED = 10_000


@dataclass(frozen=True, kw_only=True)
class User:
    """A person or program, what it may do, and how it shows who it is."""

    name: str
    role: Role
    password_hash: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)

    @property
    def sees_customers(self) -> bool:
        """Whether the pages show customers; a viewer sees groups of at least ten alone."""
        return self.role != "viewer"

    @property
    def may_act(self) -> bool:
        """Whether plans may be made."""
        return self.role != "viewer"

    @property
    def may_send(self) -> bool:
        """Whether plans may be sent and exported, which reaches customers."""
        return self.role == "admin"

    @property
    def fingerprint(self) -> str:
        """Changes with the password, so that sessions of an old one end."""
        return hashlib.sha256(f"{self.name}:{self.password_hash}".encode()).hexdigest()[:16]


OPEN = User(name="", role="analyst")
"""Whoever opens the pages on this machine while no users are configured."""


def hash_password(password: str, *, cost: int = COST) -> str:
    """The scrypt hash of a password, as text with its parameters.

    >>> verified("correct horse", hash_password("correct horse"))
    True
    """
    salt = secrets.token_bytes(16)
    key = _scrypt(password, salt, (cost, BLOCK, PARALLEL))
    encoded = [base64.b64encode(part).decode() for part in (salt, key)]
    return f"scrypt${cost}${BLOCK}${PARALLEL}${encoded[0]}${encoded[1]}"


def verified(password: str, stored: str) -> bool:
    """Whether it is the password of that hash; the comparison takes constant time."""
    parameters, salt, key = _parts(stored)
    if len(password) > MAX_PASSWORD:
        return False
    return hmac.compare_digest(_scrypt(password, salt, parameters), key)


def check_hash(stored: str, *, name: str) -> None:
    """Raises ConfigError, which does not show the value, unless it is a hash of `hash_password`."""
    try:
        (cost, block, parallel), _, _ = _parts(stored)
        valid = 128 * cost * block * 2 <= 2 * MAX_MEMORY and parallel <= 16
    except (ValueError, binascii.Error):
        valid = False
    if not valid:
        rule = f"the password of the user {name!r} must be a scrypt hash"
        raise ConfigError(
            rule,
            got="another text",
            fix="Make one with `python -m churn.serving.dashboard.access`.",
        )


def _parts(stored: str) -> tuple[tuple[int, int, int], bytes, bytes]:
    kind, cost, block, parallel, salt, key = stored.split("$")
    if kind != "scrypt":
        raise ValueError(kind)
    numbers = (int(cost), int(block), int(parallel))
    return numbers, base64.b64decode(salt, validate=True), base64.b64decode(key, validate=True)


def _scrypt(password: str, salt: bytes, parameters: tuple[int, int, int]) -> bytes:
    cost, block, parallel = parameters
    return hashlib.scrypt(
        password.encode(), salt=salt, n=cost, r=block, p=parallel, maxmem=MAX_MEMORY, dklen=32
    )


class Accounts:
    """The users by name. Without users, everyone is `OPEN`, which only loopback may be.

    `external_mark` is set where an identity provider lets people in as well; it changes with its
    settings, so that sessions under old ones end.
    """

    def __init__(self, users: Mapping[str, User], *, external_mark: str = "") -> None:
        for name, user in users.items():
            if user.password_hash is not None:
                check_hash(user.password_hash, name=name)
            if user.api_key is not None and len(user.api_key) < LEAST_KEY:
                rule = f"the API key of {name!r} must have at least {LEAST_KEY} characters"
                fix = "Make one with `openssl rand -hex 32`."
                raise ConfigError(rule, got=f"{len(user.api_key)}", fix=fix)
        self.users = dict(users)
        self.external_mark = external_mark

    @cached_property
    def _unknown(self) -> str:
        return hash_password(secrets.token_hex(16))

    @property
    def are_open(self) -> bool:
        """Whether nobody can log in, so that everyone on this machine is let in."""
        return not self.users and not self.external_mark

    @property
    def have_passwords(self) -> bool:
        """Whether somebody logs in with a password."""
        return any(user.password_hash is not None for user in self.users.values())

    def named(self, name: str, external_role: Role | None = None) -> User | None:
        """The user of that name, or whoever the identity provider let in with that role."""
        if external_role is None:
            return self.users.get(name)
        return User(name=name, role=external_role) if self.external_mark and name else None

    def mark(self, name: str, external_role: Role | None = None) -> str:
        """What a session of the user must carry to hold."""
        if external_role is not None:
            return self.external_mark
        user = self.users.get(name)
        return "" if user is None else user.fingerprint

    def with_password(self, name: str, password: str) -> User | None:
        """The user with that name and password; an unknown name takes as long as a known one."""
        user = self.users.get(name)
        stored = None if user is None else user.password_hash
        right = verified(password, stored or self._unknown)
        return user if right and stored is not None else None

    def with_key(self, key: str) -> User | None:
        """The user with that API key."""
        given = hashlib.sha256(key.encode()).digest()
        found = None
        for user in self.users.values():
            if user.api_key is not None:
                own = hashlib.sha256(user.api_key.encode()).digest()
                if hmac.compare_digest(given, own):
                    found = user
        return found


class Attempts:
    """Failed logins by name and by address: after ten in a quarter of an hour no more are tried."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, list[float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait_seconds(self, *keys: str) -> int:
        """Seconds until the next attempt is allowed; 0 if it is now."""
        now = self._clock()
        with self._lock:
            waits = [self._wait(key, now) for key in keys]
        return max(0, *(int(wait + 0.999) for wait in waits))

    def failed(self, *keys: str) -> None:
        """Counts a failure of each key."""
        now = self._clock()
        with self._lock:
            for key in keys:
                recent = self._recent(key, now)
                self._failures[key] = [*recent[-MAX_FAILURES:], now]
                self._failures.move_to_end(key)
            while len(self._failures) > MAX_REMEMBERED:
                self._failures.popitem(last=False)

    def succeeded(self, *keys: str) -> None:
        """Forgets the failures of each key."""
        with self._lock:
            for key in keys:
                self._failures.pop(key, None)

    def _recent(self, key: str, now: float) -> list[float]:
        return [at for at in self._failures.get(key, ()) if now - at < FAILURE_SECONDS]

    def _wait(self, key: str, now: float) -> float:
        recent = self._recent(key, now)
        return recent[-MAX_FAILURES] + FAILURE_SECONDS - now if len(recent) >= MAX_FAILURES else 0.0


def _main() -> None:
    """Asks for a password twice, and prints its hash."""
    import getpass
    import sys

    password = getpass.getpass("Password: ")
    if not password or password != getpass.getpass("The same again: "):
        sys.exit("the passwords must be the same, and not empty")
    sys.stdout.write(hash_password(password) + "\n")


if __name__ == "__main__":
    _main()
