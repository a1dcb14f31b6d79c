"""The API over HTTP, on a real server: scores, look-ups, decisions, consent, keys, refusals."""

import json
from datetime import date
from math import isnan

import pandas as pd
import pyarrow.parquet as pq
import pytest
from api_service import api_service
from simulated_shop import simulated_orders, trained_shop
from waiting import wait_for

from churn.commands.forget import forget
from churn.commands.keys import create_api_key, list_api_keys, revoke_api_key
from churn.commands.plan import plan
from churn.commands.score import score
from churn.modeling.portable import OUTPUTS
from churn.storage.ledger import Ledger
from churn.storage.messages import messages_of
from churn.storage.withdrawals import record_withdrawal

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A service with scores and a plan of a trained shop; each test uses customers of its own."""
    folder = tmp_path_factory.mktemp("api") / "shop"
    with api_service(trained_shop(tmp_path_factory.getbasetemp()), folder) as service:
        score(service.config, out=str(folder / "scores.parquet"), explain="none")
        plan(
            service.config, out=str(folder / "plan.parquet"), scores=str(folder / "scores.parquet")
        )
        service.scores = pq.read_table(folder / "scores.parquet").to_pylist()
        rows = pq.read_table(folder / "plan.parquet").to_pylist()
        served = [r["customer_id"] for r in rows if r["arm"] in ("treatment", "explore")]
        service.offered = [
            r["customer_id"] for r in rows if r["offer_id"] != "none" and r["customer_id"] in served
        ]
        service.idle = [r["customer_id"] for r in rows if r["offer_id"] == "none"]
        assert len(service.offered) >= 6
        wait_for_scores(service)
        yield service


def still_scored(shop):
    """The scores without the two customers that other tests let object and be erased."""
    return [row for row in shop.scores if row["customer_id"] not in shop.offered[4:6]]


def wait_for_scores(service):
    asked = {"customer_ids": [service.scores[0]["customer_id"]]}
    wait_for(lambda: service.post("/v1/scores", asked)[1]["customers"][0]["score"] is not None)


def looked_up(shop, *names):
    status, answer = shop.post("/v1/scores", {"customer_ids": list(names)})
    assert status == 200
    return [row["score"] for row in answer["customers"]]


def decide(shop, customer, key):
    status, answer = shop.post("/v1/decide", {"customer_id": customer}, **{"idempotency-key": key})
    assert status == 200, answer
    return answer


def contacts(shop, customer):
    with Ledger(shop.config.parent / "ledger.db") as ledger:
        as_of = shop.scores[0]["as_of"]
        return [m for m in messages_of(ledger, "spring", as_of) if m.customer_id == customer]


def test_a_look_up_returns_the_row_of_the_batch_to_the_last_bit(shop):
    some = still_scored(shop)[:50]
    found = looked_up(shop, *[row["customer_id"] for row in some], "nobody")
    for row, score_of in zip(some, found[:-1], strict=True):
        assert {name: row[name] for name in score_of} == score_of
    assert found[-1] is None


def test_histories_score_like_the_batch_to_the_last_bit(shop):
    """The same orders, sent by HTTP at the same date."""
    as_of = shop.scores[0]["as_of"]
    orders = simulated_orders().assign(at=lambda rows: pd.to_datetime(rows["ordered_at"], utc=True))
    some = [row for row in still_scored(shop) if row["status"] != "new"][:80]
    customers = [
        {
            "customer_id": row["customer_id"],
            "orders": [
                {"ordered_at": one.at.isoformat(), "amount": float(one.amount)}
                for one in orders[orders["customer_id"] == row["customer_id"]].itertuples()
            ],
        }
        for row in some
    ]
    status, answer = shop.post("/v1/score", {"as_of": str(as_of), "customers": customers})
    assert status == 200, answer
    assert answer["population_as_of"] == str(as_of)
    for row, found in zip(some, answer["customers"], strict=True):
        assert {name: row[name] for name in ("status", *OUTPUTS)} == {
            name: found["score"][name] for name in ("status", *OUTPUTS)
        }


def test_later_orders_are_counted_and_not_seen(shop):
    customers = [{"orders": [{"ordered_at": "2024-01-01T00:00:00Z", "amount": 5}]}, {"orders": []}]
    _, answer = shop.post("/v1/score", {"as_of": "2024-01-01", "customers": customers})
    first, second = answer["customers"]
    assert first["ignored_orders"] == 1
    assert {one["unscored"] for one in (first, second)} == {"no_order_before_as_of"}


def test_reasons_come_on_request(shop):
    orders = [{"ordered_at": f"2023-{m:02d}-05T00:00:00Z", "amount": 9.5} for m in range(1, 13)]
    body = {"as_of": "2024-01-01", "customers": [{"orders": orders}], "reasons": True}
    (found,) = shop.post("/v1/score", body)[1]["customers"]
    assert found["score"]["reasons"]
    del body["reasons"]
    assert "reasons" not in shop.post("/v1/score", body)[1]["customers"][0]["score"]


def known(values):
    """The values with None for NaN."""
    return [None if isinstance(value, float) and isnan(value) else value for value in values]


def canaries(shop):
    models = shop.config.parent / "models"
    rows = pd.read_parquet(models / (models / "champion").read_text().strip() / "canaries.parquet")
    features = [n for n in rows if not n.startswith("said_") and n not in ("status", "cutoff")]
    features = [name for name in features if name != "customer_id"]
    return rows, features


def test_ready_features_score_like_the_canaries_to_the_last_bit(shop):
    rows, features = canaries(shop)
    values = [known(row) for row in rows[features].to_numpy(float).tolist()]
    body = {"features": features, "rows": values, "statuses": rows["status"].tolist()}
    status, answer = shop.post("/v1/score/features", body)
    assert status == 200, answer
    for name in OUTPUTS:
        said = known(rows[f"said_{name}"].tolist())
        assert [score[name] for score in answer["scores"]] == said
    tensors = [
        {
            "name": name,
            "shape": [len(rows)],
            "datatype": "FP64",
            "data": [row[place] for row in values],
        }
        for place, name in enumerate(features)
    ]
    status_tensor = {"name": "status", "shape": [len(rows)], "datatype": "BYTES"}
    tensors.append({**status_tensor, "data": rows["status"].tolist()})
    status, answer = shop.post("/v2/models/churn/infer", {"id": "42", "inputs": tensors})
    assert status == 200, answer
    assert answer["id"] == "42"
    by_name = {one["name"]: one["data"] for one in answer["outputs"]}
    for name in OUTPUTS:
        assert by_name[name] == known(rows[f"said_{name}"].tolist())


def test_binary_tensors_score_like_those_in_json(shop):
    rows, features = canaries(shop)
    own = rows[rows["status"] == "eligible"][features].head(3)
    names = shop.ask("GET", "/v1/model")[2]["features"]
    raw = own[names].to_numpy("float64").tobytes()
    tensor = {"name": "features", "shape": [3, len(names)], "datatype": "FP64"}
    head = json.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": len(raw)}}]})
    headers = {"inference-header-content-length": str(len(head))}
    headers["content-type"] = "application/octet-stream"
    status, _, answer = shop.ask("POST", "/v2/models/churn/infer", head.encode() + raw, headers)
    assert status == 200, answer
    said = rows.loc[own.index, "said_churn_probability"].tolist()
    assert answer["outputs"][0]["data"] == said


def test_a_decision_is_made_once_whatever_is_repeated(shop):
    customer = shop.offered[0]
    first = decide(shop, customer, "order-1")
    assert first["code"] == "offered"
    assert [decide(shop, customer, "order-1") for _ in range(3)] == [first] * 3
    assert decide(shop, customer, "order-2")["offer"] == first["offer"]
    (contact,) = contacts(shop, customer)
    assert (contact.through, contact.state) == ("api", "sent")
    status, answer = shop.post(
        "/v1/decide", {"customer_id": shop.offered[1]}, **{"idempotency-key": "order-1"}
    )
    assert (status, answer["type"]) == (422, "urn:churn:problem:key-reused")
    assert not contacts(shop, shop.offered[1])
    assert shop.post("/v1/decide", {"customer_id": customer})[0] == 400


def test_no_offer_goes_to_who_withdrew_or_has_none(shop):
    """A withdrawal counts from the next request on, whoever recorded it."""
    by_api, by_page = shop.offered[2:4]
    assert shop.post("/v1/unsubscribe", {"customer_id": by_api})[0] == 200
    with Ledger(shop.config.parent / "ledger.db") as ledger:
        record_withdrawal(ledger, by_page, "email", source="one-click")
    for customer, key in ((by_api, "w1"), (by_page, "w2")):
        answer = decide(shop, customer, key)
        assert (answer["code"], answer["offer"]) == ("withdrawn", None)
        assert not contacts(shop, customer)
    assert decide(shop, shop.idle[0], "w3")["code"] == "no_offer"
    assert decide(shop, "nobody", "w4")["code"] == "no_plan"
    state = shop.post("/v1/consent", {"customer_id": by_page})[1]
    assert [one["channel"] for one in state["withdrawn"]] == ["email"]


def test_who_objects_is_scored_no_more_here_or_in_the_next_batch(shop):
    customer = shop.offered[4]
    assert looked_up(shop, customer) != [None]
    assert shop.post("/v1/objection", {"customer_id": customer})[1]["objects_to_profiling"]
    assert looked_up(shop, customer) == [None]
    assert decide(shop, customer, "o1") | {"customer_id": ""} == {
        "customer_id": "",
        "campaign_id": None,
        "as_of": None,
        "offer": None,
        "code": "no_score",
        "score": None,
    }
    orders = [{"ordered_at": "2023-11-05T00:00:00Z", "amount": 9.5}]
    body = {"as_of": "2024-01-01", "customers": [{"customer_id": customer, "orders": orders}]}
    (found,) = shop.post("/v1/score", body)[1]["customers"]
    assert (found["score"], found["unscored"]) == (None, "no_score")
    out = shop.config.parent / "again.parquet"
    score(shop.config, out=str(out), explain="none")
    assert customer not in pq.read_table(out)["customer_id"].to_pylist()


def test_an_erasure_counts_from_the_next_request_on(shop):
    """The batch in memory still has the row; nothing is recorded of the customer again."""
    customer = shop.offered[5]
    assert looked_up(shop, customer) != [None]
    forget(shop.config, customers=[customer])
    assert looked_up(shop, customer) == [None]
    assert decide(shop, customer, "e1")["code"] == "no_score"
    assert shop.post("/v1/unsubscribe", {"customer_id": customer})[1]["withdrawn"] == []
    assert not shop.post("/v1/objection", {"customer_id": customer})[1]["objects_to_profiling"]
    wait_for_scores(shop)


def test_the_model_and_the_service_describe_themselves(shop):
    facts = shop.ask("GET", "/v1/model")[2]
    assert facts["model_id"] == shop.scores[0]["model_id"]
    assert facts["horizon_days"] == shop.scores[0]["horizon_days"]
    assert date.fromisoformat(facts["trained_until"]) <= shop.scores[0]["as_of"]
    metadata = shop.ask("GET", "/v2/models/churn")[2]
    assert [one["name"] for one in metadata["inputs"]] == facts["features"]
    assert metadata["versions"] == [facts["model_id"]]
    assert shop.ask("GET", f"/v2/models/churn/versions/{facts['model_id']}/ready")[0] == 200
    assert shop.ask("GET", "/v2/models/other")[0] == 400
    status, headers, answer = shop.ask("GET", "/v2/models/other/ready")
    assert (status, headers["content-type"]) == (404, "application/json")
    assert answer["error"] == "The only model is 'churn'."
    assert shop.ask("GET", "/livez")[2] == {"live": True}


def test_metrics_count_requests_and_hold_no_ids(shop):
    text = shop.ask("GET", "/metrics", key="")[2]
    assert 'churn_requests_total{route="/v1/scores",status="200"}' in text
    assert f'churn_model_info{{model_id="{shop.scores[0]["model_id"]}"}} 1.0' in text
    for secret in (shop.key, shop.key.split("_")[1], *shop.offered, "nobody"):
        assert secret not in text


def test_a_revoked_key_is_refused_and_its_use_is_on_record(shop):
    key = create_api_key(shop.config, "short").resolved["key"]
    wait_for(lambda: shop.ask("GET", "/v1/model", key=key)[0] == 200)
    prefix = key.split("_")[1]
    assert revoke_api_key(shop.config, prefix).warnings == ()
    wait_for(lambda: shop.ask("GET", "/v1/model", key=key)[0] == 403)
    keys = {one["prefix"]: one for one in list_api_keys(shop.config).resolved["keys"]}
    assert keys[prefix]["revoked_at"]
    assert keys[shop.key.split("_")[1]]["last_used_at"]
    assert key not in str(keys)


def test_what_the_log_says_has_no_customer_and_no_key(shop):
    said = (shop.config.parent / "serve.err").read_text()
    assert "is in use" in said
    for secret in (shop.key.split("_", 2)[2], *shop.offered):
        assert secret not in said
