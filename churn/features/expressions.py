"""Expressions shared by many features; only what runs on every engine."""

import math

import narwhals as nw


def bought(value: nw.Expr, *, otherwise: float | None = None) -> nw.Expr:
    """The value on days with a purchase, else `otherwise`."""
    purchase = nw.when(nw.col("is_purchase")).then(value)
    return purchase if otherwise is None else purchase.otherwise(nw.lit(otherwise))


def within(days: float, value: nw.Expr, otherwise: float) -> nw.Expr:
    """The value on the last `days` days before the cutoff, else `otherwise`."""
    return nw.when(nw.col("age_days") <= days).then(value).otherwise(nw.lit(otherwise))


def decay(half_life_days: float) -> nw.Expr:
    """2 ^ (-age / half-life)."""
    return (nw.col("age_days") * (-math.log(2.0) / half_life_days)).exp()


def ratio(above: nw.Expr, below: nw.Expr) -> nw.Expr:
    """The quotient; null unless the divisor is positive."""
    return nw.when(below > 0).then(above / below)
