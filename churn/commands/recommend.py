"""`churn recommend`: products or categories for each customer, with an evaluation of the lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from churn.commands.session import Progress, Session, inputs, open_session, resolve_clock, silent
from churn.commands.summaries.recommendations import recommend_tables
from churn.data.product_days import COLUMN_OF, Level
from churn.errors import ConfigError, GateError
from churn.recommendations.evaluation import FALLBACKS, MIN_CUSTOMERS
from churn.recommendations.lists import MAX_LENGTH, Kind
from churn.recommendations.recommend import fit_recommender
from churn.recommendations.recommender import RECOMMENDED_SCHEMA, Recommender
from churn.results.job_result import JobResult, hashed
from churn.results.output import TableWriter, check_out, file_of, guard_notes
from churn.storage.postgres.address import Place

FALLBACK_HORIZON_DAYS = 28
BEST_SELLERS = {
    "own_then_shop": "the customer's own best sellers, filled up with the shop's,",
    "own": "the customer's own best sellers",
    "shop": "the shop's best sellers",
}


def recommend(
    config: Path,
    *,
    out: Path | str | None = None,
    as_of: str | None = None,
    level: str = "product",
    kind: Kind = "all",
    top: int = 10,
    judge_only: bool = False,
    progress: Progress = silent,
) -> JobResult:
    """`RECOMMENDED_SCHEMA` in `out`, at most `top` rows a customer; no file with `judge_only`.

    Every run evaluates the lists on the horizons before the date; if the learnt ones are not better
    than best sellers, best sellers are used instead, with a warning.
    """
    _check(level, top, is_written=out is not None, judge_only=judge_only)
    file, kept = None if out is None else file_of(out), inputs(config)
    if file is not None:
        check_out(file, keep=kept)
    with (
        open_session("recommend", config, as_of=as_of, progress=progress) as session,
        _writing(session, file, kept) as writer,
    ):
        progress("learning from baskets")
        recommender = fit_recommender(
            session.snapshot,
            horizon_days=_horizon_days(session),
            level=cast("Level", level),
            settings=session.settings.recommend,
        )
        metrics = _metrics(session, recommender, kind)
        rows: Counter[str] = Counter()
        if writer is not None:
            rows.update(dict.fromkeys(("customers", "recommendations", "new"), 0))
            progress("making the lists")
            batches = recommender.batches(kind=kind, top=top, run_id=session.run_id)
            writer.write_batches(_counted(batches, rows), RECOMMENDED_SCHEMA, metrics)
        session.facts |= metrics
    notes = () if writer is None else guard_notes(writer)
    return _result(session, recommender, kind, metrics, rows, file, notes)


def kind_of(*, new_only: bool, repeat_only: bool) -> Kind:
    """The kind of list for the options; ConfigError if they exclude each other."""
    if new_only and repeat_only:
        rule = "--new-only and --repeat-only exclude each other"
        raise ConfigError(rule, fix="Omit both for lists of new and repeated products.")
    return "new" if new_only else "repeat" if repeat_only else "all"


def _check(level: str, top: int, *, is_written: bool, judge_only: bool) -> None:
    if level not in COLUMN_OF:
        raise ConfigError(f"--level must be one of {list(COLUMN_OF)}", got=repr(level))
    if not 1 <= top <= MAX_LENGTH:
        raise ConfigError(f"--top must be between 1 and {MAX_LENGTH}", got=top, fix="Pass e.g. 10.")
    if judge_only == is_written:
        rule = "churn recommend takes either --out FILE or --judge"
        got = "both" if judge_only else "neither"
        raise ConfigError(rule, got=got, fix="With --out, the lists are evaluated, too.")


def _writing(
    session: Session, out: Path | None, keep: list[Place]
) -> AbstractContextManager[TableWriter | None]:
    return nullcontext() if out is None else session.writing(out, keep=keep)


def _horizon_days(session: Session) -> int:
    """The configured horizon, else the model's; four weeks if there is too little data."""
    stated = session.settings.recommend.horizon_days
    if stated != "auto":
        return stated
    try:
        return resolve_clock(session).horizon_days
    except GateError:
        return FALLBACK_HORIZON_DAYS


def _counted(batches: Iterator[pa.RecordBatch], rows: Counter[str]) -> Iterator[pa.RecordBatch]:
    """The same batches, with customers, rows and new products counted."""
    for batch in batches:
        rows["recommendations"] += batch.num_rows
        rows["customers"] += pc.sum(pc.equal(batch["rank"], 1)).as_py()
        rows["new"] += pc.sum(pc.equal(batch["kind"], "new")).as_py()
        yield batch


def _metrics(session: Session, recommender: Recommender, kind: Kind) -> dict[str, Any]:
    return {
        "run_id": session.run_id,
        "as_of": str(session.as_of),
        "level": recommender.catalogue.level,
        "kind": kind,
        "horizon_days": recommender.horizon_days,
        "source": recommender.source(kind),
        "cutoffs": [str(cutoff) for cutoff in sorted(recommender.cutoffs)],
        "judgement": {name: judged.to_dict() for name, judged in recommender.judgement.items()},
        "objectors": recommender.objectors,
    }


def _result(
    session: Session,
    recommender: Recommender,
    kind: Kind,
    metrics: dict[str, Any],
    rows: Counter[str],
    out: Path | None,
    notes: tuple[str, ...],
) -> JobResult:
    return JobResult(
        command="recommend",
        run_id=session.run_id,
        as_of=session.as_of,
        resolved={"horizon_days": recommender.horizon_days, "source": metrics["source"]},
        rows={"products": len(recommender.catalogue), "buyers": recommender.customers, **rows},
        audits=session.tables.audits,
        metrics=metrics,
        files={} if out is None else hashed(out),
        warnings=(*_notes(recommender, kind), *notes),
        tables=recommend_tables(metrics, rows),
    )


def _notes(recommender: Recommender, kind: Kind) -> Iterator[str]:
    if recommender.objectors:
        objectors = f"{recommender.objectors:,} customers"
        yield f"{objectors} object to profiling: nothing is recommended to them"
    if recommender.catalogue.never_sold:
        named = ", ".join(recommender.catalogue.never_sold[:10])
        yield f"[recommend] exclude contains products never sold before the date: {named}"
    if recommender.learnt(kind):
        return
    judged = recommender.judgement.get(kind)
    if judged is None or judged.customers < MIN_CUSTOMERS:
        why = f"fewer than {MIN_CUSTOMERS} customers could be evaluated"
    else:
        why = "the learnt lists were not significantly better"
    yield f"{BEST_SELLERS[FALLBACKS[kind]]} are used instead, because {why}"
