"""`init` writes settings that the rest can read, and never over a user's own."""

import tomllib
from pathlib import Path

import pytest

from churn.errors import ConfigError, DataError
from churn.jobs.init import init
from churn.retention.offers import Offers

GERMAN = "Kundennummer;Datum;Betrag\n007;13.02.2024;1.234,56\n007;01.03.2024;9,00\n"
SECTIONS = {"data", "churn", "panel", "value", "model", "tracking", "scoring", "offers"}


@pytest.fixture
def german(tmp_path: Path) -> Path:
    path = tmp_path / "export" / "bestellungen.csv"
    path.parent.mkdir()
    path.write_text(GERMAN)
    return path


def test_the_settings_hold_every_section_and_what_was_seen(tmp_path, german):
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


def test_usual_notations_are_not_written(tmp_path):
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


def test_warnings_stand_in_the_file_as_remarks(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text("client,date,amount\n1,01/02/2024,2\n1,02/03/2024,2\n")
    result = init([path], out=tmp_path / "churn.toml")
    assert result.guess.warnings
    assert "# Look: the dates in 'date' read day first" in result.config.read_text()


def test_several_files_become_a_list_and_odd_names_survive(tmp_path):
    paths = [tmp_path / 'a "1" [x].csv', tmp_path / "b ü.csv"]
    for path in paths:
        path.write_text('"my ""client""",date,amount\n1,2024-01-01,2\n1,2024-01-02,2\n')
    written = tomllib.loads(init(paths, out=tmp_path / "churn.toml").config.read_text())
    orders = written["data"]["orders"]
    assert orders["columns"]["customer_id"] == 'my "client"'
    found = [path for source in orders["source"] for path in tmp_path.glob(source)]
    assert found == paths


def test_settings_that_are_there_are_kept_unless_forced(tmp_path, german):
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


def test_offers_that_are_there_are_never_replaced(tmp_path, german):
    (tmp_path / "offers.toml").write_text("mine")
    result = init([german], out=tmp_path / "churn.toml", force=True)
    assert result.offers is None
    assert (tmp_path / "offers.toml").read_text() == "mine"


def test_orders_that_cannot_be_told_leave_nothing_behind(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text("a,b\nx,y\n")
    with pytest.raises(DataError, match="Map it in"):
        init([path], out=tmp_path / "churn.toml")
    assert [each.name for each in tmp_path.iterdir()] == ["orders.csv"]
