"""The offer catalogue: offers, their audience, cost and assumed effect."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, model_validator

from churn.arrays import Floats
from churn.errors import ConfigError, check_type
from churn.offers import rules
from churn.offers.rules import CHANNELS, Rule, Table, share_of
from churn.storage.files import check_name

NO_OFFER = "none"
GLOBAL_HOLDOUT = "holdout"  # its name in the ledger, next to campaign ids
OBJECTIVE_OF_KIND = {
    "win_back": "win_back",
    "service": "service",
    **dict.fromkeys(("greeting", "survey", "content"), "engage"),
}


class Offer(Table):
    """One offer, validated on construction.

    Costs are money: `margin_cost` per redemption in margin given away, `contact_cost` per message.
    A `margin_cost` such as "10%" is a share of the net amount of the order that redeems it. `value`
    is what a redemption is worth to the customer. `redemption_rate` is P(redeem | offered) over
    everyone, including customers who would buy anyway. `effect` is the increase of P(retained) in
    probability points at the base rate, assumed to lie between `effect_low` and `effect_high`.

    It targets customers of its `statuses`, of its `segments` (default: all), at risk for one of its
    `reason_families` (default: any), and near their birthday or the `holiday` if it has one.
    `capacity` is the maximum number per plan. `objective` defaults to that of the kind; lapsed
    customers get only "win_back". `template` names the e-mail template (default: by kind and
    occasion); `link` is the target of its button (default: the shop). `subject` is the subject of
    the e-mail, one for all or one per language (default: the template's). `code` is what customers
    enter to redeem it; `codes` names a file next to the catalogue with one code per customer.
    """

    heading = "Head it [[offers]]."
    offer_id: Annotated[str, rules.TEXT]
    name: Annotated[str, rules.TEXT]
    kind: Annotated[str, rules.KIND]
    channel: Annotated[str, rules.TEXT]
    margin_cost: Annotated[float | str, rules.COST]
    contact_cost: Annotated[float, rules.MONEY]
    redemption_rate: Annotated[float, rules.SHARE]
    effect: Annotated[float, rules.POINTS]
    effect_low: Annotated[float, rules.POINTS]
    effect_high: Annotated[float, rules.POINTS]
    cooldown_days: Annotated[int, rules.COOLDOWN]
    expires_after_days: Annotated[int, rules.LIFETIME]
    statuses: Annotated[tuple[str, ...], rules.STATUS] = ("eligible",)
    objective: Annotated[str, rules.OBJECTIVE] | None = None
    value: Annotated[float, rules.MONEY] | None = None
    segments: Annotated[tuple[str, ...], rules.SEGMENT] = ()
    reason_families: Annotated[tuple[str, ...], rules.TEXTS] = ()
    birthday_within_days: Annotated[int, rules.NEARNESS] | None = None
    holiday: Annotated[str, rules.TEXT] | None = None
    holiday_within_days: Annotated[int, rules.NEARNESS] = 14
    capacity: Annotated[int, rules.PLACES] | None = None
    template: Annotated[str, rules.TEXT] | None = None
    link: Annotated[str, rules.LINK] | None = None
    subject: Annotated[str | dict[str, str], rules.SUBJECT] | None = None
    code: Annotated[str, rules.CODE] | None = None
    codes: Annotated[str, rules.CODES] | None = None

    @classmethod
    def where(cls, table: object, context: object) -> str:
        """By its id, or else by its number in the file."""
        offer_id = table.get("offer_id") if isinstance(table, dict) else None
        named = isinstance(offer_id, str) and offer_id.strip()
        return f"offer '{offer_id}'" if named else str(context or "an offer")

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_name(self.offer_id, what="offer_id")
        check_name(self.channel, what=f"offer '{self.offer_id}': channel")
        if self.template is not None:
            check_name(self.template, what=f"offer '{self.offer_id}': template")
        self._check_words()
        if self.code is not None and self.codes is not None:
            both = "it must have either one code for all or a file of codes"
            raise _broken(self.offer_id, both, "code and codes", "Remove one of them.")
        if not self.effect_low <= self.effect <= self.effect_high:
            raise _broken(
                self.offer_id,
                "effect must lie between effect_low and effect_high",
                f"{self.effect} with {self.effect_low} to {self.effect_high}",
                "Widen the interval.",
            )
        return self

    @property
    def aim(self) -> str:
        """The objective, explicit or by kind."""
        return self.objective or OBJECTIVE_OF_KIND.get(self.kind, "retain")

    @property
    def margin_share(self) -> float:
        """The share of an order's net amount that a redemption costs; 0 for a fixed cost."""
        return share_of(self.margin_cost) if isinstance(self.margin_cost, str) else 0.0

    @property
    def margin_amount(self) -> float:
        """The fixed cost of a redemption; 0 if it costs a share."""
        return 0.0 if isinstance(self.margin_cost, str) else self.margin_cost

    @property
    def gives_margin(self) -> bool:
        """Whether a redemption costs anything at all."""
        return self.margin_share > 0 or self.margin_amount > 0

    def subject_in(self, language: str) -> str | None:
        """The subject in that language; None for the template's.

        Raises ConfigError if there are subjects, but none in that language.
        """
        if self.subject is None or isinstance(self.subject, str):
            return self.subject
        if language not in self.subject:
            rule = f"subject must exist in the language of messages, {language!r}"
            fix = f'Write subject.{language} = "…", or one subject for all.'
            raise _broken(self.offer_id, rule, sorted(self.subject), fix)
        return self.subject[language]

    def redemption_cost(self, order_amount: Floats) -> Floats:
        """The cost of a redemption, for orders of those net amounts."""
        return self.margin_amount + self.margin_share * np.maximum(order_amount, 0.0)

    def expected_cost(self, order_amount: Floats) -> Floats:
        """The expected cost of offering it, for orders of those amounts."""
        return self.redemption_rate * self.redemption_cost(order_amount) + self.contact_cost

    def worst_cost(self, order_amount: Floats) -> Floats:
        """The cost of offering it if it is redeemed."""
        return self.redemption_cost(order_amount) + self.contact_cost

    def _check_words(self) -> None:
        if self.offer_id == NO_OFFER:
            raise ConfigError(
                "offer_id must not be the reserved id for no offer",
                got=repr(NO_OFFER),
                fix="Choose another name.",
            )
        meant = get_close_matches(self.channel, CHANNELS, n=1, cutoff=0.7)
        if meant and self.channel not in CHANNELS:
            rule = f"channel must not be a misspelling of {meant[0]!r}"
            raise _broken(self.offer_id, rule, self.channel, f"Channels: {list(CHANNELS)}.")
        if "lapsed" in self.statuses and self.aim not in ("win_back", "service"):
            rule = 'an offer for lapsed customers must have the objective "win_back"'
            raise _broken(self.offer_id, rule, self.aim, "Make it a separate offer.")


@dataclass(frozen=True)
class Offers:
    """The offers of one campaign, at least one, with unique ids.

    `holidays` are the days that offers may refer to: "12-25" is every year, "2027-03-28" once.
    """

    offers: tuple[Offer, ...]
    campaign_id: str
    holidays: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name(self.campaign_id, what="campaign id")
        if self.campaign_id == GLOBAL_HOLDOUT:
            rule = "a campaign id must not be the reserved id of the global holdout"
            raise ConfigError(rule, got=repr(GLOBAL_HOLDOUT), fix="Choose another id.")
        if not self.offers:
            raise ConfigError(
                "a catalogue must contain at least one offer", got=0, fix="Add an [[offers]] table."
            )
        ids = [offer.offer_id for offer in self.offers]
        twice = sorted({offer_id for offer_id in ids if ids.count(offer_id) > 1})
        if twice:
            raise ConfigError(
                "every offer_id must occur once", got=f"{twice} again", fix="Rename or merge them."
            )
        self._check_codes()
        named = {offer.holiday for offer in self.offers if offer.holiday is not None}
        unknown = sorted(named - set(self.holidays))
        if unknown:
            rule = "every holiday that an offer refers to must be in [holidays]"
            raise ConfigError(rule, got=unknown, fix='Write e.g. christmas = "12-25" there.')

    def _check_codes(self) -> None:
        """Raises ConfigError if a code would not identify the redeemed offer."""
        codes = [offer.code.lower() for offer in self.offers if offer.code is not None]
        twice = sorted({code for code in codes if codes.count(code) > 1})
        if twice:
            rule = "every code must belong to one offer, so that it identifies the redeemed offer"
            raise ConfigError(rule, got=f"{twice} again", fix="Give each offer its own code.")

    def __iter__(self) -> Iterator[Offer]:
        return iter(self.offers)

    def __len__(self) -> int:
        return len(self.offers)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The catalogue in a TOML file: `[campaign] id = …`, one `[[offers]]` table per offer, and
        `[holidays]` if offers refer to any.

        ConfigError names the offer and the missing, unknown or invalid key.
        """
        check_type(path, str, Path, name="path", fix='Pass e.g. "offers.toml".')
        file = _File.model_validate(_read_toml(Path(path)), context=path)
        campaign = _Campaign.model_validate(file.campaign, context="[campaign]")
        offers = tuple(
            Offer.model_validate(table, context=f"offer {number}")
            for number, table in enumerate(file.offers, start=1)
        )
        holidays = {
            name: (days,) if isinstance(days, str) else days for name, days in file.holidays.items()
        }
        return cls(offers=offers, campaign_id=campaign.id, holidays=holidays)


class _File(Table):
    label = "[{key}]"
    campaign: Any
    offers: Annotated[
        tuple[Any, ...], Rule("a list of tables", "Head each with [[offers]], in double brackets.")
    ]
    holidays: Annotated[
        dict[str, Annotated[str | tuple[str, ...], rules.DAYS]],
        Rule("a table", 'Write christmas = "12-25" under [holidays].'),
    ] = Field(default_factory=dict)


class _Campaign(Table):
    heading = 'Write [campaign] id = "…".'
    label = "{where} {key}"
    id: Annotated[str, rules.TEXT]


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
            f"the catalogue {path} is not valid TOML: {error}", fix="Fix that line."
        ) from error
