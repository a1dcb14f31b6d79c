"""The settings of a shop: one strict `churn.toml`; secrets and overrides from the environment.

`${VAR}` in a string is replaced by an environment variable, percent-encoded if the string is a
database address; `CHURN__SECTION__KEY` overrides a key (its value is parsed as TOML, or else taken
as text). Relative paths start at the file's folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import Field, TypeAdapter, ValidationError

from churn.analytics.settings import MetricsSettings
from churn.campaigns.delivery.quiet_hours import QuietHours
from churn.campaigns.delivery.settings import SECRETS as DELIVERY_SECRETS
from churn.campaigns.delivery.settings import DeliverySettings, loopback_or_https
from churn.data.conditions import parse_condition
from churn.data.databases import is_address
from churn.data.erased import PrivacySettings
from churn.data.ids import canonical
from churn.data.settings import STRICT, DataSettings
from churn.data.tables import Tables
from churn.errors import ConfigError, check_type, shown_address
from churn.features.clock import Mode
from churn.features.plugins import load_own_features
from churn.features.settings import FeatureSettings
from churn.modeling.capacity import Rank
from churn.modeling.manifest import LEAST_KEY_LENGTH
from churn.modeling.panel import Auto
from churn.modeling.sampling import MOST_ROWS
from churn.modeling.settings import TrackingSettings
from churn.offers.frequency import FrequencyCap
from churn.offers.groups import GroupRules
from churn.recommendations.settings import RecommendSettings
from churn.reporting.settings import DigestSettings
from churn.scoring.language import DEFAULT_LANGUAGE, load_language
from churn.serving.dashboard.access import Accounts, User
from churn.serving.dashboard.oidc import OidcClient
from churn.serving.settings import ServingSettings
from churn.storage.erasures import Erased, read_erased
from churn.storage.ledger_file import KEY_VARIABLE, stored_key

_SHORTEST_HIDDEN = 3  # a shorter value occurs in too much text by chance
PREFIX = "CHURN__"
SIGNING_KEY = "CHURN_SIGNING_KEY"
SESSION_KEY = "CHURN_SESSION_KEY"
SECRETS = {
    "model.signing_key": SIGNING_KEY,
    "privacy.key": KEY_VARIABLE,
    **DELIVERY_SECRETS,
}
"""Settings that must not be written in the file, and the variable that messages suggest."""
TAKEN = ("model.signing_key", "privacy.key")
"""Those of them that are read from their variable even if the file does not name it."""


@dataclass(frozen=True, kw_only=True)
class LabelSettings:
    """`[churn]`: what counts as churn, in whole days.

    `mode`: no purchase, or a subscription that is not renewed within `grace_days` of its expiry.
    """

    __pydantic_config__ = STRICT
    mode: Mode = "purchases"
    grace_days: Annotated[int, Field(ge=0)] = 7
    horizon_days: int | Auto = "auto"
    lookback_days: int | Auto = "auto"
    min_tenure_days: int = 0
    lead_days: int = 0


@dataclass(frozen=True, kw_only=True)
class PanelSettings:
    """`[panel]`: the spacing of the cutoffs in days (auto: half a horizon), and how many."""

    __pydantic_config__ = STRICT
    every_days: int | Auto = "auto"
    cutoffs: Annotated[int, Field(ge=1)] = 13


@dataclass(frozen=True, kw_only=True)
class ValueSettings:
    """`[value]`: the share of net spend that is contribution margin, the years of a customer's
    remaining life that plans show, and the discount of margins by year.
    """

    __pydantic_config__ = STRICT
    margin_rate: Annotated[float, Field(gt=0, le=1)] = 0.3
    remaining_years: Annotated[float, Field(ge=0, le=100)] = 3.0
    discount_rate: Annotated[float, Field(ge=0, le=1)] = 0.1


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """`[model]`: the folder of the bundles, the seed, the number of tuning trials (0: no tuning),
    the number of rows above which training uses a sample of customers, the key that signs bundles,
    and whether every bundle must carry its signature.
    """

    __pydantic_config__ = STRICT
    directory: str = "models"
    seed: Annotated[int, Field(ge=0)] = 7
    tune_trials: Annotated[int, Field(ge=0)] = 0
    most_rows: Annotated[int, Field(ge=1_000)] = MOST_ROWS
    signing_key: str | None = field(default=None, repr=False)
    require_signature: bool = False


@dataclass(frozen=True, kw_only=True)
class ScoringSettings:
    """`[scoring]`: how many eligible customers count as at risk (a share or a whole number), the
    criterion they are ranked by, and the language of the reasons.
    """

    __pydantic_config__ = STRICT
    capacity: Annotated[int | float, Field(ge=0)] = 0.1
    rank: Rank = "probability"
    language: str = DEFAULT_LANGUAGE


@dataclass(frozen=True, kw_only=True)
class OfferSettings:
    """`[offers]`: the catalogue, the budget in money, the randomised shares, and consent.

    `holdout_key` seeds the holdout: it stays the same as long as the key does.
    No customer is contacted more than `max_contacts` times in `cap_days`, if that is set.
    `phone_region` (two letters) is the country of phone numbers without a country code.
    """

    __pydantic_config__ = STRICT
    catalogue: str = "offers.toml"
    budget: Annotated[float, Field(ge=0)] = 0.0
    holdout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    control: Annotated[float, Field(ge=0, lt=1)] = 0.0
    explore: Annotated[float, Field(ge=0, lt=1)] = 0.0
    holdout_key: Annotated[str, Field(min_length=1)] = "holdout"
    consent: Literal["required", "assumed"] = "required"
    max_contacts: Annotated[int, Field(ge=1)] | None = None
    cap_days: Annotated[int, Field(ge=1)] = 28
    phone_region: Annotated[str, Field(pattern="^[A-Z]{2}$")] | None = None
    groups: GroupRules | None = None

    @property
    def frequency_cap(self) -> FrequencyCap | None:
        """The cap as `plan_offers` takes it; None where contacts are not limited."""
        if self.max_contacts is None:
            return None
        return FrequencyCap(self.max_contacts, self.cap_days)


@dataclass(frozen=True, kw_only=True)
class MonitorSettings:
    """`[monitor]`: where the alerts of `churn monitor` go: a JSON file, a text file for the node
    exporter of Prometheus, and the receiver of `[delivery.webhook]`.
    """

    __pydantic_config__ = STRICT
    alerts: str | None = None
    textfile: str | None = None
    webhook: bool = False


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """`[run]`: the folder of the nightly results, whether a plan is exported, sent or neither, the
    transport, the age in days of the newest model from which on a new one is trained (never, if not
    set, unless there is none), and the address of a health check that is told of every run.
    """

    __pydantic_config__ = STRICT
    directory: str = "out"
    deliver: Literal["none", "export", "send"] = "none"
    through: str = "email"
    retrain_after_days: Annotated[int, Field(ge=1)] | None = None
    ping: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.ping is not None and not loopback_or_https(self.ping):
            rule = "[run] ping must start with https://"
            fix = "Only a receiver on this machine may use http."
            raise ConfigError(rule, got=shown_address(self.ping), fix=fix)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything in `churn.toml`, and the folder that contains it."""

    __pydantic_config__ = STRICT
    data: DataSettings
    churn: LabelSettings = field(default_factory=LabelSettings)
    features: FeatureSettings = field(default_factory=FeatureSettings)
    panel: PanelSettings = field(default_factory=PanelSettings)
    value: ValueSettings = field(default_factory=ValueSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    tracking: TrackingSettings = field(default_factory=TrackingSettings)
    scoring: ScoringSettings = field(default_factory=ScoringSettings)
    offers: OfferSettings = field(default_factory=OfferSettings)
    recommend: RecommendSettings = field(default_factory=RecommendSettings)
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    serving: ServingSettings = field(default_factory=ServingSettings)
    run: RunSettings = field(default_factory=RunSettings)
    monitor: MonitorSettings = field(default_factory=MonitorSettings)
    digest: DigestSettings = field(default_factory=DigestSettings)
    privacy: PrivacySettings = field(default_factory=PrivacySettings)
    folder: Path = Path()

    def path(self, relative: str) -> Path:
        """The absolute path of a path given relative to the file's folder."""
        return (self.folder / relative).absolute()

    @property
    def ledger_path(self) -> Path:
        """The ledger of runs and plans, in the same folder as the file."""
        return self.path("ledger.db")

    def erased(self) -> Erased | None:
        """The erased customers, None if there are none; ConfigError if their key is unavailable."""
        return read_erased(self.ledger_path, self.privacy.key, canonical=self.same_customer)

    def same_customer(self, customer_id: str) -> str:
        """The customer id in the form used by the tables."""
        return canonical(customer_id, self.data.customer_id)

    @property
    def quiet_hours(self) -> QuietHours | None:
        """The hours in which nothing is sent; ConfigError if they are not written correctly."""
        return self.delivery.quiet(self.data.day_timezone)


def load_settings(
    path: Path | str = "churn.toml", *, environment: Mapping[str, str] | None = None
) -> Settings:
    """The settings of a file. Raises ConfigError with one line for each mistake."""
    check_type(path, Path, str, name="path", fix='Pass e.g. "churn.toml".')
    path = Path(path)
    environment = os.environ if environment is None else environment
    written = _parse(path)
    _refuse_written_secrets(written, path)
    try:
        return _settings(written, path, environment)
    except ConfigError as failure:
        raise _as_written(failure, written, environment) from None


def _settings(written: dict[str, Any], path: Path, environment: Mapping[str, str]) -> Settings:
    sections = _filled(written, environment)
    for secret in TAKEN:
        if environment.get(SECRETS[secret]):
            quoted = json.dumps(environment[SECRETS[secret]], ensure_ascii=False)
            _override(sections, secret.split("."), quoted)
    for name, value in environment.items():
        if name.startswith(PREFIX):
            _override(sections, name.removeprefix(PREFIX).lower().split("__"), value)
    if "folder" in sections:
        raise ConfigError("folder is not a key", fix="Remove it.")
    try:
        # As JSON, a TOML table may become a dataclass while all other conversions are refused.
        text = json.dumps({**sections, "folder": path.absolute().parent}, default=str)
        settings = TypeAdapter(Settings).validate_json(text)
    except ValidationError as failure:
        raise _explained(failure, path, environment, written) from None
    if not 0 <= settings.data.bad_row_limit < 1:
        rule = "[data] bad_row_limit must be a share of at least 0 and below 1"
        raise ConfigError(rule, got=settings.data.bad_row_limit, fix=f"Fix {path.name}.")
    for table, source in settings.data.sources().items():
        if source.where is not None:
            parse_condition(source.where, table=table)
    load_language(settings.scoring.language)
    _check_key(settings.model)
    if settings.privacy.key is not None:
        stored_key(settings.ledger_path, settings.privacy.key)
    _check_quiet_hours(settings)
    settings.serving.check()
    return settings


def load_tables(path: Path | str = "churn.toml") -> Tables:
    """The tables that the file's `[data]` names, checked against their contracts.

    The user's own features are added to the catalogue, too.
    """
    settings = load_settings(path)
    if settings.features.module is not None:
        load_own_features(settings.path(settings.features.module))
    erased = settings.erased()
    return Tables.from_settings(settings.data, folder=settings.folder, erased=erased)


def load_accounts(settings: Settings, *, environment: Mapping[str, str] | None = None) -> Accounts:
    """The users of `[serving.users]` with the secrets that the environment holds.

    Raises ConfigError if a variable is not set, or does not hold what it should.
    """
    environment = os.environ if environment is None else environment
    users = {
        name: User(
            name=name,
            role=user.role,
            password_hash=_secret_of(user.password_variable, name, environment),
            api_key=_secret_of(user.api_key_variable, name, environment),
        )
        for name, user in settings.serving.users.items()
    }
    external = "" if settings.serving.oidc is None else repr(settings.serving.oidc)
    mark = hashlib.sha256(external.encode()).hexdigest()[:16] if external else ""
    return Accounts(users, external_mark=mark)


def load_oidc(
    settings: Settings, *, environment: Mapping[str, str] | None = None
) -> OidcClient | None:
    """The client of `[serving.oidc]` with its secret from the environment; None without one."""
    oidc = settings.serving.oidc
    if oidc is None:
        return None
    environment = os.environ if environment is None else environment
    secret = environment.get(oidc.client_secret_variable)
    if not secret:
        variable = oidc.client_secret_variable
        rule = f"[serving.oidc] names the environment variable {variable}, which is not set"
        raise ConfigError(rule, fix=f"Set {variable}.")
    return OidcClient(
        issuer=oidc.issuer,
        client_id=oidc.client_id,
        client_secret=secret,
        redirect_uri=oidc.redirect_uri,
        label=oidc.label,
        scopes=tuple(oidc.scopes),
        name_claim=oidc.name_claim,
        roles_claim=oidc.roles_claim,
        roles={role: frozenset(values) for role, values in oidc.roles.items()},
    )


def _secret_of(variable: str | None, user: str, environment: Mapping[str, str]) -> str | None:
    if variable is None:
        return None
    if not environment.get(variable):
        rule = f"[serving.users.{user}] names the environment variable {variable}, which is not set"
        raise ConfigError(rule, fix=f"Set {variable}.")
    return environment[variable]


def session_key(*, environment: Mapping[str, str] | None = None) -> bytes:
    """The key that signs sessions; without one in the environment a random one, with which all
    sessions end when the service does.
    """
    text = (os.environ if environment is None else environment).get(SESSION_KEY, "")
    if not text:
        return secrets.token_bytes(LEAST_KEY_LENGTH)
    if len(text) < LEAST_KEY_LENGTH:
        rule = f"{SESSION_KEY} must have at least {LEAST_KEY_LENGTH} characters"
        raise ConfigError(rule, got=f"{len(text)}", fix="Make one with `openssl rand -hex 32`.")
    return text.encode()


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # Windows adds a BOM
    except FileNotFoundError:
        fix = "Write one with `churn init ORDERS`, or pass --config."
        raise ConfigError(f"there is no configuration file {path.name!r}", fix=fix) from None
    except (OSError, UnicodeDecodeError) as failure:
        rule = f"{path.name} must be a readable text file"
        raise ConfigError(rule, got=type(failure).__name__) from None
    except tomllib.TOMLDecodeError as failure:
        raise ConfigError(f"{path.name} must be valid TOML", got=str(failure)) from None


def _refuse_written_secrets(sections: Mapping[str, Any], path: Path) -> None:
    """ConfigError if a secret itself is written in the file: files are copied and shared."""
    for name, variable in SECRETS.items():
        *above, key = name.split(".")
        value: Any = sections
        for part in (*above, key):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None and not (isinstance(value, str) and re.fullmatch(r"\$\{\w+\}", value)):
            rule = f"[{'.'.join(above)}] {key} must come from the environment"
            fix = f'Write {key} = "${{{variable}}}" into {path.name}, or leave it out.'
            raise ConfigError(rule, got="a value in the file", fix=fix)


def _is_secret(sections: list[str], key: str) -> bool:
    return ".".join((*sections, key)) in SECRETS


def _check_key(model: ModelSettings) -> None:
    if model.signing_key is None:
        if model.require_signature:
            rule = "[model] require_signature needs a key"
            raise ConfigError(rule, fix=f"Set {SIGNING_KEY}.")
    elif len(model.signing_key) < LEAST_KEY_LENGTH:
        rule = f"a signing key must have at least {LEAST_KEY_LENGTH} characters"
        got = f"{len(model.signing_key)}"
        raise ConfigError(rule, got=got, fix="Make one with `openssl rand -hex 32`.")


def _check_quiet_hours(settings: Settings) -> None:
    try:
        _ = settings.quiet_hours
    except ConfigError as failure:
        rule = f"[delivery] {failure.rule}"
        raise ConfigError(rule, got=failure.got, fix=failure.fix) from None


def _filled(value: Any, environment: Mapping[str, str]) -> Any:
    """The settings with every `${VAR}` replaced."""
    if isinstance(value, dict):
        return {key: _filled(inner, environment) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, environment) for inner in value]
    return with_variables(value, environment) if isinstance(value, str) else value


def with_variables(text: str, environment: Mapping[str, str]) -> str:
    """The text with every `${VAR}` replaced, percent-encoded in an address; ConfigError if one is
    not set.
    """
    encoded = partial(quote, safe="") if is_address(text) else str
    return re.sub(r"\$\{(\w+)\}", lambda match: encoded(_variable(match[1], environment)), text)


def _variable(name: str, environment: Mapping[str, str]) -> str:
    if name not in environment:
        rule = f"${{{name}}} names an environment variable that is not set"
        raise ConfigError(rule, fix=f"Set {name}.")
    return environment[name]


def _as_written(
    failure: ConfigError, written: Mapping[str, Any], environment: Mapping[str, str]
) -> ConfigError:
    """The error with `${VAR}` in place of the variable's value, which may be a secret."""
    names = sorted(set(re.findall(r"\$\{(\w+)\}", json.dumps(written, default=str))))
    values = {environment[name]: f"${{{name}}}" for name in names if environment.get(name)}

    def shown(text: str) -> str:
        for value in sorted(values, key=len, reverse=True):
            for spelt in {value, repr(value)[1:-1], quote(value, safe="")}:
                if len(spelt) > _SHORTEST_HIDDEN:
                    text = text.replace(spelt, values[value])
        return text

    got = None if failure.got is None else shown(failure.got)
    return type(failure)(shown(failure.rule), got=got, fix=shown(failure.fix))


def _override(sections: dict[str, Any], keys: list[str], text: str) -> None:
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    for key in keys[:-1]:
        sections = sections.setdefault(key, {})
        if not isinstance(sections, dict):
            rule = f"{PREFIX}{'__'.join(keys).upper()} must lead to a key of a section"
            raise ConfigError(rule, fix="Check its parts.")
    sections[keys[-1]] = value


def _explained(
    failure: ValidationError,
    path: Path,
    environment: Mapping[str, str],
    written: Mapping[str, Any],
) -> ConfigError:
    errors = failure.errors(include_url=False)
    lines = list(dict.fromkeys(_line(error, written) for error in errors))
    return ConfigError("; ".join(lines), fix=f"Fix {path.name}{_or_variables(environment)}.")


def _or_variables(environment: Mapping[str, str]) -> str:
    """The variables that override the file, since the mistake may be in one of them."""
    names = sorted(name for name in environment if name.startswith(PREFIX))
    return f", or {', '.join(names)}" if names else ""


def _line(error: Any, written: Mapping[str, Any]) -> str:
    *sections, key = (str(part) for part in error["loc"] if not _is_branch(part))
    where = f"[{'.'.join(sections)}] {key}" if sections else f"[{key}]"
    if error["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"{where} is not a known key"
    if error["type"] in ("missing", "missing_argument"):
        return f"{where} is missing"
    wanted = str(error["msg"]).removeprefix("Input should be ")
    if _is_secret(sections, key) or not isinstance(error["input"], str | int | float):
        return f"{where} must be {wanted}"  # no value is shown that is or may contain a secret
    return f"{where} must be {wanted}, got {_input(error, written)}"


def _input(error: Any, written: Mapping[str, Any]) -> str:
    """The value as written: `${VAR}` unexpanded, and of an address no more than the host."""
    value: Any = written
    for part in error["loc"]:
        if not _is_branch(part):
            value = value.get(str(part)) if isinstance(value, Mapping) else None
    if isinstance(value, str) and "${" in value:
        return repr(shown_address(value))
    given = error["input"]
    return repr(shown_address(given) if isinstance(given, str) else given)


def _is_branch(part: object) -> bool:
    """Whether a step of an error's path is a branch of a union rather than a key."""
    return isinstance(part, int) or str(part) in ("int", "float", "str") or "[" in str(part)
