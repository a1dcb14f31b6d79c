"""Settings are read strictly: a mistake is one clear line, and nothing is guessed."""

import json
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from churn.config import Settings, load_settings, load_tables
from churn.data.sources import files_of
from churn.errors import ConfigError

LEAST = '[data.orders]\nsource = "orders.csv"\n'
SECTIONS = {
    "churn": {"horizon_days": 28, "lookback_days": "auto", "min_tenure_days": 7, "lead_days": 1},
    "panel": {"every_days": 14, "cutoffs": 9},
    "value": {"margin_rate": 0.25, "remaining_years": 5.0, "discount_rate": 0.0},
    "model": {"directory": "bundles", "seed": 3},
    "tracking": {"uri": "sqlite:///m.db", "experiment": "e", "model_name": "m"},
    "scoring": {"capacity": 50},
    "offers": {"catalogue": "o.toml", "budget": 9.0, "holdout": 0.2, "consent": "assumed"},
}


@pytest.fixture
def load(tmp_path):
    """Settings from a text, without the machine's environment unless one is given."""

    def load(text=LEAST, **environment):
        path = tmp_path / "churn.toml"
        path.write_text(text, encoding="utf-8")
        return load_settings(path, environment=environment)

    return load


def test_orders_are_the_only_required_key(load, tmp_path):
    found = load()
    assert found.data.orders.source == "orders.csv"
    assert found.churn.horizon_days == found.churn.lookback_days == "auto"
    assert found.panel.cutoffs == 13
    assert (found.scoring.capacity, found.value.margin_rate) == (0.1, 0.3)
    assert found.offers.consent == "required"
    assert found.tracking.uri == "sqlite:///mlflow.db"
    assert found.folder == tmp_path


def test_every_section_is_read(load):
    lines = [LEAST]
    for section, values in SECTIONS.items():
        lines.append(f"[{section}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    found = load("\n".join(lines))
    for section, values in SECTIONS.items():
        for key, value in values.items():
            assert getattr(getattr(found, section), key) == value


def test_dates_are_toml_dates(load):
    assert load("[data]\nuntil = 2024-02-29\n" + LEAST).data.until == date(2024, 2, 29)


def test_relative_paths_start_at_the_file_and_absolute_ones_stay(load, tmp_path):
    found = load()
    assert found.path("models") == tmp_path / "models"
    assert found.path("/elsewhere/models") == Path("/elsewhere/models")
    assert found.ledger_path == tmp_path / "ledger.db"


def test_the_file_may_be_relative_to_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "churn.toml").write_text(LEAST)
    monkeypatch.chdir(tmp_path)
    assert load_settings("churn.toml", environment={}).path("models") == tmp_path / "models"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"^\[data\] is missing\. Fix churn\.toml\.$"),
        ("[data]\n", r"^\[data\] orders is missing"),
        ("[data.orders]\n", r"^\[data\.orders\] source is missing"),
        (LEAST + "[panel\n", r"^churn\.toml must be valid TOML, got .*line 3"),
        (LEAST + "[dat]\n", r"^\[dat\] is not a known key"),
        (LEAST + "[scoring]\ncapcity = 1\n", r"^\[scoring\] capcity is not a known key"),
        (LEAST + 'colums = {x = "y"}\n', r"^\[data\.orders\] colums is not a known key"),
        (LEAST + "[panel]\ncutoffs = '13'\n", r"^\[panel\] cutoffs must be .*integer, got '13'"),
        (LEAST + "[panel]\ncutoffs = 1.5\n", r"^\[panel\] cutoffs must be .*integer, got 1\.5"),
        (LEAST + "[panel]\ncutoffs = true\n", r"^\[panel\] cutoffs must be .*integer, got True"),
        (LEAST + "[value]\nmargin_rate = 'x'\n", r"^\[value\] margin_rate must be .*number"),
        (LEAST + "[churn]\nhorizon_days = 'soon'\n", r"\[churn\] horizon_days must be .*'auto'"),
        (LEAST + "[churn]\nhorizon_days = 28.5\n", r"\[churn\] horizon_days must be .*, got 28\.5"),
        (LEAST + "[offers]\nconsent = 'yes'\n", r"\[offers\] consent must be 'required' or 'ass"),
        (LEAST + "[offers]\nbudget = '5'\n", r"^\[offers\] budget must be .*number, got '5'"),
        (LEAST + "grain = 'month'\n", r"^\[data\.orders\] grain must be 'order' or 'line'"),
        (LEAST + "[model]\ntune_trials = -1\n", r"^\[model\] tune_trials must be .* 0, got -1"),
        (LEAST + "[model]\nmost_rows = 10\n", r"^\[model\] most_rows must be .* 1000, got 10"),
        (
            "[data]\nengine = 'excel'\n" + LEAST,
            r"^\[data\] engine must be 'duckdb', 'polars' or 'spark', got 'excel'",
        ),
        ("[data]\nuntil = 'May'\n" + LEAST, r"^\[data\] until must be .*date"),
        ("data = 3\n", r"^\[data\] must be .*, got 3"),
        (LEAST + "[folder]\n", r"^folder is not a key\. Remove it\.$"),
        (LEAST.replace('"orders.csv"', "7"), r"^\[data\.orders\] source must be .*, got 7"),
        (LEAST.replace('"orders.csv"', '"${HOME_OF_ORDERS}"'), r"^\$\{HOME_OF_ORDERS\} names an e"),
    ],
)
def test_every_mistake_is_one_clear_line(load, text, message):
    with pytest.raises(ConfigError, match=message) as refused:
        load(text)
    assert "\n" not in str(refused.value)
    assert "pydantic" not in str(refused.value)


def test_several_mistakes_are_reported_at_once(load):
    with pytest.raises(ConfigError) as refused:
        load(LEAST + "[panel]\ncutoffs = 'x'\nnoise = 1\n[value]\nmargin_rate = 'y'\n")
    for part in ("[panel] cutoffs", "[panel] noise", "[value] margin_rate"):
        assert part in str(refused.value)


def test_a_missing_file_is_an_error_that_suggests_init(tmp_path):
    with pytest.raises(ConfigError, match=r"no configuration file 'none\.toml'.*`churn init ORD"):
        load_settings(tmp_path / "none.toml")


def test_a_binary_file_is_rejected(tmp_path):
    path = tmp_path / "churn.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"churn\.toml must be a readable text file"):
        load_settings(path)
    with pytest.raises(ConfigError, match="must be a readable text file, got IsADirectoryError"):
        load_settings(tmp_path)


def test_a_file_that_windows_wrote_is_read(tmp_path):
    """With its byte order mark and its line ends."""
    path = tmp_path / "churn.toml"
    path.write_bytes(b"\xef\xbb\xbf" + LEAST.replace("\n", "\r\n").encode())
    assert load_settings(path, environment={}).data.orders.source == "orders.csv"


def test_variables_of_the_environment_fill_texts_and_nothing_else(load):
    text = '[data.orders]\nsource = ["${PLACE}/a.csv", "${PLACE}/${NAME}.csv"]\n'
    found = load(text, PLACE="/exports", NAME="b")
    assert found.data.orders.source == ["/exports/a.csv", "/exports/b.csv"]


def test_the_content_of_a_variable_is_never_parsed_as_settings(load):
    """A secret with quotes, newlines or another variable in it stays a text."""
    secret = '"]\n[model]\nseed = 9 ${NAME}'
    found = load('[data.orders]\nsource = "${SECRET}"\n', SECRET=secret)
    assert found.data.orders.source == secret
    assert found.model.seed == 7


@pytest.mark.parametrize(
    ("name", "text", "section", "key", "value"),
    [
        ("CHURN__SCORING__CAPACITY", "0.2", "scoring", "capacity", 0.2),
        ("CHURN__SCORING__CAPACITY", "20", "scoring", "capacity", 20),
        ("CHURN__MODEL__DIRECTORY", "elsewhere", "model", "directory", "elsewhere"),
        ("CHURN__MODEL__DIRECTORY", '"7"', "model", "directory", "7"),
        ("CHURN__CHURN__HORIZON_DAYS", "56", "churn", "horizon_days", 56),
        ("CHURN__CHURN__HORIZON_DAYS", "auto", "churn", "horizon_days", "auto"),
        ("CHURN__TRACKING__URI", "http://127.0.0.1:5000", "tracking", "uri", None),
    ],
)
def test_the_environment_overrides_a_key(load, name, text, section, key, value):
    found = load(LEAST + "[scoring]\ncapacity = 0.1\n", **{name: text})
    assert getattr(getattr(found, section), key) == (text if value is None else value)


def test_an_override_reaches_the_columns_of_a_table(load):
    found = load(CHURN__DATA__ORDERS__COLUMNS__AMOUNT="total", CHURN__DATA__UNTIL="2024-01-01")
    assert found.data.orders.columns == {"amount": "total"}
    assert found.data.until == date(2024, 1, 1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CHURN__SCORING__NOISE", r"\[scoring\] noise is not a known key"),
        ("CHURN__NOISE", r"\[noise\] is not a known key"),
        ("CHURN__SCORING__CAPACITY__DEEPER", r"CAPACITY__DEEPER must lead to a key of a"),
        ("CHURN__FOLDER", "folder is not a key"),
        ("CHURN__", r"is not a known key"),
    ],
)
def test_an_override_of_an_unknown_key_is_rejected(load, name, message):
    with pytest.raises(ConfigError, match=message):
        load(LEAST + "[scoring]\ncapacity = 0.1\n", **{name: "1"})


def test_a_mistake_under_overrides_names_the_variables_too(load):
    with pytest.raises(ConfigError, match=r"Fix churn\.toml, or CHURN__VALUE__MARGIN\.$"):
        load(CHURN__VALUE__MARGIN="1")


def test_other_variables_of_the_environment_are_left_alone(load):
    assert load(CHURN_SCORING="x", PATH="/bin", churn__model__seed="1").model.seed == 7


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.text(max_size=60) | st.binary(max_size=60))
def test_any_file_is_settings_or_a_one_line_error(tmp_path, content):
    path = tmp_path / "any.toml"
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    path.write_bytes(data)
    try:
        found = load_settings(path, environment={})
    except ConfigError as refused:
        line = str(refused)
    else:
        line = found
    assert isinstance(line, Settings) or "\n" not in line.strip()


def test_tables_are_relative_to_the_file(tmp_path):
    (tmp_path / "orders.csv").write_text("customer_id,ordered_at,amount\na,2024-01-01,2.5\n")
    (tmp_path / "churn.toml").write_text(LEAST)
    assert load_tables(tmp_path / "churn.toml").audits["orders"].rows_kept == 1


def test_a_missing_table_is_named(tmp_path):
    (tmp_path / "churn.toml").write_text(LEAST)
    with pytest.raises(ConfigError, match=r"\[data\.orders\] source must name an existing file"):
        load_tables(tmp_path / "churn.toml")


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("value", "margin_rate", "30"),
        ("offers", "holdout", "1.5"),
        ("offers", "budget", "-1"),
        ("scoring", "capacity", "-3"),
        ("model", "seed", "-1"),
        ("panel", "cutoffs", "0"),
        ("data", "bad_row_limit", "5"),
    ],
)
def test_a_setting_out_of_its_range_is_named(tmp_path, section, key, value):
    path = tmp_path / "churn.toml"
    path.write_text('[data.orders]\nsource = "orders.csv"\n')
    environment = {f"CHURN__{section.upper()}__{key.upper()}": value}
    with pytest.raises(ConfigError, match=rf"\[{section}\] {key} must be .*got {value}"):
        load_settings(path, environment=environment)


KEY = "0123456789abcdef0123456789abcdef"


def test_the_signing_key_comes_from_its_variable(load):
    assert load(CHURN_SIGNING_KEY=KEY).model.signing_key == KEY
    assert load().model.signing_key is None
    digits = "1" * 40
    assert load(CHURN_SIGNING_KEY=digits).model.signing_key == digits


def test_the_signing_key_may_come_from_another_variable(load):
    text = f'{LEAST}[model]\nsigning_key = "${{SHOP_KEY}}"\nrequire_signature = true\n'
    assert load(text, SHOP_KEY=KEY).model.signing_key == KEY


@pytest.mark.parametrize("value", [json.dumps(KEY), '"a${VAR}"', "5", '""'])
def test_a_key_written_in_the_file_is_rejected_and_not_repeated(load, value):
    with pytest.raises(ConfigError, match="signing_key must come from the environment") as refused:
        load(f"{LEAST}[model]\nsigning_key = {value}\n", VAR="x")
    assert KEY not in str(refused.value)


def test_a_required_signature_without_a_key_is_refused(load):
    with pytest.raises(ConfigError, match=r"require_signature needs a key\. Set CHURN_SIGNING_KEY"):
        load(f"{LEAST}[model]\nrequire_signature = true\n")


def test_a_short_key_is_refused_and_no_key_is_shown(load):
    with pytest.raises(ConfigError, match="at least 32 characters, got 9") as refused:
        load(CHURN_SIGNING_KEY="tell-none")
    assert "tell-none" not in str(refused.value)
    with pytest.raises(ConfigError, match="signing_key must be") as refused:
        load(CHURN__MODEL__SIGNING_KEY="4711")
    assert "4711" not in str(refused.value)
    assert KEY not in repr(load(CHURN_SIGNING_KEY=KEY))


def test_the_privacy_key_comes_only_from_the_environment(load):
    assert load(CHURN_PRIVACY_KEY=KEY).privacy.key == KEY
    assert load(f'{LEAST}[privacy]\nkey = "${{SHOP_KEY}}"\n', SHOP_KEY=KEY).privacy.key == KEY
    assert KEY not in repr(load(CHURN_PRIVACY_KEY=KEY))
    with pytest.raises(ConfigError, match=r"\[privacy\] key must come from the env") as refused:
        load(f'{LEAST}[privacy]\nkey = "{KEY}"\n')
    assert KEY not in str(refused.value)
    with pytest.raises(ConfigError, match=r"\[privacy\] key must have at least 32") as refused:
        load(CHURN_PRIVACY_KEY="tell-none")
    assert "tell-none" not in str(refused.value)
    with pytest.raises(ConfigError, match=r"\[privacy\] key must be a valid string") as refused:
        load(CHURN__PRIVACY__KEY="4711")
    assert "4711" not in str(refused.value)


def test_quiet_hours_are_in_the_zone_of_delivery_or_else_in_that_of_the_shops_days(load):
    hours = '[delivery]\nquiet_hours = "21:00-08:00"\n'
    day_zone = f'[data]\nday_timezone = "Europe/Berlin"\n{LEAST}{hours}'
    assert load(day_zone).quiet_hours.timezone == "Europe/Berlin"
    own_zone = day_zone + 'timezone = "America/New_York"\n'
    assert load(own_zone).quiet_hours.timezone == "America/New_York"
    assert load().quiet_hours is None


def test_invalid_quiet_hours_are_rejected_when_the_file_is_read(load):
    with pytest.raises(ConfigError, match=r"\[delivery\] quiet hours must be two times of day"):
        load(f'{LEAST}[delivery]\nquiet_hours = "late"\n')


EMAIL = """[delivery.email]
host = "mail.shop.example"
sender = "news@shop.example"
unsubscribe_url = "https://shop.example/unsubscribe"
shop = "Shop"
address = "1 High Street"
username = "jo"
password = "${SMTP_PASSWORD}"
"""
HOOK = """[delivery.webhook]
url = "https://tool.example/hook"
secret = "${WEBHOOK_SECRET}"
"""
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_transports_take_their_secrets_from_the_environment(load):
    delivery = load(LEAST + EMAIL + HOOK, SMTP_PASSWORD="hunter2", WEBHOOK_SECRET=WHSEC).delivery
    assert (delivery.email.password, delivery.email.security) == ("hunter2", "starttls")
    assert delivery.webhook.secret == WHSEC
    assert "hunter2" not in repr(delivery)
    assert WHSEC not in repr(delivery)
    assert (load().delivery.email, load().delivery.webhook) == (None, None)


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        (
            EMAIL.replace("${SMTP_PASSWORD}", "hunter2"),
            r"\[delivery.email\] password must come from",
        ),
        (HOOK.replace("${WEBHOOK_SECRET}", WHSEC), r"\[delivery.webhook\] secret must come from"),
        ("[delivery.webhook]\nsecret = 5\n", r"secret must come from the environment"),
    ],
)
def test_a_delivery_secret_written_in_the_file_is_rejected_and_not_repeated(load, text, reported):
    with pytest.raises(ConfigError, match=reported) as refused:
        load(LEAST + text)
    assert "hunter2" not in str(refused.value)
    assert WHSEC not in str(refused.value)


def test_a_mistake_near_a_secret_does_not_show_it(load):
    with pytest.raises(ConfigError, match=r"\[delivery\.email\] host must be .*string") as refused:
        load(LEAST + EMAIL.replace('"mail.shop.example"', "5"), SMTP_PASSWORD="hunter2")
    assert "hunter2" not in str(refused.value)
    with pytest.raises(ConfigError, match=r"\[delivery\] email must be") as refused:
        load(CHURN__DELIVERY__EMAIL='[{ password = "hunter2" }]')
    assert "hunter2" not in str(refused.value)
    with pytest.raises(ConfigError, match=r"\[delivery\.email\] password must be") as refused:
        load(CHURN__DELIVERY__EMAIL__PASSWORD="4711")
    assert "4711" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        '[data.orders]\nsource = "o.csv"\n[data]\nengine = "${A_SECRET}"',
        '[data.orders]\nsource = "o.csv"\n[data]\nbad_row_limit = "${A_SECRET}"',
        '[data.orders]\nsource = "o.csv"\n[tracking]\nuri = ["${A_SECRET}"]',
        '[data.orders]\nsource = "o.csv"\n[delivery]\nquiet_hours = "${A_SECRET}"',
        '[data.orders]\nsource = "o.csv"\n[delivery.webhook]\nurl = "http://h/${A_SECRET}"\n'
        'secret = "${OTHER}"',
    ],
)
def test_the_value_of_a_variable_is_never_shown(tmp_path, text):
    """Any value from the environment may be a secret."""
    (tmp_path / "churn.toml").write_text(text)
    environment = {"A_SECRET": "hunter2-SECRET", "OTHER": "whsec_" + "A" * 40}
    with pytest.raises(ConfigError) as refused:
        load_settings(tmp_path / "churn.toml", environment=environment)
    assert "hunter2" not in str(refused.value)


def test_a_wrong_value_out_of_the_environment_is_shown_as_it_is_written(tmp_path):
    text = '[data.orders]\nsource = "o.csv"\n[model]\nseed = "${SEED}"'
    (tmp_path / "churn.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"\[model\] seed must be .*, got '\$\{SEED\}'"):
        load_settings(tmp_path / "churn.toml", environment={"SEED": "x1"})


def test_an_unsupported_database_address_does_not_show_its_password(tmp_path):
    text = '[data]\ncurrency = "EUR"\n[data.orders]\nsource = "{}"'
    for source in (
        "postgresql+psycopg://u:${S}@h/db#t",
        "jdbc:postgresql://h/db?password=${S}",
        " mysql://u:${S}@h/db",
        "pgsql:u:${S}@h",
    ):
        (tmp_path / "churn.toml").write_text(text.format(source))
        settings = load_settings(tmp_path / "churn.toml", environment={"S": "hunter2"})
        orders = settings.data.sources()["orders"]
        with pytest.raises(ConfigError, match="must name an existing file") as refused:
            files_of(orders, table="orders", folder=tmp_path)
        assert "hunter2" not in str(refused.value)
