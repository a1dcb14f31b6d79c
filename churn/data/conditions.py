"""Conditions of `where`, parsed without evaluating any SQL of the user, and literal constants."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

from churn.errors import ConfigError

MOST_SIGNS = 20_000
MOST_BRACKETS = 50
MOST_PARTS = 500
MOST_DIGITS = 300
TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:[^']|'')*')|(?P<quoted>"(?:[^"]|"")+")|(?P<number>[-+]?\d+(?:\.\d+)?)"""
    r"""(?![\w.])|(?P<word>[^\W\d]\w*)|(?P<sign><>|!=|==|<=|>=|[=<>(),]))"""
)
SIGNS = ("=", "==", "<>", "!=", "<", "<=", ">", ">=")
WORDS = ("and", "or", "not", "in", "like", "between", "is", "null", "true", "false")

CONSTANT = re.compile(r"\s*'((?:[^']|'')*)'\s*")
CONDITION = re.compile(
    r"[=<>]|\bin\s*\(|\bis\s+(not\s+)?null\b|\blike\s*'|\bbetween\s", re.IGNORECASE
)


@dataclass(frozen=True)
class Name:
    """A column, by its name in the source."""

    name: str


@dataclass(frozen=True)
class Literal:
    """A constant."""

    value: str | float | bool | date


Operand: TypeAlias = "Name | Literal"


@dataclass(frozen=True)
class Comparison:
    """`left sign right`; at least one side is a column."""

    left: Operand
    sign: str
    right: Operand


@dataclass(frozen=True)
class Membership:
    """`column in (…)`."""

    column: Name
    values: tuple[Literal, ...]


@dataclass(frozen=True)
class Like:
    """`column like '…'`."""

    column: Name
    pattern: str


@dataclass(frozen=True)
class NullTest:
    """`column is null`."""

    column: Name


@dataclass(frozen=True)
class Flag:
    """A column by itself, which must be true."""

    column: Name


@dataclass(frozen=True)
class Negation:
    """`not …`."""

    condition: Condition


@dataclass(frozen=True)
class Junction:
    """Conditions joined by `and`, or by `or`."""

    word: str
    parts: tuple[Condition, ...]


Condition: TypeAlias = "Comparison | Membership | Like | NullTest | Flag | Negation | Junction"


def parse_condition(text: str, *, table: str) -> Condition:
    """The condition that the text expresses. Raises ConfigError if it is not a condition.

    >>> parse_condition("total > 0 and not test", table="orders").word
    'and'
    """
    return _Parser(text, table).condition()


def names_in(condition: Condition) -> list[str]:
    """The columns that a condition names, each once, in order of appearance."""
    return list(dict.fromkeys(_names(condition)))


def _names(condition: Condition) -> Iterator[str]:
    if isinstance(condition, Junction):
        for part in condition.parts:
            yield from _names(part)
    elif isinstance(condition, Negation):
        yield from _names(condition.condition)
    elif isinstance(condition, Comparison):
        sides = (condition.left, condition.right)
        yield from (side.name for side in sides if isinstance(side, Name))
    else:
        yield condition.column.name


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str


class _Parser:
    """Recursive descent over the tokens of one condition."""

    def __init__(self, text: str, table: str) -> None:
        self._table = table
        self._tokens = list(self._cut(text))
        self._place = 0
        self._open = 0

    def _cut(self, text: str) -> Iterator[_Token]:
        if len(text) > MOST_SIGNS:
            raise self._refusal(f"{len(text):,} characters", f"The limit is {MOST_SIGNS:,}.")
        if "\0" in text:
            raise self._refusal("a NUL")
        place, end = 0, len(text.rstrip())
        while place < end:
            match = TOKEN.match(text, place)
            if match is None:
                raise self._refusal(repr(text[place : place + 20].strip()))
            kind = str(match.lastgroup)
            word = match[kind]
            if kind == "word" and word.lower() in WORDS:
                kind, word = "key", word.lower()
            yield _Token(kind, word)
            place = match.end()

    def condition(self) -> Condition:
        """The whole text as one condition."""
        found = self._any()
        if self._next() is not None:
            raise self._unexpected()
        return found

    def _any(self) -> Condition:
        return self._joined("or", self._all)

    def _all(self) -> Condition:
        return self._joined("and", self._negated)

    def _joined(self, word: str, part: Callable[[], Condition]) -> Condition:
        parts = [part()]
        while self._took("key", word):
            parts.append(part())
        if len(parts) > MOST_PARTS:
            fix = "Write column in (…) for many values."
            raise self._refusal(f"{len(parts):,} conditions joined by {word}", fix)
        return parts[0] if len(parts) == 1 else Junction(word, tuple(parts))

    def _negated(self) -> Condition:
        times = 0
        while self._took("key", "not"):
            times += 1
        found = self._single()
        return Negation(found) if times % 2 else found

    def _single(self) -> Condition:
        if self._took("sign", "("):
            self._open += 1
            if self._open > MOST_BRACKETS:
                raise self._refusal(f"more than {MOST_BRACKETS} nested brackets")
            found = self._any()
            self._expect("sign", ")")
            self._open -= 1
            return found
        return self._predicate(self._operand())

    def _predicate(self, left: Operand) -> Condition:
        token = self._next()
        if token is not None and token.kind == "sign" and token.text in SIGNS:
            self._place += 1
            return self._comparison(left, token.text, self._operand())
        if not isinstance(left, Name):
            raise self._unexpected()
        if self._took("key", "is"):
            negated = self._took("key", "not")
            self._expect("key", "null")
            return _perhaps(NullTest(left), negated)
        negated = self._took("key", "not")
        if self._took("key", "in"):
            return _perhaps(Membership(left, self._values()), negated)
        if self._took("key", "like"):
            return _perhaps(Like(left, self._text()), negated)
        if self._took("key", "between"):
            return _perhaps(self._between(left), negated)
        if negated:
            raise self._unexpected()
        return Flag(left)

    def _comparison(self, left: Operand, sign: str, right: Operand) -> Condition:
        if isinstance(left, Literal) and isinstance(right, Literal):
            raise self._refusal("two constants compared")
        same = {"!=": "<>", "==": "="}
        return Comparison(left, same.get(sign, sign), right)

    def _between(self, left: Name) -> Condition:
        low = self._operand()
        self._expect("key", "and")
        high = self._operand()
        return Junction("and", (Comparison(left, ">=", low), Comparison(left, "<=", high)))

    def _values(self) -> tuple[Literal, ...]:
        self._expect("sign", "(")
        values = [self._literal()]
        while self._took("sign", ","):
            values.append(self._literal())
        self._expect("sign", ")")
        return tuple(values)

    def _literal(self) -> Literal:
        found = self._operand()
        if not isinstance(found, Literal):
            self._place -= 1
            raise self._unexpected()
        return found

    def _text(self) -> str:
        value = self._literal().value
        if not isinstance(value, str):
            raise self._refusal("`like` without a text")
        return value

    def _operand(self) -> Operand:
        token = self._next()
        if token is None:
            raise self._unexpected()
        self._place += 1
        if token.kind == "text":
            return Literal(token.text[1:-1].replace("''", "'"))
        if token.kind == "quoted":
            return Name(token.text[1:-1].replace('""', '"'))
        if token.kind == "number":
            if len(token.text) > MOST_DIGITS:
                raise self._refusal(f"a number of {len(token.text):,} digits")
            return Literal(float(token.text))
        if token.kind == "key" and token.text in ("true", "false"):
            return Literal(token.text == "true")
        if token.kind != "word":
            self._place -= 1
            raise self._unexpected()
        following = self._next()
        if token.text.lower() == "date" and following is not None and following.kind == "text":
            self._place += 1
            return self._date(following.text[1:-1])
        if following == _Token("sign", "("):
            raise self._refusal(f"a function, {token.text}")
        return Name(token.text)

    def _date(self, text: str) -> Literal:
        try:
            return Literal(date.fromisoformat(text.strip()))
        except ValueError:
            raise self._refusal(f"date {text!r}", "Write date '2024-01-31'.") from None

    def _next(self) -> _Token | None:
        return self._tokens[self._place] if self._place < len(self._tokens) else None

    def _took(self, kind: str, text: str) -> bool:
        if self._next() != _Token(kind, text):
            return False
        self._place += 1
        return True

    def _expect(self, kind: str, text: str) -> None:
        if not self._took(kind, text):
            raise self._unexpected()

    def _unexpected(self) -> ConfigError:
        token = self._next()
        return self._refusal(
            "an unfinished condition" if token is None else f"an unexpected {token.text!r}"
        )

    def _refusal(self, got: str, fix: str = "") -> ConfigError:
        rule = (
            f"[data.{self._table}] where must be a condition over the columns of the source: "
            "comparisons, in, like, between, is null, and, or, not and brackets"
        )
        usual = "Write e.g. where = \"status in ('completed', 'paid')\"."
        return ConfigError(rule, got=got[:80], fix=fix or usual)


def _perhaps(condition: Condition, negated: bool) -> Condition:
    return Negation(condition) if negated else condition


def constant(theirs: str) -> str | None:
    """The text between the quotes; None if it is not a constant.

    >>> constant("'email'"), constant("email")
    ('email', None)
    """
    match = CONSTANT.fullmatch(theirs)
    return None if match is None else match[1].replace("''", "'")


def is_condition(theirs: str) -> bool:
    """Whether it is a condition rather than the name of a column or arithmetic.

    >>> is_condition("accepts = 'yes'"), is_condition("quantity * price")
    (True, False)
    """
    return constant(theirs) is None and CONDITION.search(theirs) is not None


def given_columns(theirs: str) -> list[str] | None:
    """The columns that a constant or a condition names; None if it is neither."""
    if constant(theirs) is not None:
        return []
    if is_condition(theirs):
        return names_in(parsed(theirs))
    return None


def parsed(theirs: str) -> Condition:
    """The parsed condition; ConfigError if it is not one."""
    try:
        return parse_condition(theirs, table="…")
    except ConfigError as failure:
        rule = "a mapping that is not a column must be a condition or a constant"
        fix = "Write e.g. granted = \"accepts_marketing == 'yes'\", or channel = \"'email'\"."
        raise ConfigError(rule, got=failure.got, fix=fix) from None
