"""`init` writes valid settings and never replaces a user's own."""

import tomllib
from pathlib import Path

import pytest

from churn.commands.check import check
from churn.commands.init import given_answers, init, init_result, pairs
from churn.commands.starter_files import Answers
from churn.config import load_settings
from churn.errors import ConfigError, DataError
from churn.offers.catalogue import Offers
from churn.results.job_result import hashed

GERMAN = "Kundennummer;Datum;Betrag\n007;13.02.2024;1.234,56\n007;01.03.2024;9,00\n"
SECTIONS = {"data", "churn", "panel", "value", "model", "tracking", "scoring", "offers"}


@pytest.fixture
def german(tmp_path: Path) -> Path:
    path = tmp_path / "export" / "bestellungen.csv"
    path.parent.mkdir()
    path.write_text(GERMAN)
    return path


def test_the_settings_contain_every_section_and_the_evidence(tmp_path, german):
    result = init([german], out=tmp_path / "churn.toml")
    written = tomllib.loads(result.config.read_text())
    assert written.keys() == SECTIONS
    assert written["data"]["orders"] == {
        "source": "export/bestellungen.csv",
        "grain": "order",
        "delimiter": ";",
        "decimal": ",",
        "date_format": "%d.%m.%Y",
        "columns": {"customer_id": "Kundennummer", "ordered_at": "Datum", "amount": "Betrag"},
    }
    assert "# seen: 2 of 2 values are whole dates, day first" in result.config.read_text()


def test_default_formats_are_not_written(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text("client,date,amount\n1,2024-01-01,2\n1,2024-01-02,2\n")
    orders = tomllib.loads(init([path], out=tmp_path / "c.toml").config.read_text())["data"][
        "orders"
    ]
    assert orders.keys() == {"source", "grain", "columns"}


def test_every_key_has_a_comment(tmp_path, german):
    text = init([german], out=tmp_path / "churn.toml").config.read_text()
    keys = [line for line in text.splitlines() if " = " in line and not line.startswith("#")]
    assert keys
    assert all("  # " in line or '" # ' in line for line in keys)


def test_warnings_are_comments_in_the_file(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text("client,date,amount\n1,01/02/2024,2\n1,02/03/2024,2\n")
    result = init([path], out=tmp_path / "churn.toml")
    assert result.guess.warnings
    assert "# Check: the dates in 'date' can be read as day first" in result.config.read_text()


def test_several_files_become_a_list_and_odd_names_survive(tmp_path):
    paths = [tmp_path / 'a "1" [x].csv', tmp_path / "b ü.csv"]
    for path in paths:
        path.write_text('"my ""client""",date,amount\n1,2024-01-01,2\n1,2024-01-02,2\n')
    written = tomllib.loads(init(paths, out=tmp_path / "churn.toml").config.read_text())
    orders = written["data"]["orders"]
    assert orders["columns"]["customer_id"] == 'my "client"'
    found = [path for source in orders["source"] for path in tmp_path.glob(source)]
    assert found == paths


def test_existing_settings_are_kept_unless_forced(tmp_path, german):
    out = tmp_path / "churn.toml"
    out.write_text("mine")
    with pytest.raises(ConfigError, match="Pass --force to replace it"):
        init([german], out=out)
    assert out.read_text() == "mine"
    init([german], out=out, force=True)
    assert out.read_text() != "mine"


def test_starter_offers_are_a_valid_catalogue(tmp_path, german):
    result = init([german], out=tmp_path / "churn.toml")
    assert result.offers == tmp_path / "offers.toml"
    assert len(Offers.load(tmp_path / "offers.toml").offers) == 3


def test_existing_offers_are_never_replaced(tmp_path, german):
    (tmp_path / "offers.toml").write_text("mine")
    result = init([german], out=tmp_path / "churn.toml", force=True)
    assert result.offers is None
    assert (tmp_path / "offers.toml").read_text() == "mine"


def test_files_that_are_not_orders_write_nothing(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text("a,b\nx,y\n")
    with pytest.raises(DataError, match="Pass --map customer_id="):
        init([path], out=tmp_path / "churn.toml")
    assert [each.name for each in tmp_path.iterdir()] == ["orders.csv"]


def orders_of(config: Path) -> dict:
    return tomllib.loads(config.read_text())["data"]["orders"]


REFUNDED = (
    "Order ID,Customer ID,Order Date,Subtotal,Order Total (inc tax),Refund Amount\n"
    "1,7,2024-01-15,18.00,25.00,0.00\n2,7,2024-02-15,20.00,27.00,5.00\n"
)
LINES = (
    "Name,Email,Financial Status,Total,Created at,Lineitem quantity,Lineitem name,Lineitem price\n"
    "#1,a@x.example,paid,30.00,2024-01-15 10:00:00 +0100,1,Cup,10.00\n"
    "#1,a@x.example,,,2024-01-15 10:00:00 +0100,2,Lid,10.00\n"
    "#2,b@x.example,paid,12.00,2024-02-15 10:00:00 +0100,1,Cup,12.00\n"
)


def test_the_amount_is_shown_with_other_columns_of_money(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text(REFUNDED)
    result = init_result([path], out=tmp_path / "churn.toml")
    money = next(rows for title, _, rows in result.tables if title == "Columns of money")
    assert money[0] == ("Order Total (inc tax)", "52.00", "2", "amount")
    assert ("Subtotal", "38.00", "2", "") in money
    assert "# Other columns of money: 'Subtotal' 38.00" in (tmp_path / "churn.toml").read_text()


def test_init_ends_with_the_figures_that_check_finds(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text(REFUNDED)
    result = init_result([path], out=tmp_path / "churn.toml")
    assert result.exit_code == 0
    assert result.metrics["overview"]["total"]["orders"] == 2
    assert result.metrics == check(tmp_path / "churn.toml").metrics


def test_a_total_on_the_first_line_of_an_order_is_the_order_and_its_lines_are_lines(tmp_path):
    path = tmp_path / "orders_export.csv"
    path.write_text(LINES)
    result = init_result([path], out=tmp_path / "churn.toml")
    data = tomllib.loads((tmp_path / "churn.toml").read_text())["data"]
    assert (data["orders"]["grain"], data["orders"]["where"]) == ("order", "Total is not null")
    assert data["order_lines"]["columns"]["amount"] == '"Lineitem quantity" * "Lineitem price"'
    assert result.resolved["system"] == "a Shopify orders export"
    assert result.rows == {"orders": 2, "order_lines": 3}
    assert result.metrics["overview"]["total"]["revenue"] == 42.0


def test_settings_whose_orders_cannot_be_read_are_written_and_say_why(tmp_path):
    path = tmp_path / "orders.csv"
    rows = "".join(f"1,2024-01-{day:02d},2\n" for day in range(1, 21))
    path.write_text(f"client,date,amount\n{rows}1,unknown,2\n")
    result = init_result([path], out=tmp_path / "churn.toml")
    assert result.exit_code == 3
    assert "cannot be read yet: at most 1.0% of the rows" in (result.failure or "")
    assert (tmp_path / "churn.toml").exists()


def test_given_columns_are_used(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text(REFUNDED)
    columns = pairs(["amount=Subtotal", "customer_id = Order ID"])
    init([path], out=tmp_path / "churn.toml", columns=columns)
    found = orders_of(tmp_path / "churn.toml")["columns"]
    assert (found["amount"], found["customer_id"]) == ("Subtotal", "Order ID")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["amount"], "--map must be OURS=THEIRS, got amount"),
        (["amount=Nothing"], r"--map amount must name columns of orders\.csv.*Nothing.*It has"),
        (["sum=Subtotal"], r"--map must name known columns, got \['sum'\]\. Known"),
    ],
)
def test_unknown_columns_are_rejected_with_the_existing_ones(tmp_path, given, message):
    path = tmp_path / "orders.csv"
    path.write_text(REFUNDED)
    with pytest.raises(ConfigError, match=message):
        init([path], out=tmp_path / "churn.toml", columns=pairs(given))


def test_what_the_files_do_not_state_is_asked_and_written(tmp_path, german):
    asked = []

    def ask(question: str, usual: str) -> str:
        asked.append((question.split()[0:2], usual))
        return {"USD": "eur", "0.3": "45 %", "required": "assumed"}[usual]

    init([german], out=tmp_path / "churn.toml", ask=ask)
    written = tomllib.loads((tmp_path / "churn.toml").read_text())
    assert [usual for _, usual in asked] == ["USD", "0.3", "required"]
    assert written["data"]["currency"] == "EUR"
    assert written["value"]["margin_rate"] == 0.45
    assert written["offers"]["consent"] == "assumed"


def test_given_answers_are_not_asked_again(tmp_path, german):
    answers = given_answers(currency="eur", margin="0,5", consent="required")
    assert answers == Answers(currency="EUR", margin=0.5, consent="required")

    def nobody(question: str, usual: str) -> str:
        raise AssertionError(question)

    init([german], out=tmp_path / "churn.toml", answers=answers, ask=nobody)
    assert tomllib.loads((tmp_path / "churn.toml").read_text())["data"]["currency"] == "EUR"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"margin": "much"}, "must be a share above 0 and at most 1, got much"),
        ({"currency": "euros"}, "a three-letter code, got euros"),
        ({"consent": "yes"}, "--consent must be one of"),
    ],
)
def test_invalid_answers_are_rejected(option, message):
    with pytest.raises(ConfigError, match=message):
        given_answers(**{"currency": None, "margin": None, "consent": None, **option})


def test_a_folder_or_a_glob_stays_one_in_the_settings(tmp_path, monkeypatch):
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "orders_01.csv").write_text(REFUNDED)
    monkeypatch.chdir(tmp_path)
    for place in ("exports", "exports/orders_*.csv"):
        init([Path(place)], out=Path("churn.toml"), force=True)
        assert orders_of(Path("churn.toml"))["source"] == place
    (folder / "orders_02.csv").write_text(REFUNDED.replace("\n1,", "\n3,").replace("\n2,", "\n4,"))
    assert check(Path("churn.toml")).rows == {"orders": 4}


def test_a_column_of_consent_is_used_with_a_note(tmp_path):
    rows = "".join(
        f"{number},c{number % 9}@mail.example,2024-01-{number % 28 + 1:02d},{number + 10}.5,"
        f"{'yes' if number % 3 else 'no'}\n"
        for number in range(90)
    )
    orders = tmp_path / "orders.csv"
    orders.write_text(f"Order,Email,Created at,Total,Accepts Marketing\n{rows}")
    result = init_result([orders], out=tmp_path / "churn.toml")
    settings = load_settings(tmp_path / "churn.toml")
    assert settings.data.consents is not None
    assert settings.data.consents.columns["granted"] == "Accepts Marketing"
    assert any('"Accepts Marketing" (60 yes, 30 no)' in warning for warning in result.warnings)
    assert result.rows["consents"] == 90


def test_the_costs_of_the_first_offers_are_scaled_to_the_shop(tmp_path):
    orders = tmp_path / "orders.csv"
    rows = "".join(f"c{n % 20},2024-02-{n % 28 + 1:02d},{n % 3 + 799}.00\n" for n in range(60))
    orders.write_text(f"customer,date,amount\n{rows}")
    result = init_result([orders], out=tmp_path / "churn.toml")
    offers = {one.offer_id: one for one in Offers.load(tmp_path / "offers.toml")}
    assert offers["come-back"].margin_cost == 150.0
    assert "your mean order is 800.00" in (tmp_path / "offers.toml").read_text()
    assert result.files == hashed(tmp_path / "churn.toml", tmp_path / "offers.toml")


def test_surveys_and_reviews_are_guessed_and_read(tmp_path):
    orders, surveys, reviews = (tmp_path / f"{name}.csv" for name in ("o", "nps", "stars"))
    orders.write_text("client,date,amount\n1,2024-01-01,2\n2,2024-01-02,2\n")
    surveys.write_text("Customer ID;Submitted at;NPS Score\n1;2024-01-03;0\n2;2024-01-04;9\n")
    reviews.write_text("user,review_date,stars,sku\n1,2024-01-03,5,p\n")
    result = init(
        [orders],
        out=tmp_path / "churn.toml",
        feedback={"surveys": surveys, "reviews": reviews},
    )
    written = tomllib.loads(result.config.read_text())["data"]
    assert written["surveys"] == {
        "source": "nps.csv",
        "delimiter": ";",
        "columns": {
            "customer_id": "Customer ID",
            "surveyed_at": "Submitted at",
            "score": "NPS Score",
            "scale": "'nps'",
        },
    }
    assert written["reviews"]["columns"]["product_id"] == "sku"
    audits = check(result.config).audits
    assert (audits["surveys"].rows_kept, audits["reviews"].rows_kept) == (2, 1)


def test_a_scale_that_is_not_unmistakable_is_left_open(tmp_path):
    orders, surveys = tmp_path / "o.csv", tmp_path / "s.csv"
    orders.write_text("client,date,amount\n1,2024-01-01,2\n1,2024-01-02,2\n")
    surveys.write_text("customer,date,score\n1,2024-01-03,1\n1,2024-01-04,10\n")
    result = init([orders], out=tmp_path / "churn.toml", feedback={"surveys": surveys})
    columns = tomllib.loads(result.config.read_text())["data"]["surveys"]["columns"]
    assert "scale" not in columns


def test_a_file_of_surveys_without_a_score_is_refused_before_anything_is_written(tmp_path):
    orders, surveys = tmp_path / "o.csv", tmp_path / "s.csv"
    orders.write_text("client,date,amount\n1,2024-01-01,2\n1,2024-01-02,2\n")
    surveys.write_text("customer,date,text\n1,2024-01-03,hello\n")
    with pytest.raises(DataError, match=r"s.csv must have recognisable columns for score"):
        init([orders], out=tmp_path / "churn.toml", feedback={"surveys": surveys})
    assert not (tmp_path / "churn.toml").exists()
