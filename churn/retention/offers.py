"""The catalogue: what may be offered, what it costs, and what it is assumed to change."""

from __future__ import annotations

import math
import tomllib
from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from churn.errors import ConfigError
from churn.files.names import check_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["KINDS", "NO_OFFER", "STATUSES", "Offer", "Offers"]

NO_OFFER = "none"
KINDS = ("discount", "points", "gift", "greeting", "win_back", "service", "survey", "other")
STATUSES = ("eligible", "lapsed", "new")
LONGEST_DAYS = 3650


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One thing that may be sent, checked on construction.

    Costs are money: `margin_cost` per redemption in margin given away, `contact_cost` per message.
    `redemption_rate` is P(redeem | offered) over everyone, sure buyers included. `effect` is the
    rise in P(retained), in probability points at the base rate, assumed to lie between
    `effect_low` and `effect_high`.
    """

    offer_id: str
    name: str
    kind: str
    channel: str
    margin_cost: float
    contact_cost: float
    redemption_rate: float
    effect: float
    effect_low: float
    effect_high: float
    cooldown_days: int
    expires_after_days: int
    statuses: tuple[str, ...] = ("eligible",)

    def __post_init__(self) -> None:
        for key, rule in _RULES.items():
            value = getattr(self, key)
            if not rule.holds(value):
                raise _broken(self.offer_id, f"{key} must be {rule.text}", value, rule.fix)
        check_name(self.offer_id, what="offer_id")
        check_name(self.channel, what=f"offer '{self.offer_id}': channel")
        if self.offer_id == NO_OFFER:
            raise ConfigError(
                "offer_id must not be the reserved word for no offer",
                got=repr(NO_OFFER),
                fix="Name the offer otherwise.",
            )
        if not self.effect_low <= self.effect <= self.effect_high:
            raise _broken(
                self.offer_id,
                "effect must lie between effect_low and effect_high",
                f"{self.effect} with {self.effect_low} to {self.effect_high}",
                "Widen the interval.",
            )

    @property
    def expected_cost(self) -> float:
        """What offering it to one customer costs on average, in money."""
        return self.redemption_rate * self.margin_cost + self.contact_cost


@dataclass(frozen=True)
class Offers:
    """The offers of one campaign, at least one, each id once."""

    offers: tuple[Offer, ...]
    campaign_id: str

    def __post_init__(self) -> None:
        check_name(self.campaign_id, what="campaign id")
        if not self.offers:
            raise ConfigError(
                "a catalogue must hold at least one offer", got=0, fix="Add an [[offers]] table."
            )
        ids = [offer.offer_id for offer in self.offers]
        twice = sorted({offer_id for offer_id in ids if ids.count(offer_id) > 1})
        if twice:
            raise ConfigError(
                "every offer_id must occur once", got=f"{twice} again", fix="Rename or merge them."
            )

    def __iter__(self) -> Iterator[Offer]:
        return iter(self.offers)

    def __len__(self) -> int:
        return len(self.offers)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The catalogue in a TOML file: `[campaign] id = …` and one `[[offers]]` table per offer.

        ConfigError names the offer and the key that is missing, unknown or wrong.
        """
        document = _read_toml(Path(path))
        _check_keys(document, required=["campaign", "offers"], where=str(path))
        campaign, tables = document["campaign"], document["offers"]
        if not isinstance(campaign, dict):
            raise ConfigError(
                "[campaign] must be a table", got=repr(campaign), fix='Write [campaign] id = "…".'
            )
        _check_keys(campaign, required=["id"], where="[campaign]")
        _check_text(campaign["id"])
        if not isinstance(tables, list):
            raise ConfigError(
                "offers must be a list of tables",
                got=type(tables).__name__,
                fix="Head each with [[offers]], in double brackets.",
            )
        offers = tuple(_offer(table, number) for number, table in enumerate(tables, start=1))
        return cls(offers=offers, campaign_id=campaign["id"])


class _Rule(NamedTuple):
    text: str
    holds: Callable[[Any], bool]
    fix: str


def _is_number(value: object) -> bool:
    return _is_not_bool(value) and isinstance(value, int | float) and math.isfinite(value)


def _is_days(value: object, *, least: int) -> bool:
    return _is_not_bool(value) and isinstance(value, int) and least <= value <= LONGEST_DAYS


def _is_not_bool(value: object) -> bool:
    return not isinstance(value, bool)  # which Python counts among the integers


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _are_statuses(value: object) -> bool:
    return isinstance(value, tuple) and bool(value) and all(word in STATUSES for word in value)


_TEXT = _Rule("a non-empty text", _is_text, 'Put it in quotes, e.g. "email".')
_KIND = _Rule(f"one of {list(KINDS)}", lambda v: v in KINDS, 'Take "other" if none fits.')
_MONEY = _Rule("a number >= 0", lambda v: _is_number(v) and v >= 0, "Write money, e.g. 2.5.")
_SHARE = _Rule(
    "a number from 0 to 1", lambda v: _is_number(v) and 0 <= v <= 1, "Write 15 % as 0.15."
)
_POINTS = _Rule(
    "a number between -1 and 1",
    lambda v: _is_number(v) and -1 < v < 1,
    "Write three percentage points as 0.03.",
)
_WAIT = _Rule(
    f"whole days from 0 to {LONGEST_DAYS}", lambda v: _is_days(v, least=0), "Write e.g. 28."
)
_LIFE = _Rule(
    f"whole days from 1 to {LONGEST_DAYS}", lambda v: _is_days(v, least=1), "Write e.g. 14."
)
_STATUSES = _Rule(
    f"one or more of {list(STATUSES)}", _are_statuses, 'Write e.g. ["eligible"] in brackets.'
)
_RULES = {
    "offer_id": _TEXT,
    "name": _TEXT,
    "kind": _KIND,
    "channel": _TEXT,
    "margin_cost": _MONEY,
    "contact_cost": _MONEY,
    "redemption_rate": _SHARE,
    "effect": _POINTS,
    "effect_low": _POINTS,
    "effect_high": _POINTS,
    "cooldown_days": _WAIT,
    "expires_after_days": _LIFE,
    "statuses": _STATUSES,
}


def _offer(table: object, number: int) -> Offer:
    where = f"offer {number}"
    if not isinstance(table, dict):
        raise ConfigError(f"{where} must be a table", got=repr(table), fix="Head it [[offers]].")
    if _is_text(table.get("offer_id")):
        where = f"offer '{table['offer_id']}'"
    required = [field.name for field in fields(Offer) if field.default is MISSING]
    _check_keys(table, required=required, optional=["statuses"], where=where)
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in table.items()}
    return Offer(**values)


def _check_keys(
    table: Mapping[str, object],
    *,
    required: Sequence[str],
    optional: Sequence[str] = (),
    where: str,
) -> None:
    """ConfigError unless the table holds every required key and no unknown one."""
    known = [*required, *optional]
    for key in table:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            fix = f"Did you mean '{near[0]}'?" if near else f"It may hold {known}."
            raise ConfigError(f"{where} has an unknown key", got=repr(key), fix=fix)
    missing = [key for key in required if key not in table]
    if missing:
        raise ConfigError(f"{where} lacks {missing}", fix="Add them; examples/offers.toml has all.")


def _check_text(campaign_id: object) -> None:
    if not _is_text(campaign_id):
        raise ConfigError(
            f"[campaign] id must be {_TEXT.text}", got=repr(campaign_id), fix=_TEXT.fix
        )


def _broken(offer_id: object, rule: str, got: object, fix: str) -> ConfigError:
    return ConfigError(f"offer '{offer_id}': {rule}", got=repr(got), fix=fix)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(
            f"cannot read the catalogue {path}: {error.strerror}",
            fix="Give the path of a TOML file such as examples/offers.toml.",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the catalogue {path} is not valid TOML: {error}", fix="Mend that line."
        ) from error
