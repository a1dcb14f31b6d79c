"""`churn recommend`: products, or categories, for each customer, and how good such lists were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from churn.commands.panel_settings import resolve_clock
from churn.commands.session import Progress, Session, inputs, open_session, silent
from churn.commands.summaries.recommendations import recommend_tables
from churn.data.product_days import COLUMN_OF, Level
from churn.errors import ConfigError, GateError
from churn.recommendations.evaluation import LEAST_JUDGED, STAND_INS
from churn.recommendations.lists import MOST, Kind
from churn.recommendations.recommend import learn_recommender
from churn.recommendations.recommender import RECOMMENDED_SCHEMA, Recommender
from churn.results.job_result import JobResult, hashed
from churn.results.output import TableWriter, check_out, file_of, guard_notes
from churn.storage.postgres.address import Place

FALLBACK_HORIZON_DAYS = 28
WORDS = {
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

    The lists are judged on the horizons before the date, at every run; where the learnt ones are
    not better than best sellers these stand in, and a warning says so.
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
        recommender = learn_recommender(
            session.snapshot,
            horizon_days=_horizon_days(session),
            level=cast("Level", level),
            settings=session.settings.recommend,
        )
        told = _metrics(session, recommender, kind)
        rows: Counter[str] = Counter()
        if writer is not None:
            rows.update(dict.fromkeys(("customers", "recommendations", "new"), 0))
            progress("making the lists")
            batches = recommender.batches(kind=kind, top=top, run_id=session.run_id)
            writer.write_batches(_counted(batches, rows), RECOMMENDED_SCHEMA, told)
        session.facts |= told
    notes = () if writer is None else guard_notes(writer)
    return _result(session, recommender, kind, told, rows, file, notes)


def kind_of(*, new_only: bool, repeat_only: bool) -> Kind:
    """The kind of list that the options ask for; ConfigError where they exclude each other."""
    if new_only and repeat_only:
        rule = "--new-only and --repeat-only exclude each other"
        raise ConfigError(rule, fix="Leave both out for lists of new and repeated products.")
    return "new" if new_only else "repeat" if repeat_only else "all"


def _check(level: str, top: int, *, is_written: bool, judge_only: bool) -> None:
    if level not in COLUMN_OF:
        raise ConfigError(f"--level must be one of {list(COLUMN_OF)}", got=repr(level))
    if not 1 <= top <= MOST:
        raise ConfigError(f"--top must be between 1 and {MOST}", got=top, fix="Pass e.g. 10.")
    if judge_only == is_written:
        rule = "churn recommend takes either --out FILE or --judge"
        got = "both" if judge_only else "neither"
        raise ConfigError(rule, got=got, fix="With --out it judges the lists, too.")


def _writing(
    session: Session, out: Path | None, keep: list[Place]
) -> AbstractContextManager[TableWriter | None]:
    return nullcontext() if out is None else session.writing(out, keep=keep)


def _horizon_days(session: Session) -> int:
    """As stated, else that of the model; four weeks where there is too little data for one."""
    stated = session.settings.recommend.horizon_days
    if stated != "auto":
        return stated
    try:
        return resolve_clock(session).horizon_days
    except GateError:
        return FALLBACK_HORIZON_DAYS


def _counted(batches: Iterator[pa.RecordBatch], rows: Counter[str]) -> Iterator[pa.RecordBatch]:
    """The batches as they pass, counted by kind, customers and rows."""
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
        "cutoffs": [str(one) for one in sorted(recommender.cutoffs)],
        "judgement": {name: one.to_dict() for name, one in recommender.judgement.items()},
        "objectors": recommender.objectors,
    }


def _result(
    session: Session,
    recommender: Recommender,
    kind: Kind,
    told: dict[str, Any],
    rows: Counter[str],
    out: Path | None,
    notes: tuple[str, ...],
) -> JobResult:
    return JobResult(
        command="recommend",
        run_id=session.run_id,
        as_of=session.as_of,
        resolved={"horizon_days": recommender.horizon_days, "source": told["source"]},
        rows={"products": len(recommender.catalogue), "buyers": recommender.customers, **rows},
        audits=session.tables.audits,
        metrics=told,
        files={} if out is None else hashed(out),
        warnings=(*_notes(recommender, kind), *notes),
        tables=recommend_tables(told, rows),
    )


def _notes(recommender: Recommender, kind: Kind) -> Iterator[str]:
    if recommender.objectors:
        refused = f"{recommender.objectors:,} customers"
        yield f"{refused} refuse profiling: nothing is recommended to them"
    if recommender.catalogue.never_sold:
        named = ", ".join(recommender.catalogue.never_sold[:10])
        yield f"[recommend] exclude names what was never sold by then: {named}"
    if recommender.learnt(kind):
        return
    judged = recommender.judgement.get(kind)
    if judged is None or judged.customers < LEAST_JUDGED:
        why = f"fewer than {LEAST_JUDGED} customers could be judged"
    else:
        why = "the learnt lists were not better than them beyond chance"
    yield f"{WORDS[STAND_INS[kind]]} stand in, for {why}"
