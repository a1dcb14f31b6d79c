"""Prediction from feature rows, with a model of plain texts and numbers.

This file is self-contained: it needs numpy, pandas and lightgbm, and nothing else of this package,
so that the same code predicts here, in an MLflow model and in any other service.
"""

import math
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import pandas as pd

IDENTIFIERS = ("customer_id", "cutoff", "as_of", "status")
STATUSES = ("eligible", "lapsed", "new", "covered")
LIFETIME_FEATURES = (
    "expected_purchase_days",
    "expected_spend_in_horizon",
    "p_no_purchase_in_horizon",
)
AMOUNTS = ("orders", "spend")
OUTPUTS = (
    "churn_probability",
    "probability_source",
    "decline_probability",
    "expected_orders",
    "expected_margin",
    "value_at_risk",
)

Rows: TypeAlias = "pd.DataFrame | Mapping[str, np.ndarray]"
"""Rows as a data frame, or as one array for each column."""


class RowsError(ValueError):
    """Unusable rows; the text states why and the fix."""


class PortableModel:
    """A fitted model as `spec`, a JSON object, and `heads`, LightGBM's own texts by name."""

    def __init__(self, spec: dict, heads: dict[str, str], threads: int = 0) -> None:  # type: ignore[type-arg]
        import lightgbm

        self.spec = spec
        self.feature_names = list(spec["features"])
        self.threads = threads
        self.boosters = {name: lightgbm.Booster(model_str=text) for name, text in heads.items()}

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        """One row of `OUTPUTS` for each row of features, in the same order.

        `rows` has exactly the model's features; `status` (default eligible) decides which rows get
        the model, which its model of lapsed customers, and which the fixed lapse rate of their
        group. Raises RowsError for anything else.
        """
        check_rows(rows, self.feature_names)
        rows = as_numbers(rows, self.feature_names)
        columns = {name: floats(rows, name) for name in self.feature_names}
        return pd.DataFrame(
            self.predict_columns({**columns, "status": statuses(rows)}), index=rows.index
        )

    def predict_columns(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The arrays of `OUTPUTS` by name, from arrays of the features (NaN if unknown) and of
        `status`, each of shape (rows,).
        """
        status, matrix = columns["status"], self.matrix(columns)
        check_numbers(matrix, status)
        by_model, lapsed = status == "eligible", status == "lapsed"
        if self.spec["win_back"]["kind"] == "rate":
            lapsed = np.zeros(len(status), dtype=bool)
        speakers = (
            (by_model, self._modelled),
            (lapsed, self._win_back),
            (~by_model & ~lapsed, self._fallback),
        )
        found = {name: np.full(len(status), np.nan) for name in OUTPUTS}
        found["probability_source"] = np.full(len(status), None, dtype=object)
        for who, speak in speakers:
            if who.any():
                for name, values in speak(*chosen(columns, matrix, who)).items():
                    found[name][who] = values
        return found

    def matrix(self, rows: Rows) -> np.ndarray:
        """The features as seen by the trees: float32, shape (rows, features)."""
        with np.errstate(over="ignore"):  # values beyond float32 become infinite and are rejected
            columns = [floats(rows, name).astype("float32") for name in self.feature_names]
        return np.column_stack(columns)

    def head(self, name: str, matrix: np.ndarray) -> np.ndarray:
        """The calibrated prediction of one head."""
        raw = self.boosters[name].predict(matrix, num_threads=self.threads)
        return self.calibrated(name, np.asarray(raw))

    def lapse(self, rows: Rows, matrix: np.ndarray) -> np.ndarray:
        """P(lapse) of eligible rows: BG/NBD, logistic RFM and the trees averaged in log-odds, and
        the correction of their level; shape (rows,).
        """
        raw = np.asarray(self.boosters["lapse"].predict(matrix, num_threads=self.threads))
        return self.calibrated("lapse", blended(self.spec.get("blend"), rows, raw))

    def calibrated(self, name: str, raw: np.ndarray) -> np.ndarray:
        """The raw prediction of that head after calibration."""
        line = self.spec["calibration"].get(name)
        return raw if line is None else corrected(line, raw)

    def _modelled(self, rows: dict[str, np.ndarray], matrix: np.ndarray) -> dict[str, object]:
        stand_in = self.spec["stand_in"]
        if stand_in is None:
            lapse, source = self.lapse(rows, matrix), "model"
        else:
            lapse, source = baseline(self.spec["baselines"][stand_in], rows), "stand_in:" + stand_in
        shares = self.spec["amounts"]["lapsed_share"]
        decline, amounts = lapse, self._amounts(rows, matrix)
        if "decline" in self.boosters:
            decline = np.maximum(self.head("decline", matrix), lapse)
        return self._outputs(lapse, decline, amounts, shares=shares, source=source)

    def _amounts(self, rows: dict[str, np.ndarray], matrix: np.ndarray) -> tuple[np.ndarray, ...]:
        """Orders and spend of eligible rows if retained: from the trees, or from the lifetime
        models for customers with little history, and for all if there are no trees.
        """
        spec = self.spec["amounts"]
        if "orders" not in self.boosters:
            return tuple(np.nan_to_num(part) for part in lifetime_amounts(spec, rows))
        thin = rows["purchase_days"] <= spec["thin_days"]
        trees = tuple(spec["scale"][name] * self.head(name, matrix) for name in AMOUNTS)
        amounts = self._with_lifetime(rows, thin, trees)
        level = spec.get("level", NO_LEVEL)
        return tuple(level[name] * part for name, part in zip(AMOUNTS, amounts, strict=True))

    def _win_back(self, rows: dict[str, np.ndarray], matrix: np.ndarray) -> dict[str, object]:
        """1 - P(buys again) by the model of lapsed customers; amounts are those of their group."""
        spec = self.spec["win_back"]
        if spec["kind"] == "trees":
            again = self.head("win_back", matrix)
        else:
            again = self.calibrated("win_back", baseline(spec["line"], rows))
        rates = group_rates(self.spec["fallback"], rows)
        amounts = rates["orders"], rates["spend"]
        return self._outputs(1 - again, np.nan, amounts, source="win_back")

    def _fallback(self, rows: dict[str, np.ndarray], _: np.ndarray) -> dict[str, object]:
        rates = group_rates(self.spec["fallback"], rows)
        of_group = rates["orders"], rates["spend"]
        amounts = self._with_lifetime(rows, rows["status"] == "new", of_group)
        return self._outputs(rates["lapse"], np.nan, amounts, source="fallback")

    def _with_lifetime(
        self, rows: dict[str, np.ndarray], chosen: np.ndarray, amounts: tuple[np.ndarray, ...]
    ) -> tuple[np.ndarray, ...]:
        """Orders and spend if retained, replaced by the lifetime models in rows where these were
        better and have data.
        """
        spec = self.spec["amounts"]
        if not spec["lifetime"] or not chosen.any():
            return amounts
        expected = dict(zip(AMOUNTS, lifetime_amounts(spec, rows), strict=True))
        return tuple(
            np.where(chosen & np.isfinite(expected[name]), expected[name], trees)
            if name in spec["lifetime"]
            else trees
            for name, trees in zip(expected, amounts, strict=True)
        )

    def _outputs(
        self,
        lapse: np.ndarray,
        decline: np.ndarray | float,
        if_retained: tuple[np.ndarray, ...],
        *,
        source: str,
        shares: dict[str, float] | None = None,
    ) -> dict[str, object]:
        """`shares`: orders and spend of lapsing customers relative to retained ones."""
        shares = shares or NO_SHARES
        whole = self.spec["margin_rate"] * self.spec["amounts"].get("tail_factor", 1.0)
        orders, margin = if_retained[0], whole * if_retained[1]
        columns = (
            lapse,
            source,
            decline,
            (1 - lapse + lapse * shares["orders"]) * orders,
            (1 - lapse + lapse * shares["spend"]) * margin,
            lapse * (1 - shares["spend"]) * margin,
        )
        return dict(zip(OUTPUTS, columns, strict=True))


NO_SHARES = {"orders": 0.0, "spend": 0.0}
NO_LEVEL = {"orders": 1.0, "spend": 1.0}


def chosen(
    columns: Mapping[str, np.ndarray], matrix: np.ndarray, who: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The columns and the matrix of the rows of a mask; no copy if it selects all rows."""
    if who.all():
        return dict(columns), matrix
    return {name: values[who] for name, values in columns.items()}, matrix[who]


def floats(rows: Rows, name: str) -> np.ndarray:
    """A column of a data frame, or of arrays by name, as floats; NaN if missing."""
    column = rows[name]
    if isinstance(column, np.ndarray):
        return column.astype("float64", copy=False)
    return column.to_numpy(dtype="float64", na_value=np.nan)


def check_rows(rows: pd.DataFrame, wanted: list[str]) -> None:
    """Raises RowsError unless it is a data frame of those features, numeric, with known
    statuses.
    """
    if not isinstance(rows, pd.DataFrame):
        raise RowsError(
            f"rows must be a pandas DataFrame, got {type(rows).__name__}. "
            "Pass one row of features per customer."
        )
    check_features(rows.columns, wanted)
    unknown = sorted({str(status) for status in pd.unique(statuses(rows))} - set(STATUSES))
    if unknown:
        raise RowsError(
            f"status must be one of {list(STATUSES)}, got {unknown}. "
            "Omit the column if all are eligible."
        )
    texts = [name for name in wanted if not _is_numeric(rows[name])]
    if texts:
        raise RowsError(f"features must be numbers, got others in {texts}. Cast them first.")


def check_numbers(matrix: np.ndarray, status: np.ndarray) -> None:
    """Raises RowsError if a feature is infinite, or if all features of an eligible row are
    missing.
    """
    infinite = np.isinf(matrix)
    if infinite.any():
        count = int(infinite.any(axis=1).sum())
        raise RowsError(f"features must be finite or missing, got {count} rows with others.")
    empty = int((np.isnan(matrix).all(axis=1) & (status == "eligible")).sum())
    if empty:
        raise RowsError(
            f"eligible rows must have features, got {empty} with only missing values. "
            "Give them another status, or build their features."
        )


def statuses(rows: Rows) -> np.ndarray:
    """The status of each row; eligible in a data frame without such a column."""
    if "status" not in rows:
        return np.full(len(rows), "eligible", dtype=object)
    return np.asarray(rows["status"], dtype=object)


def as_numbers(rows: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """The rows with object columns among those features converted to floats, as from JSON."""
    loose = [name for name in names if rows[name].dtype == "object"]
    return rows.astype(dict.fromkeys(loose, "float64")) if loose else rows


def _is_numeric(column: pd.Series) -> bool:
    """Whether a column holds numbers or booleans, or Python objects that are such or missing."""
    if column.dtype != "object":
        return bool(pd.api.types.is_numeric_dtype(column.dtype))
    return all(
        value is None or isinstance(value, (int, float, np.number)) for value in column.tolist()
    )


def check_features(columns: "pd.Index[str]", wanted: list[str]) -> None:
    """Raises RowsError that lists missing and unexpected features."""
    given = [name for name in columns if name not in IDENTIFIERS]
    twice = sorted({str(name) for name in columns if list(columns).count(name) > 1})
    if twice:
        raise RowsError(
            f"each column must occur once, got {twice} more often. Drop the duplicates."
        )
    missing = [name for name in wanted if name not in given]
    strange = [name for name in given if name not in wanted]
    if missing or strange:
        raise RowsError(
            f"the model expects its own {len(wanted)} features; missing: {missing}, "
            f"unexpected: {strange}. Build them with the feature list that the model carries."
        )


def fallback_group(edges_days: list[float], status: str, recency_days: float) -> str:
    """The group whose fixed lapse rate is used for a customer outside the model."""
    if recency_days is None or math.isnan(recency_days):
        return f"{status}:no purchase"
    bins = sum(recency_days > edge for edge in edges_days)
    return f"{status}:{bins}"


def group_rates(
    table: dict,  # type: ignore[type-arg]
    rows: Rows,
) -> dict[str, np.ndarray]:
    """The fixed lapse rate, orders and spend of each row's group, each of shape (rows,)."""
    status, days = statuses(rows), floats(rows, "recency_days")
    edges = table["edges_days"]
    bins = np.where(np.isnan(days), -1, np.searchsorted(np.sort(edges), days))
    found = {name: np.full(len(days), float(rate)) for name, rate in table["default"].items()}
    for one in STATUSES:
        for number in np.unique(bins[status == one]):
            own = (status == one) & (bins == number)
            group = fallback_group(edges, one, days[own][0])
            for name, rate in table["groups"].get(group, table["default"]).items():
                found[name][own] = rate
    return found


def lifetime_amounts(spec: dict, rows: Rows) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Orders and spend in the horizon given at least one order, by BG/NBD and Gamma-Gamma: their
    expectation divided by BG/NBD's probability of a purchase.
    """
    days, spend, silent = (floats(rows, name) for name in LIFETIME_FEATURES)
    buys = np.maximum(1 - silent, 1e-6)
    return spec["orders_per_day"] * days / buys, spend / buys


def blended(spec: dict | None, rows: Rows, trees: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """The probabilities of the trees averaged in log-odds with those of BG/NBD and of the logistic
    RFM, which share the weight `spec["weight"]`.
    """
    if spec is None:
        return trees
    both = logit(bg_nbd_in_season(spec, rows)) + logit(baseline(spec["logistic_rfm"], rows))
    return sigmoid(spec["weight"] * both / 2 + (1 - spec["weight"]) * logit(trees))


def bg_nbd_in_season(spec: dict, rows: Rows) -> np.ndarray:  # type: ignore[type-arg]
    """BG/NBD's probability of no purchase, its hazard multiplied by the factor of the season."""
    silent = bg_nbd_no_purchase(spec["bg_nbd"], spec["horizon_days"], rows)
    inside = np.clip(np.nan_to_num(silent, nan=0.5), 1e-7, 1.0)  # 0.5 says nothing, in log-odds
    return np.asarray(inside ** spec["season"]["factor"])


def simple_parts(spec: dict, rows: Rows) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    """What the two simple models of a blend add to each row's log-odds, relative to the average
    customer, by feature; BG/NBD counts as the feature `p_no_purchase_in_horizon`.
    """
    line, share = spec["logistic_rfm"], spec["weight"] / 2
    terms = share * (baseline_terms(line, rows) * np.asarray(line["coefficients"]))
    silent = share * logit(bg_nbd_in_season(spec, rows))
    centre = spec["centre"]
    parts = {name: terms[:, i] - share * centre[name] for i, (name, _) in enumerate(line["terms"])}
    return parts | {LIFETIME_FEATURES[2]: silent - share * centre[LIFETIME_FEATURES[2]]}


def baseline(spec: dict, rows: Rows) -> np.ndarray:  # type: ignore[type-arg]
    """A baseline's calibrated lapse probability: a logistic regression on its terms.

    The terms are added one after the other: the order of a matrix product, and with it the last
    bit of a row, would depend on how many rows are predicted together.
    """
    terms = baseline_terms(spec, rows)
    log_odds = np.full(len(terms), float(spec["intercept"]))
    for term, coefficient in zip(terms.T, spec["coefficients"], strict=True):
        log_odds = log_odds + coefficient * term
    return sigmoid(log_odds)


def baseline_terms(spec: dict, rows: Rows) -> np.ndarray:  # type: ignore[type-arg]
    """The inputs of a baseline, shape (rows, terms)."""
    if "bg_nbd" in spec:
        silent = bg_nbd_no_purchase(spec["bg_nbd"], spec["horizon_days"], rows)
        return np.asarray(
            np.nan_to_num(logit(silent))[:, None]
        )  # subscribers may never have bought
    columns = []
    for name, transform in spec["terms"]:
        value = single(rows, name)
        columns.append(np.log1p(np.maximum(value, 0.0)) if transform == "log1p" else value)
    return np.asarray(np.nan_to_num(np.column_stack(columns)))


def bg_nbd_no_purchase(spec: dict, horizon_days: float, rows: Rows) -> np.ndarray:  # type: ignore[type-arg]
    """BG/NBD's probability of no purchase in the horizon (Fader, Hardie, Lee 2005)."""
    r, alpha, a, b = (spec[name] for name in ("r", "alpha", "a", "b"))
    age = np.maximum(single(rows, "tenure_days"), 0.0)
    last = np.maximum(age - single(rows, "recency_days"), 0.0)
    repeats = np.maximum(single(rows, "purchase_days") - 1, 0.0)
    log_odds_dead = (r + repeats) * np.log((alpha + age) / (alpha + last)) + np.log(
        a / (b + np.maximum(repeats, 1) - 1)
    )
    alive = np.where(repeats > 0, sigmoid(-log_odds_dead), 1.0)
    silent = np.exp((r + repeats) * np.log((alpha + age) / (alpha + age + horizon_days)))
    return np.asarray(1 - alive * (1 - silent))


def single(rows: Rows, name: str) -> np.ndarray:
    """A feature in the precision that the trees see, so that the last bit of a parallel sum cannot
    move a score.
    """
    with np.errstate(over="ignore"):  # beyond float32, see `PortableModel.matrix`
        return floats(rows, name).astype("float32").astype("float64")


def corrected(line: dict, probability: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """Calibrated probabilities; the new log-odds are `slope` times ln p, plus `slope_stay`
    (default: `slope`) times -ln(1 - p), plus the intercept.
    """
    lapse, stay = log_odds_terms(probability)
    slope_stay = line.get("slope_stay", line["slope"])
    return sigmoid(line["intercept"] + line["slope"] * lapse + slope_stay * stay)


def log_odds_terms(probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two parts of the log-odds, ln p and -ln(1 - p), of probabilities clipped to [1e-7, 1 -
    1e-7].
    """
    inside = np.clip(probability, 1e-7, 1 - 1e-7)
    return np.log(inside), -np.log1p(-inside)


def logit(probability: np.ndarray) -> np.ndarray:
    """Log-odds of probabilities clipped to [1e-7, 1 - 1e-7]."""
    lapse, stay = log_odds_terms(probability)
    return np.asarray(lapse + stay)


def sigmoid(value: np.ndarray) -> np.ndarray:
    """The probability of log-odds."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * np.asarray(value))))
