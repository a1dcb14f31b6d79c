"""Feature rows in, probabilities out, from texts and plain numbers alone.

This file stands on its own: it needs numpy, pandas and lightgbm and nothing of the package that
wrote the model, so that the same code predicts here, in an MLflow model and in any other service.
"""

import math

import numpy as np
import pandas as pd

IDENTIFIERS = ("customer_id", "cutoff", "as_of", "status")
OUTPUTS = (
    "churn_probability",
    "probability_source",
    "decline_probability",
    "expected_orders",
    "expected_margin",
    "value_at_risk",
)


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

        `rows` has exactly the model's features; `status` (default eligible) tells which rows the
        model speaks for and which get the frozen lapse rate of their group.
        """
        check_features(rows.columns, self.feature_names)
        status = rows["status"] if "status" in rows else pd.Series("eligible", index=rows.index)
        eligible = (status == "eligible").to_numpy()
        parts = []
        if eligible.any():
            parts.append(self._modelled(rows[eligible], np.flatnonzero(eligible)))
        if not eligible.all():
            chosen = np.flatnonzero(~eligible)
            parts.append(self._fallback(rows[~eligible], status[~eligible], chosen))
        if not parts:
            return pd.DataFrame(columns=list(OUTPUTS), index=rows.index)
        return pd.concat(parts).sort_index().set_index(rows.index)

    def matrix(self, rows: pd.DataFrame) -> np.ndarray:
        """The features as the numbers that the trees see: float32, shape (rows, features)."""
        return rows[self.feature_names].to_numpy(dtype="float32", na_value=np.nan)

    def head(self, name: str, matrix: np.ndarray) -> np.ndarray:
        """The calibrated prediction of one head."""
        raw = np.asarray(self.boosters[name].predict(matrix, num_threads=self.threads))
        line = self.spec["calibration"].get(name)
        return raw if line is None else corrected(line, raw)

    def _modelled(self, rows: pd.DataFrame, positions: np.ndarray) -> pd.DataFrame:
        matrix = self.matrix(rows)
        stand_in = self.spec["stand_in"]
        if stand_in is None:
            lapse, source = self.head("lapse", matrix), "model"
        else:
            lapse, source = baseline(self.spec["baselines"][stand_in], rows), "stand_in:" + stand_in
        decline = np.maximum(self.head("decline", matrix), lapse)
        return self._outputs(
            positions,
            lapse,
            decline,
            orders_if_retained=self.head("orders", matrix),
            spend_if_retained=self.head("spend", matrix),
            source=source,
        )

    def _fallback(
        self,
        rows: pd.DataFrame,
        status: pd.Series,
        positions: np.ndarray,
    ) -> pd.DataFrame:
        table = self.spec["fallback"]
        groups = [
            fallback_group(table["edges_days"], state, days)
            for state, days in zip(status, rows["recency_days"], strict=True)
        ]
        rates = pd.DataFrame([table["groups"].get(g, table["default"]) for g in groups])
        return self._outputs(
            positions,
            rates["lapse"].to_numpy(),
            np.full(len(rows), np.nan),
            orders_if_retained=rates["orders"].to_numpy(),
            spend_if_retained=rates["spend"].to_numpy(),
            source="fallback",
        )

    def _outputs(
        self,
        positions: np.ndarray,
        lapse: np.ndarray,
        decline: np.ndarray,
        *,
        orders_if_retained: np.ndarray,
        spend_if_retained: np.ndarray,
        source: str,
    ) -> pd.DataFrame:
        margin = self.spec["margin_rate"] * spend_if_retained
        columns = (
            lapse,
            source,
            decline,
            (1 - lapse) * orders_if_retained,
            (1 - lapse) * margin,
            lapse * margin,
        )
        return pd.DataFrame(dict(zip(OUTPUTS, columns, strict=True)), index=positions)


def check_features(columns: "pd.Index[str]", wanted: list[str]) -> None:
    """Nothing, or ValueError naming the features that are missing and those nobody asked for."""
    given = [name for name in columns if name not in IDENTIFIERS]
    missing = [name for name in wanted if name not in given]
    strange = [name for name in given if name not in wanted]
    if missing or strange:
        raise ValueError(
            f"the model expects its own {len(wanted)} features; missing: {missing}, "
            f"unexpected: {strange}. Build them with the feature list that the model carries."
        )


def fallback_group(edges_days: list[float], status: str, recency_days: float) -> str:
    """The group whose frozen lapse rate stands for a customer that the model does not speak for."""
    if recency_days is None or math.isnan(recency_days):
        return f"{status}:no purchase"
    bins = sum(recency_days > edge for edge in edges_days)
    return f"{status}:{bins}"


def baseline(spec: dict, rows: pd.DataFrame) -> np.ndarray:  # type: ignore[type-arg]
    """A baseline's calibrated lapse probability: a logistic line over its terms."""
    terms = baseline_terms(spec, rows)
    return sigmoid(spec["intercept"] + terms @ np.asarray(spec["coefficients"]))


def baseline_terms(spec: dict, rows: pd.DataFrame) -> np.ndarray:  # type: ignore[type-arg]
    """What a baseline looks at, shape (rows, terms)."""
    if "bg_nbd" in spec:
        return logit(bg_nbd_no_purchase(spec["bg_nbd"], spec["horizon_days"], rows))[:, None]
    columns = []
    for name, transform in spec["terms"]:
        value = rows[name].to_numpy(dtype="float64", na_value=np.nan)
        columns.append(np.log1p(np.maximum(value, 0.0)) if transform == "log1p" else value)
    return np.asarray(np.nan_to_num(np.column_stack(columns)))


def bg_nbd_no_purchase(spec: dict, horizon_days: float, rows: pd.DataFrame) -> np.ndarray:  # type: ignore[type-arg]
    """BG/NBD's probability of no purchase in the horizon (Fader, Hardie, Lee 2005)."""
    r, alpha, a, b = (spec[name] for name in ("r", "alpha", "a", "b"))
    age = rows["tenure_days"].to_numpy(dtype="float64")
    last = age - rows["recency_days"].to_numpy(dtype="float64")
    repeats = rows["purchase_days"].to_numpy(dtype="float64") - 1
    log_odds_dead = (r + repeats) * np.log((alpha + age) / (alpha + last)) + np.log(
        a / (b + np.maximum(repeats, 1) - 1)
    )
    alive = np.where(repeats > 0, sigmoid(-log_odds_dead), 1.0)
    silent = np.exp((r + repeats) * np.log((alpha + age) / (alpha + age + horizon_days)))
    return np.asarray(1 - alive * (1 - silent))


def corrected(line: dict, probability: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """Calibrated probabilities: `slope` times ln p, `slope_stay` (where it is missing: the same)
    times -ln(1 - p), and the intercept are the new log-odds.
    """
    lapse, stay = log_odds_terms(probability)
    slope_stay = line.get("slope_stay", line["slope"])
    return sigmoid(line["intercept"] + line["slope"] * lapse + slope_stay * stay)


def log_odds_terms(probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two parts of the log-odds, ln p and -ln(1 - p), of probabilities kept inside
    [1e-7, 1 - 1e-7].
    """
    inside = np.clip(probability, 1e-7, 1 - 1e-7)
    return np.log(inside), -np.log1p(-inside)


def logit(probability: np.ndarray) -> np.ndarray:
    """Log-odds, of probabilities kept inside [1e-7, 1 - 1e-7]."""
    lapse, stay = log_odds_terms(probability)
    return np.asarray(lapse + stay)


def sigmoid(value: np.ndarray) -> np.ndarray:
    """The probability of log-odds."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * np.asarray(value))))
