"""The page of all features, generated from their declarations: `python -m churn.features.docs`."""

from churn.features.catalogue import CATALOGUE, REQUIRED_FAMILIES, Feature

INTRODUCTION = """\
# Features

Generated from the feature catalogue in the code by `make docs`. There is one row per customer and
cutoff; only what had happened, and had arrived, before midnight of the cutoff counts. H is the
horizon in days. A feature whose source is not connected does not exist; a missing value is null,
never zero.

- **needs**: what must be connected in addition to the orders: a table, `table.column`, or
  `events.type`.
- **set by the shop**: yes if the shop itself decides it; the model may use it, but it never becomes
  a reason or advice.
- Where a meaning says *winsorised*, a day's amount counts within plus and minus
  exp(mean + 3 standard deviations) of the logarithm of the amounts of purchase days before the
  cutoff, so that a wholesale order does not dominate an average.
"""

COLUMNS = ("feature", "unit", "meaning", "needs", "set by the shop", "source")


def catalogue_page() -> str:
    """Markdown with a section per family and a row per feature."""
    shipped = [one for one in CATALOGUE.values() if not one.hidden and one.is_shipped]
    families = dict.fromkeys(one.family for one in shipped)
    sections = [
        _section(family, [one for one in shipped if one.family == family]) for family in families
    ]
    total = f"{len(shipped)} features in {len(families)} families."
    return "\n".join([INTRODUCTION, total, *sections])


def _section(family: str, members: list[Feature]) -> str:
    always = ", always included" if family in REQUIRED_FAMILIES else ""
    head = f"\n## {family}{always}\n\n| {' | '.join(COLUMNS)} |"
    rows = [f"| {' | '.join(_cells(one))} |" for one in members]
    return "\n".join([head, "|---" * len(COLUMNS) + "|", *rows])


def _cells(one: Feature) -> tuple[str, ...]:
    others = sorted(one.needs - {"orders"})
    required = [
        need for need in others if not any(other.startswith(f"{need}.") for other in others)
    ]
    needs = ", ".join(f"`{need}`" for need in required)
    controlled = "yes" if one.controlled else ""
    return f"`{one.name}`", one.unit, one.meaning, needs, controlled, one.source


if __name__ == "__main__":
    print(catalogue_page())
