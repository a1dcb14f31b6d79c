"""Publishing: one file with everything, equal to the commands, replaced as a whole."""

import json
import re
import shutil
from datetime import timedelta
from html import unescape
from types import SimpleNamespace

import pandas as pd
import pyarrow.parquet as pq
import pytest
from asgi_client import AsgiClient
from figures_shown import NUMBER, Tables, leaves, numbers_in, records, tight
from simulated_shop import AS_OF, copied_shop, trained_shop

from churn.commands.cohorts import cohorts
from churn.commands.feedback import feedback
from churn.commands.forget import forget
from churn.commands.journey import journey
from churn.commands.metrics import metrics
from churn.commands.monitor import monitor
from churn.commands.plan import plan
from churn.commands.publish import publish
from churn.commands.score import score
from churn.commands.segments import segments
from churn.commands.signals import signals
from churn.errors import ConfigError, DataError
from churn.reporting.digest import digest_of
from churn.reporting.overview import AT_RISK, MOST_NUMBERS, overview_in
from churn.reporting.page_tables import plain
from churn.reporting.published import DOCUMENTS, Published
from churn.reporting.report import report_html
from churn.reporting.sentences import found_at, wording
from churn.reporting.tables import CENTS, CUSTOMERS, MONEY, PERCENT, Columns
from churn.reporting.translated import translated
from churn.serving.dashboard.access import Accounts
from churn.serving.dashboard.base_views import TABLES
from churn.serving.dashboard.figures import Figures
from churn.serving.dashboard.pages import create_pages
from churn.serving.dashboard.site import PageOptions
from churn.serving.dashboard.wording import wording_of
from churn.storage.ledger import Ledger

NIGHT = str(AS_OF)
SOURCES = {
    "overview": ("metrics",),
    "campaigns": ("plan", "measurements"),
    "model": ("model", "monitor"),
}
"""The documents of a page, where they are not the one of its name."""
VISITED = {name: f"/{name}" for name in ("segments", "cohorts", "journey", "signals", "feedback")}
VISITED["monitor"] = "/model"
PIVOTED = frozenset(
    {
        *("cohort_customers", "cohort_margin", "migration", "transitions", "importance"),
        *("offers", "without_offer", "value_curve"),
    }
)
"""Tables whose rows are made from several objects of a document."""


def as_json(document):
    """The document as `--json` prints it; numbers that are none are null."""
    return json.loads(json.dumps(plain(document), default=str))


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """A shop with surveys whose scores and plan are on record, published: config and results."""
    base = tmp_path_factory.getbasetemp()
    config = copied_shop(trained_shop(base), tmp_path_factory.mktemp("published") / "shop")
    pd.DataFrame(
        {
            "customer_id": ["c0001", "c0002", "c0003"],
            "surveyed_at": pd.Timestamp(AS_OF - timedelta(days=9)),
            "score": [0, 10, 3],
            "scale": "nps",
        }
    ).to_parquet(config.parent / "surveys.parquet")
    config.write_text(config.read_text() + '[data.surveys]\nsource = "surveys.parquet"\n')
    scored = score(config, out=config.parent / "scores.parquet", as_of=NIGHT)
    planned = plan(
        config,
        out=config.parent / "plan.parquet",
        scores=config.parent / "scores.parquet",
        as_of=NIGHT,
    )
    return config, publish(config, as_of=NIGHT), scored, planned


@pytest.fixture(scope="module")
def published(night):
    with Published(night[0].parent / "out/page.duckdb") as opened:
        yield opened


@pytest.fixture
def own_shop(night, tmp_path):
    """A copy of the shop with its ledger."""
    shutil.copytree(night[0].parent, tmp_path / "shop")
    return tmp_path / "shop" / night[0].name


def test_every_document_equals_the_json_of_its_command(night, published):
    config, _, scored, planned = night
    scores = config.parent / "scores.parquet"
    fresh = {
        "metrics": metrics(config, as_of=NIGHT),
        "cohorts": cohorts(config, as_of=NIGHT),
        "segments": segments(config, as_of=NIGHT),
        "journey": journey(config, as_of=NIGHT),
        "feedback": feedback(config, as_of=NIGHT, scores=scores),
        "signals": signals(config, as_of=NIGHT),
        "monitor": monitor(config, as_of=NIGHT),
        "score": scored,
        "plan": planned,
    }
    for name, result in fresh.items():
        assert published.document(name) == as_json(result.metrics), name


def test_the_customers_are_those_of_scores_and_plan_by_value_at_risk(night, published):
    config = night[0]
    scores = pq.read_table(config.parent / "scores.parquet").to_pandas().set_index("customer_id")
    offers = pq.read_table(config.parent / "plan.parquet").to_pandas().set_index("customer_id")
    rows = published.connection.sql("SELECT * FROM customers ORDER BY position").df()
    assert rows["position"].tolist() == list(range(len(scores)))
    assert set(rows["customer_id"]) == set(scores.index)
    assert rows["value_at_risk"].is_monotonic_decreasing
    same = scores.loc[rows["customer_id"]]
    for name in ("status", "segment", "churn_probability", "value_at_risk", "at_risk"):
        assert rows[name].tolist() == same[name].tolist(), name
    assert rows["offer_id"].tolist() == offers.loc[rows["customer_id"], "offer_id"].tolist()
    firsts = [one[0] if len(one) else None for one in same["reasons"]]
    assert rows["reason_1"].astype(object).where(rows["reason_1"].notna(), None).tolist() == firsts
    outcomes = set(rows["offer_outcome"])
    assert {"holdout"} < outcomes <= {"offer", "none", "suppressed", "holdout", "control"}
    assert ((rows["offer_outcome"] == "offer") == (rows["offer_id"] != "none")).all()


def test_the_curve_of_the_plan_counts_its_customers(night, published):
    totals = night[3].metrics
    sql = "SELECT customers FROM plan_curve WHERE budget IS NOT DISTINCT FROM ?"
    ((customers,),) = published.connection.execute(sql, [totals["budget"]]).fetchall()
    assert customers == totals["customers"] - totals["offers"]["none"] > 0
    points = published.connection.sql("SELECT customers FROM plan_curve ORDER BY spent").fetchall()
    assert points == sorted(points)


def test_the_row_states_what_was_read_and_when(night, published):
    row = published.row
    assert row.as_of == AS_OF
    assert row.orders_until == AS_OF - timedelta(days=1)
    assert row.run_id == night[1].run_id
    assert row.model_id == night[2].model_id
    assert row.orders_read_at <= row.published_at


def test_what_is_missing_is_named_with_what_to_connect(night, published):
    missing = published.document("missing")
    assert set(missing) == {"measurements"} == set(night[1].metrics["missing"])
    assert "`churn measure`" in missing["measurements"]
    assert published.document("measurements") is None
    assert any("published without measurements" in note for note in night[1].warnings)


def test_the_timeline_has_every_order_newest_first(published):
    query = published.connection.sql
    orders = query("SELECT count(*) FROM timeline WHERE kind = 'order'").fetchall()[0][0]
    assert orders > 0
    times = query('SELECT customer_id, "at" FROM timeline').fetchall()
    assert times == sorted(times, key=lambda row: (row[0], -row[1].timestamp()))


def test_the_views_are_in_the_file_and_beside_it(night, published):
    text = (night[0].parent / "out/views.sql").read_text()
    count = published.connection.sql("SELECT count(*) FROM customers_at_risk").fetchall()[0][0]
    assert count == published.document("score")["at_risk"] > 0
    assert "CREATE OR REPLACE VIEW customers_at_risk AS" in text
    periods = published.connection.sql("SELECT sum(kept) FROM retention_by_period").fetchall()
    listed = published.document("metrics")["periods"]
    assert periods[0][0] == sum(row["kept"] for row in listed)


def test_publishing_records_no_contacts(own_shop):
    with Ledger(own_shop.with_name("ledger.db")) as ledger, ledger.reading() as connection:
        before = connection.execute("SELECT count(*) FROM plans").fetchall()
    publish(own_shop, as_of=NIGHT)
    with Ledger(own_shop.with_name("ledger.db")) as ledger, ledger.reading() as connection:
        assert connection.execute("SELECT count(*) FROM plans").fetchall() == before


def test_an_open_file_stays_as_it_was_and_earlier_scores_are_kept(own_shop):
    earlier = AS_OF - timedelta(days=28)
    place = own_shop.parent / "out/page.duckdb"
    (own_shop.parent / "scores.parquet").unlink()
    publish(own_shop, as_of=str(earlier))
    with Published(place) as old:
        assert not old.is_replaced
        assert old.document("plan") is None
        assert "`churn plan`" in old.document("missing")["plan"]
        publish(own_shop, as_of=NIGHT)
        assert old.is_replaced
        assert old.connection.sql("SELECT as_of FROM published").fetchall() == [(earlier,)]
        with Published(place) as new:
            assert new.row.as_of == AS_OF
            dates = new.connection.sql("SELECT DISTINCT as_of FROM scores_history ORDER BY 1")
            assert dates.fetchall() == [(earlier,), (AS_OF,)]


def test_the_erased_leave_the_published_file(own_shop):
    place = own_shop.parent / "out/page.duckdb"
    with Published(place) as before:
        customers = before.connection.sql("SELECT count(*) FROM customers").fetchall()[0][0]
    assert "c0001" in place.read_bytes().decode("latin-1")
    result = forget(own_shop, customers=["c0001"])
    assert result.metrics["files"].get(str(place), 0) > 1, result.metrics
    assert result.exit_code == 0
    with Published(place) as after:
        rows = after.connection.sql("SELECT position FROM customers ORDER BY 1").fetchall()
        assert [one for (one,) in rows] == list(range(customers - 1))
        listed = [one["customer_id"] for one in after.document("feedback")["worklist"]]
        assert "c0001" not in listed
        assert "c0003" in listed
    assert "c0001" not in place.read_bytes().decode("latin-1")


def test_scores_of_another_date_and_files_of_another_kind_are_refused(night, tmp_path):
    config = night[0]
    earlier = str(AS_OF - timedelta(days=28))
    scores = config.parent / "scores.parquet"
    result = publish(config, as_of=earlier, scores=scores, out=tmp_path / "page.duckdb")
    assert "--scores must be as of the date" in result.metrics["missing"]["score"]
    with pytest.raises(ConfigError, match=r"must end in \.duckdb"):
        publish(config, out=tmp_path / "page.db")
    with pytest.raises(ConfigError, match="Write it with `churn publish`"):
        Published(tmp_path / "none.duckdb")
    (tmp_path / "text.duckdb").write_text("no database at all")
    with pytest.raises(DataError, match="must be a file of `churn publish`"):
        Published(tmp_path / "text.duckdb")


def test_every_number_of_the_overview_equals_the_json_of_a_command(night, published):
    """A number is at its path of the documents, and these equal the commands' JSON (see above)."""
    overview = published.document("overview")
    numbers = [
        part
        for block in overview["blocks"].values()
        for sentence in block["sentences"]
        for part in sentence["parts"]
        if isinstance(part, dict)
    ]
    assert 15 < len(numbers) <= MOST_NUMBERS
    names = ("score", "plan", "metrics", "signals", "feedback")
    documents = {name: published.document(name) for name in names}
    for number in numbers:
        assert number["definition"]
        at = [(found_at(documents, path), factor) for path, factor in number["sources"]]
        assert all(value is not None for value, _ in at), number
        if at:
            total = sum(value * factor for value, factor in at)
            assert number["value"] == pytest.approx(total, abs=1e-9), number
    derived = {one["name"] for one in numbers if not one["sources"]}
    assert derived <= {"late_days", "notes", "needed", "part", "total_change", "listed"}
    rows = overview["blocks"]["leaving"]["rows"]
    top = published.connection.sql(AT_RISK).to_arrow_table().to_pylist()
    assert [one["customer_id"] for one in rows] == [one["customer_id"] for one in top]
    stakes = [one["value_at_risk"]["value"] for one in rows]
    assert stakes == [one["value_at_risk"] for one in top]
    assert published.document("overview") == as_json(overview_in(published).to_dict())


@pytest.fixture(scope="module")
def pages(night):
    """The published pages over HTTP."""
    options = PageOptions(
        published=night[0].parent / "out/page.duckdb", accounts=Accounts({}), session_key=b"k" * 32
    )
    return AsgiClient(create_pages(options))


@pytest.mark.parametrize("page", TABLES)
def test_every_figure_of_a_page_is_one_of_a_command(pages, published, page):
    """Each row has the numbers of one object of the documents, which equal the commands' JSON (see
    above), and each cell shows its number with its unit and its interval.
    """
    documents = [published.document(name) for name in SOURCES.get(page, (page,))]
    objects, numbers = list(records(documents)), set(leaves(documents))
    figures = Figures("en", published.row.currency)
    html = pages.get("/" if page == "overview" else f"/{page}").text
    sections = dict(re.findall(r'<h2 id="t-([\w-]+)">(.*?)</section>', html, re.DOTALL))
    visit = SimpleNamespace(document=published.document, wording=wording_of("en"), figures=figures)
    shown = [one for one in TABLES[page](visit) if one.rows and one.name in sections]
    assert shown
    for table in shown:
        for row, cells in zip(table.rows, Tables(sections[table.name]).tables[0][1:], strict=False):
            for column, cell in zip(table.shown, cells, strict=True):
                assert cell == cell_of(figures, column, row, cell), (table.name, column.key)
        for row in table.plain_rows():
            own = {key: value for key, value in row.items() if list(leaves(value))}
            if table.name in PIVOTED:
                parts = [value for key, value in own.items() if key != "all"]
                assert numbers.issuperset(parts), table.name
                assert own.get("all", sum(parts)) == sum(parts)
            else:
                assert any(own.items() <= one.items() for one in objects), (table.name, own)


def test_what_commands_said_is_german_on_german_pages(pages, published):
    """Notes, reasons, personas and the findings of monitoring; their numbers stay."""
    notes = published.document("notes")
    said = [note for name in notes if name in VISITED for note in notes[name]]
    said += published.document("missing").values()
    said += [one["persona"] for one in published.document("segments")["personas"]]
    monitor = published.document("monitor")
    said += [one["text"] for one in (*monitor["signal"], *monitor["data"])]
    said += [
        one["meaning"]
        for name in ("metrics", "segments", "cohorts", "journey", "signals", "feedback")
        for one in published.document(name)["definitions"].values()
    ]
    assert len(said) > 100
    for text in said:
        assert translated(text, "de") != text
    shown = "".join(pages.get(f"{path}?lang=de").text for path in ("/", *VISITED.values()))
    for text in said:
        assert f">{text.replace('`', '')}" not in unescape(shown), text


def cell_of(figures, column, row, shown):
    """What the cell has to show: numbers with their intervals, or what it shows if it is none."""
    value = row.get(column.key)
    if not column.is_number or (value is None and column.shaded):
        return shown
    text = tight(str(figures.show(value, column.kind)))
    bounds = [row.get(bound) for bound in column.bounds or ()]
    if bounds and None not in bounds:
        text += "[{},{}]".format(*(figures.show(one, column.kind).text for one in bounds))
    return tight(f"{text}*{row['mark']}") if "*" in shown else text


def test_every_figure_of_the_report_and_of_the_digest_is_one_of_a_command(published):
    columns = Columns(wording("en", published.row.currency), 0)
    customers = published.connection.sql(
        "SELECT recency_days, frequency, monetary, churn_probability, value_at_risk, expected_net "
        "FROM customers"
    )
    numbers = {value for row in customers.fetchall() for value in row if value is not None}
    numbers |= set(leaves([published.document(name) for name in DOCUMENTS]))
    known = {
        tight(text)
        for value in numbers
        for text in (
            *(columns.cell(value, kind).text for kind in (CUSTOMERS, PERCENT, MONEY, CENTS)),
            columns.cell(100 * value, PERCENT).text,
            columns.words.written(100 * value, "rounded_percent"),
            columns.words.language.number(value, 4),
        )
    }
    rows = [row for table in Tables(report_html(published, ids=True)).tables for row in table[1:]]
    shown = [
        cell
        for row in rows
        for cell in row[1:]
        if NUMBER.fullmatch(cell.strip("+\N{MINUS SIGN}€%"))
    ]
    assert len(shown) > 500
    assert not set(shown) - known
    overview = overview_in(published, ids=False)
    sentences = [one.text for block in overview.blocks.values() for one in block.sentences]
    digest = digest_of(published)
    for text in (*digest.lines, *re.findall(r"<(?:p|li)[^>]*>(.*?)</(?:p|li)>", digest.html)):
        assert set(numbers_in(re.sub(r"<[^>]+>|&#?\w+;", " ", text))) <= set(
            numbers_in(" ".join(sentences))
        )
