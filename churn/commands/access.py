"""`churn access`: all data held on one customer, with explanations, as one object."""

from __future__ import annotations

import json
import os
import secrets
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from churn.commands.score import load_named_model, score_session
from churn.commands.session import Progress, Session, inputs, on_record, open_session, silent
from churn.config import load_settings
from churn.data.consent import objectors
from churn.errors import ConfigError, ModelError
from churn.privacy.access_rows import (
    LOGIC,
    PURPOSES,
    RETENTION,
    RIGHTS,
    Row,
    explained,
    file_rows,
    ledger_rows,
    meanings,
    plain,
    table_rows,
)
from churn.privacy.erase_files import AudienceRows, FileEraser
from churn.privacy.still_held import access_of_erased
from churn.results.figures import share
from churn.results.job_result import JobResult, Table, hashed
from churn.storage.erasures import Erased, exports_to, outputs, remembered
from churn.storage.erasures import hashed as keyed_hash
from churn.storage.manifests import publish_with_manifest

SCHEMA = 1
PLANS_SHOWN = 10


def access(
    config: Path, *, customer: str, out: Path | None = None, progress: Progress = silent
) -> JobResult:
    """All data held on the customer, written to `out` (.json) and returned in `metrics`.

    ConfigError if nothing is held. For an erased customer, the date of erasure is returned, and
    what an unfinished erasure left.
    """
    settings = load_settings(config)
    customer = settings.same_customer(customer)
    if out is not None and out.suffix != ".json":
        raise ConfigError("--out must end in .json", got=out.suffix, fix="Rename it.")
    erased = settings.erased()
    erased_on = None if erased is None else erased.date_of(customer)
    if erased is not None and erased_on is not None:
        with on_record("access", settings, {"found": False}) as (ledger, _):
            return access_of_erased(settings, ledger, erased, customer, erased_on)
    with (
        open_session("access", config, as_of=None, progress=progress) as session,
        _writing(session, out, config) as file,
    ):
        held = _held(session, customer)
        session.facts["found"] = True
        if file is not None:
            _write(file, held)
    return JobResult(
        command="access",
        run_id=session.run_id,
        as_of=session.as_of,
        rows=_counts(held),
        metrics=held,
        files={} if out is None else hashed(out),
        tables=_shown(held),
        warnings=tuple(_notes(held)),
    )


def _writing(
    session: Session, out: Path | None, config: Path
) -> AbstractContextManager[Path | None]:
    """A temporary path that becomes `out`; the ledger records it, so that it can be erased."""
    if out is None:
        return nullcontext()
    if out.resolve() in {place.resolve() for place in inputs(config) if isinstance(place, Path)}:
        rule = "--out must not be a file that the command reads"
        raise ConfigError(rule, fix="Name another file.")
    writing = publish_with_manifest(out, {"run_id": session.run_id, "command": "access"})
    return remembered(writing, session.ledger, out, command="access")


def _write(file: Path, held: Row) -> None:
    """Writes one object, readable only by the file's owner."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(file, flags, 0o600), "w", encoding="utf-8") as text:
        json.dump(held, text, ensure_ascii=False, indent=1, allow_nan=False)
        text.write("\n")


def _held(session: Session, customer: str) -> Row:
    session.progress("searching tables, ledger and files")
    tables = table_rows(session.tables, customer)
    ledger = ledger_rows(session.ledger, customer)
    files, exports = _written(session, customer, tables.get("customers", []))
    if not any([*tables.values(), ledger, *(file.get("count") for file in files)]):
        rule = "no data is held on a customer with this id"
        raise ConfigError(rule, fix="Check the spelling: 007 is not 7, and Anna is not anna.")
    snapshot = session.snapshot
    objects = customer in objectors(snapshot)
    score, why_not = _score(session, customer, objects)
    data: Row = {
        "tables": {name: {"count": len(rows), "rows": rows} for name, rows in tables.items()},
        "consents_now": session.consents.of_customer(customer, on=session.as_of),
        "objects_to_profiling": objects,
        "score_now": score,
        "no_score_because": why_not,
        "ledger": {name: {"count": len(rows), "rows": rows} for name, rows in ledger.items()},
        "files": files,
        "exports": exports,
    }
    return {
        "schema": SCHEMA,
        "held": True,
        "customer_id": customer,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "as_of": str(session.as_of),
        **data,
        "purposes": PURPOSES,
        "logic": LOGIC,
        "retention": RETENTION,
        "rights": RIGHTS,
        "fields": meanings(_names(data)),
    }


def _written(session: Session, customer: str, listed: list[Row]) -> tuple[list[Row], list[Row]]:
    """The files and the exports that contain the customer."""
    key = secrets.token_bytes(32)
    today = datetime.now(UTC).date()
    alone = Erased(key, {keyed_hash(key, customer): today}, session.settings.same_customer)
    addresses = [(row.get("email"), row.get("phone")) for row in listed] or None
    audiences = AudienceRows(addresses, session.settings.offers.phone_region)
    eraser = FileEraser(session.ledger, alone, audiences, dry_run=True)
    paths = [Path(target) for target in outputs(session.ledger) if "://" not in target]
    files = list(file_rows([path for path in paths if path.is_file()], eraser, customer))
    return files, exports_to(session.ledger, alone)


def _score(session: Session, customer: str, objects: bool) -> tuple[Row | None, str | None]:
    """The customer's score with its reasons, or the reason for its absence."""
    if objects:
        return None, "the customer objects to profiling"
    try:
        fitted = load_named_model(session, None)
    except ModelError as failure:
        return None, f"no model is active: {failure.rule}"
    scores = score_session(session, fitted, explain={customer}).table
    rows = scores.filter(pc.equal(scores["customer_id"], customer)).to_pylist()
    if not rows:
        return None, f"no purchase before {session.as_of}"
    return explained({name: plain(value) for name, value in rows[0].items()}), None


def _names(value: Any) -> set[str]:
    """The names of the fields of every row, at any depth."""
    if isinstance(value, list):
        return set[str]().union(*map(_names, value))
    if not isinstance(value, dict):
        return set()
    own = set(value) if value.keys() & {"customer_id", "audience"} else set()
    return own.union(*map(_names, value.values()))


def _counts(held: Row) -> dict[str, int]:
    tables = {name: rows["count"] for name, rows in held["tables"].items()}
    ledger = {f"ledger_{name}": rows["count"] for name, rows in held["ledger"].items()}
    return {**tables, **ledger, "files": len(held["files"]), "exports": len(held["exports"])}


def _shown(held: Row) -> tuple[Table, ...]:
    """Counts of rows, the score with its reasons, planned offers and consents."""
    counts = [(name.replace("_", " "), f"{count:,}") for name, count in _counts(held).items()]
    score = held["score_now"] or {}
    facts = [
        ("status", str(score.get("status", ""))),
        ("churn probability", share(score.get("churn_probability"), absent="")),
        ("risk band", str(score.get("risk_band", ""))),
        *(("reason", reason) for reason in score.get("reasons", ())),
    ]
    consents = [
        (row["channel"], row["purpose"], "granted" if row["granted"] else "refused")
        for row in held["consents_now"]
    ]
    planned = [
        (row["as_of"], row["campaign_id"], row["offer_id"], row["arm_means"])
        for row in held["ledger"].get("plans", {"rows": []})["rows"]
    ]
    return (
        Table("Rows held", ("where", "rows"), tuple(counts)),
        Table("Current score", ("", ""), tuple(facts) if score else ()),
        Table("Planned offers", ("as of", "campaign", "offer", ""), tuple(planned[-PLANS_SHOWN:])),
        Table("Current consent", ("channel", "purpose", ""), tuple(consents)),
    )


def _notes(held: Row) -> list[str]:
    return [f"no score: {held['no_score_because']}"] if held["no_score_because"] else []
