"""Flags as people write them: one list of words that mean yes and one of words that mean no.

>>> bare_word(" Opt-Out "), bare_word("SÍ"), bare_word("1.0")
('optout', 'si', '1')
"""

import re
import unicodedata

from churn.data.engines.base import literal


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# All words are bare: lower case, no accents, only letters and digits.
YES_WORDS = _words(
    "true t yes y 1 on checked enabled active ja j jawohl oui vrai si sim verdadero vero wahr da "
    "tak ano igen kylla joo evet "
    "granted given allow allowed accept accepted agree agreed approved confirmed "
    "consent consented optin optedin doubleoptin subscribe subscribed"
)
NO_WORDS = _words(
    "false f no n 0 off unchecked disabled inactive nein nee non nej nei nao falsch faux falso nie "
    "nem ei hayir niet "
    "denied deny declined decline refused refuse rejected reject revoked revoke withdrawn withdraw "
    "disallow disallowed notallowed notgranted notsubscribed never "
    "optout optedout unsubscribe unsubscribed blocked suppressed"
)


def bare_word(text: str) -> str:
    """The text's letters and digits only, in lower case and without accents."""
    plain = unicodedata.normalize("NFKD", text).casefold().strip()
    plain = re.sub(r"^([01])\.0+$", r"\1", plain)
    return "".join(sign for sign in plain if sign.isalnum())


def bare_word_sql(text: str) -> str:
    """The same in DuckDB's SQL."""
    plain = rf"regexp_replace(trim(lower(strip_accents({text}))), '^([01])\.0+$', '\1')"
    return rf"regexp_replace({plain}, '[^\p{{L}}\p{{N}}]', '', 'g')"


def flag_sql(text: str) -> str:
    """The SQL that reads a text as a flag; null if its word is on neither list."""
    word = bare_word_sql(text)
    return (
        f"CASE WHEN {word} IN {words_sql(YES_WORDS)} THEN true "
        f"WHEN {word} IN {words_sql(NO_WORDS)} THEN false END"
    )


def words_sql(words: frozenset[str]) -> str:
    """The words as a list of SQL constants, for `IN`."""
    return f"({', '.join(literal(word) for word in sorted(words))})"
