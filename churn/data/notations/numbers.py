"""Numbers as shops write them: currency signs, thousands separators, brackets, trailing minus.

The decimal sign is known before a number is read, because `1,234` means two different numbers.
Values in no notation remain unread.
"""

from churn.data.engines.base import literal

SPACES = "\u00a0\u202f\u2007\u2009\t"
APOSTROPHES = "\u2019\u2018\u02bc\u2032\u00b4`"
MINUSES = "\u2212\u2013\u2014\u2012\ufe63\uff0d"
CODES = (
    "AED ARS AUD BGN BHD BRL CAD CHF CLP CNY COP CRC CZK DKK DOP EGP EUR GBP GEL HKD HRK HUF IDR "
    "ILS INR ISK JOD JPY KES KRW KWD KZT LKR MAD MXN MYR NGN NOK NZD OMR PEN PHP PKR PLN QAR RON "
    "RSD RUB SAR SEK SGD THB TND TRY TWD UAH USD UYU VND ZAR"
)
SIGNS = r"[A-Z]{0,3}\p{Sc}|kr\.?|zł|kč|ft|fr\.?|lei|lv|лв\.?|rs\.?|euros?"
# Signs of a single currency; "$", "kr" and others are shared by several.
SIGN_CODES = {
    **dict.fromkeys(("€", "EURO", "EUROS"), "EUR"),
    **{"£": "GBP", "₹": "INR", "₽": "RUB", "₺": "TRY", "₩": "KRW", "₪": "ILS", "₫": "VND"},
    **{"₴": "UAH", "ZŁ": "PLN", "KČ": "CZK", "FT": "HUF", "LEI": "RON", "FR": "CHF"},
    **{"US$": "USD", "C$": "CAD", "CA$": "CAD", "A$": "AUD", "AU$": "AUD", "NZ$": "NZD"},
    **{"HK$": "HKD", "S$": "SGD", "R$": "BRL", "LV": "BGN", "ЛВ": "BGN"},
}
SHARED_SIGNS = {
    "$": frozenset(("USD", "CAD", "AUD", "NZD", "SGD", "HKD", "MXN", "ARS", "CLP", "COP", "TWD")),
    "KR": frozenset(("SEK", "NOK", "DKK", "ISK")),
    "¥": frozenset(("JPY", "CNY")),
    "RS": frozenset(("INR", "PKR")),
}
CURRENCY = rf"(?:{'|'.join(CODES.split())}|{SIGNS})"
BODIES = {
    ".": r"(?:(?:\d+|[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d?(?:,\d{2})+,\d{3}|[1-9]\d{0,2}(?: \d{3})+"
    r"|[1-9]\d{0,2}(?:'\d{3})+)(?:\.\d*)?|\.\d+)",
    ",": r"(?:(?:\d+|[1-9]\d{0,2}(?:\.\d{3})+|[1-9]\d{0,2}(?: \d{3})+|[1-9]\d{0,2}(?:'\d{3})+)"
    r"(?:,\d*)?|,\d+)",
}
PLAIN_COMMA = r"\s*[-+]?(\d+|[1-9]\d{0,2}(\.\d{3})+)(,\d*)?\s*"
NO_CENTS = r"[.,]-{1,2}([^-\d]*)$"  # 12,- and CHF 12.--


def plain_number_sql(text: str, decimal: str) -> str:
    """The number in plain digits, as fast as it can be read; else null."""
    if decimal == ".":
        return f"TRY_CAST({text} AS DOUBLE)"
    point = f"replace(replace({text}, '.', ''), ',', '.')"
    return (
        f"CASE WHEN regexp_full_match({text}, {literal(PLAIN_COMMA)}) "
        f"THEN TRY_CAST({point} AS DOUBLE) END"
    )


def number_sql(text: str, decimal: str, *, percent: bool = False) -> str:
    """The number in any notation with that decimal sign; `50 %` is 0.5 if a share is meant."""
    clean = _clean_sql(text)
    digits = rf"regexp_replace({clean}, '\p{{L}}+\.?|\p{{Sc}}|[^0-9.,]', '', 'g')"
    grouping = "," if decimal == "." else "."
    point = f"replace(replace({digits}, {literal(grouping)}, ''), ',', '.')"
    sign = f"CASE WHEN regexp_matches({clean}, '[-(]') THEN -1 ELSE 1 END"
    written = f"CASE WHEN {is_number_sql(text, decimal)} THEN {sign} * TRY_CAST({point} AS DOUBLE)"
    shares = f" WHEN {_is_share_sql(clean, decimal)} THEN TRY_CAST({point} AS DOUBLE) / 100"
    careful = f"{written}{shares if percent else ''} END"
    return f"coalesce({plain_number_sql(text, decimal)}, {careful}, {_exponent_sql(text, decimal)})"


PARTED_SQL = r"regexp_matches(v, '\d[.,]\d')"  # a number that may be two, with a point or comma


def is_number_sql(text: str, decimal: str) -> str:
    """Whether the text is a number with that decimal sign, in any notation except powers of ten."""
    return f"regexp_full_match({_clean_sql(text)}, {literal(_pattern(BODIES[decimal]))})"


def size_sql(text: str) -> str:
    """The approximate size of a number in no notation: its digits, without the decimals."""
    whole = rf"regexp_replace({_clean_sql(text)}, '[.,]\d{{1,2}}\D*$', '')"
    return f"TRY_CAST(regexp_replace({whole}, '[^0-9]', '', 'g') AS DOUBLE)"


def currency_sql(text: str) -> str:
    """The currency's code or sign next to the number in capitals; null if there is none."""
    sign = f"regexp_extract({_clean_sql(text)}, {literal(f'(?i){CURRENCY}')})"
    currency = f"upper(rtrim({sign}, '.'))"
    known = " ".join(f"WHEN {literal(s)} THEN {literal(c)}" for s, c in SIGN_CODES.items())
    return f"nullif(CASE {currency} {known} ELSE {currency} END, '')"


def _clean_sql(text: str) -> str:
    """The text with one kind of space, apostrophe and minus, and without a mark for no cents."""
    odd, plain = SPACES + APOSTROPHES + MINUSES, " " * len(SPACES)
    plain += "'" * len(APOSTROPHES) + "-" * len(MINUSES)
    same = f"trim(translate({text}, {literal(odd)}, {literal(plain)}))"
    return rf"regexp_replace({same}, '{NO_CENTS}', '\1')"


def _pattern(body: str) -> str:
    money = rf"(?:{CURRENCY}\s*)?"
    forms = (
        rf"[-+]?\s*{money}{body}\s*{money}",
        rf"{money}[-+]\s*{body}\s*{money}",
        rf"{money}{body}\s*(?:[-+]\s*{money}|{money}[-+])",
        rf"\(\s*{money}{body}\s*{money}\)",
        rf"{money}\(\s*{body}\s*\)\s*{money}",
    )
    return f"(?i)(?:{'|'.join(forms)})"


def _is_share_sql(clean: str, decimal: str) -> str:
    pattern = BODIES[decimal] + r"\s*%"
    return f"regexp_full_match({clean}, {literal(pattern)})"


def _exponent_sql(text: str, decimal: str) -> str:
    """Powers of ten with a decimal comma, as spreadsheets show them; those with a point cast."""
    if decimal == ".":
        return "NULL"
    exact = rf"regexp_full_match({text}, '\s*[-+]?\d+(,\d+)?[eE][-+]?\d+\s*')"
    return f"CASE WHEN {exact} THEN TRY_CAST(replace({text}, ',', '.') AS DOUBLE) END"
