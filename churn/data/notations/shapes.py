"""The shape of a value: what it looks like without what it says, so that it may be shown."""

from churn.data.engines.base import literal

__all__ = ["NOTHING", "given_sql", "shape_sql"]

LONGEST = 40
# What exports write where there is no value, in lower case.
NOTHING = (
    *("", "null", "(null)", "none", "nil", "nan", "nat", "n/a", "#n/a", "na", "-", "--", r"\n"),
    *("undefined", "0000-00-00", "0000-00-00 00:00:00"),
)


def given_sql(text: str) -> str:
    """Whether the text holds a value at all."""
    nothing = ", ".join(map(literal, NOTHING))
    return f"(lower(trim({text})) NOT IN ({nothing}))"


def shape_sql(text: str) -> str:
    """Digits as 9, letters as a or A, everything else as it is."""
    shape = f"left({text}, {LONGEST})"
    for kind, sign in ((r"\p{N}", "9"), (r"[\p{Lu}\p{Lt}]", "A"), (r"\p{Cc}", "?")):
        shape = f"regexp_replace({shape}, '{kind}', '{sign}', 'g')"
    return rf"regexp_replace({shape}, '[\p{{Ll}}\p{{Lo}}\p{{Lm}}\p{{M}}]', 'a', 'g')"
