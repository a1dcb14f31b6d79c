"""The words shops use for yes and no, channels, purposes and unsubscriptions, with their meanings.

A refusal with an unrecognised word refuses everything it may mean; a grant grants only what it
names. `[data.<table>.words]` adds a shop's own words, which take precedence.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from churn.data.engines.base import literal

Words = Mapping[str, Mapping[str, str | bool]]
"""`[data.<table>.words]`: for each of our columns, a shop's word → its meaning."""

ALL = "all"
MARKETING = "marketing"
PROFILING = "profiling"

# The types of events; churn/data/history/events.py gives each a code.
EVENT_TYPES = (
    *("email_sent", "email_open", "email_click", "unsubscribe", "visit", "cart"),
    *("ticket_opened", "ticket_closed", "complaint", "delivery_late", "review", "nps"),
    *("points_earned", "points_spent"),
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def bare_word(text: str) -> str:
    """The text's letters and digits only, in lower case and without accents.

    >>> bare_word(" Opt-Out "), bare_word("SÍ"), bare_word("1.0")
    ('optout', 'si', '1')
    """
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


# All words are bare (see `bare_word`).
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
# "mail" is not listed: it may be e-mail or a letter.
_CHANNELS = {
    "email": "email emails emailaddress emailmarketing marketingemail emailmarketingconsent "
    "electronicmail epost courriel couriel correoelectronico postaelettronica",
    "sms": "sms text texts txt textmessage textmessages smsmarketing marketingsms mms "
    "kurznachricht",
    "push": "push pushnotification pushnotifications apppush webpush mobilepush pushmarketing",
    "post": "post postal letter letters directmail postalmail brief briefpost courrier "
    "correopostal postacartacea",
    "call": "call calls phone telephone phonecall telemarketing telefon anruf appel llamada "
    "telefono telefoon",
    "ads": "ads ad advertising audiences customaudiences retargeting",
    **{name: name for name in ("whatsapp", "messenger", "telegram", "rcs", "viber", "line")},
    **{"wechat": "wechat", "inapp": "inapp app", "web": "web website onsite", "fax": "fax"},
}
# In a refusal the channel of these is clear; a grant of a newsletter does not cover other mails.
_REFUSED_CHANNELS = {"email": "newsletter newsletters mailing mailings mailinglist mailchimp"}
_EVERYWHERE = _words(
    "all any every each everything everywhere global allchannels anychannel everychannel alle "
    "alles allen allekanale tout tous toutes todo todos todas tutto tutti tutte"
)
_MARKETING = _words(
    "marketing emailmarketing marketingemail marketingemails smsmarketing directmarketing "
    "marketingcommunication marketingcommunications promotion promotions promotional promo "
    "advertising werbung publicite publicidad pubblicita reclame"
)
_REFUSED_MARKETING = _words(
    "newsletter newsletters news offers deals campaigns commercial communications crm "
    "nieuwsbrief infolettre boletin angebote"
)
_PROFILING = _words(
    "profiling profile personalisation personalization personalised personalized "
    "automateddecisions automateddecisionmaking scoring profilage profilazione perfilado "
    "profilierung profilering"
)
_EVERY_PURPOSE = _EVERYWHERE | _words("allpurposes anypurpose everypurpose")
_OTHER_PURPOSES = _words(
    "other transactional transaction transactions order orders orderupdates shipping delivery "
    "service serviceupdates support account terms tos"
)
_KINDS = {
    "discount": "discounts coupon coupons voucher vouchers rabatt rabatte",
    "points": "loyaltypoints",
    "gift": "gifts",
    "free_delivery": "freeshipping",
    "referral": "referrals",
    "subscription": "subscriptions",
    "greeting": "greetings",
    "win_back": "",
    "service": "",
    "survey": "surveys umfrage",
    "content": "",
    "other": "",
}
"""The kinds of offers, with synonyms."""
_UNSUBSCRIBED = _words(
    "stop spam spamreport spamreported reportedspam reportedasspam markedemailasspam "
    "complained emailcomplaint emailcomplained abuse abusereport cleaned abgemeldet abmeldung "
    "desinscription desinscrit desabonnement baja disiscrizione disiscritto uitgeschreven "
    "uitschrijving afgemeld afmelding"
)
_CLEARLY_UNSUBSCRIBED = "unsub|optout|optedout|spamcomplaint|markedasspam"
_BOUNCED = _words(
    "bounce bounced hardbounce hardbounced bouncehard emailbounce emailbounced "
    "emailhardbounce emailhardbounced permanentbounce bouncedemail"
)
"""The address is gone: not the customer's choice, but the channel is closed."""
_LOOKS_UNSUBSCRIBED = (
    "unsub|optout|optedout|optsout|optingout|^stop|smsstop|stopsms|donotcontact|donotemail|"
    "donotcall|donotsell|blocklist|blacklist|suppress|withdr[ae]w|revoke|objected|"
    "spam|abuse|complain|bounce|listremov|removedfromlist|"
    "abmeld|abgemeld|abbestell|austrag|ausgetrag|widerruf|widerspr|"
    "desinscr|desabon|desuscri|baja$|^baja|disiscri|disdett|"
    "uitschr|uitgeschr|afmeld|afgemeld"
)
_LEAVES_NOTHING = "soft|transient|notspam|nospam"
"""Exceptions that match the pattern: a soft bounce, and the like."""
_HINTS = (("sms|text|whatsapp", "sms"), ("push", "push"), ("mail|newsletter|list", "email"))
# A clear yes must not contain a sign that could reverse it.
_CLEAR = r"[\s\p{Z}\p{Cf}''\"]*[\p{L}\p{N}][\p{L}\p{N}\p{M} _.-]*[\s\p{Z}\p{Cf}''\"]*"


CLEAN_CHANNELS = frozenset(("email", "sms", "push", "post", "call", "ads"))
CLEAN_PURPOSES = frozenset((MARKETING, PROFILING))
CLEAN_FLAGS = frozenset(("true", "false", "1", "0"))


def channel_of(text: str) -> str:
    """Our name of the channel that a word means; else the bare word.

    >>> channel_of(" E-Mail"), channel_of("Letter"), channel_of("Tik Tok"), channel_of("all")
    ('email', 'post', 'tiktok', 'all')
    """
    bare = bare_word(text)
    return next((ours for ours, words in _CHANNELS.items() if bare in words.split()), bare)


def read_word_sql(column: str, text: str, *, known: frozenset[str] = frozenset()) -> str:
    """The SQL of the columns that the others need: `bare_…`, the bare word or "", and `blank_…`,
    whether nothing was written. `known` words need no normalisation.
    """
    bare = f"coalesce({bare_word_sql(text)}, '')"
    signs = f"replace(replace({text}, chr(9), ''), chr(160), '')"
    blank = f"coalesce(trim({signs}) = '', true)"
    if known:
        bare = f"CASE WHEN {text} IN {words_sql(known)} THEN {text} ELSE {bare} END"
        blank = f"CASE WHEN {text} IN {words_sql(known)} THEN false ELSE {blank} END"
    return f"{bare} AS bare_{column}, {blank} AS blank_{column}"


def flag_word_sql(column: str) -> str:
    """The SQL of `flag_…`: whether a bare word means yes or no."""
    flags = _lookup(f"bare_{column}", {"yes": YES_WORDS, "no": NO_WORDS})
    return f"{flags} AS flag_{column}"


def granted_sql(column: str, words: Words) -> str:
    """The SQL for true if clearly yes, false if clearly no, else null."""
    text, flag = f'"{column}"', f"flag_{column}"
    clear = f"({text} IN ('true', '1') OR regexp_full_match({text}, '{_CLEAR}'))"
    return (
        f"CASE {_own_sql(column, words)} WHEN {flag} = 'yes' THEN CASE WHEN {clear} THEN true END "
        f"WHEN {flag} = 'no' THEN false END"
    )


def channel_sql(column: str, words: Words, *, granted: str = "false") -> str:
    """The SQL of the channel that a word means: ours, `ALL`, or null if unrecognised.

    `granted` marks the rows that are grants, in which a word means less than in a refusal.
    """
    named = {ours: frozenset(known.split()) for ours, known in _CHANNELS.items()}
    refused = {ours: frozenset(known.split()) for ours, known in _REFUSED_CHANNELS.items()}
    return _named_sql(column, words, {**named, ALL: _EVERYWHERE}, refused, granted)


def purpose_sql(column: str, words: Words, *, granted: str = "false") -> str:
    """The SQL of the purpose that a word means: marketing, profiling, `ALL`, "other", or null."""
    named = {
        MARKETING: _MARKETING,
        PROFILING: _PROFILING,
        ALL: _EVERY_PURPOSE,
        "other": _OTHER_PURPOSES,
    }
    return _named_sql(column, words, named, {MARKETING: _REFUSED_MARKETING}, granted)


def kind_sql(column: str, words: Words) -> str:
    """The SQL of the kind of offer that a word means: ours, `ALL`, or null."""
    named = {ours: frozenset([bare_word(ours), *more.split()]) for ours, more in _KINDS.items()}
    return _named_sql(column, words, {**named, ALL: _EVERYWHERE})


def arm_sql(text: str, words: Words) -> str:
    """The SQL of a contact's arm: control and holdout in any spelling, else lower case."""
    plain = f"nullif(trim(lower({text})), '')"
    own = " ".join(
        f"WHEN {plain} = {literal(word.strip().lower())} THEN {literal(ours)}"
        for word, ours in words.get("arm", {}).items()
    )
    letters = f"replace(replace(replace({plain}, '-', ''), '_', ''), ' ', '')"
    control = "WHEN {} IN ('control', 'controls', 'controlgroup', 'kontrollgruppe') THEN 'control'"
    holdout = "WHEN {} IN ('holdout', 'heldout', 'holdoutgroup', 'globalholdout') THEN 'holdout'"
    return f"CASE {own} {control.format(letters)} {holdout.format(letters)} ELSE {plain} END"


def event_type_sql(column: str, words: Words) -> str:
    """The SQL of an event's type, one of ours in any spelling; "unsubscribe" for words that
    unsubscribe, "bounce" for a lost address; else null.
    """
    bare, text = f"bare_{column}", f'"{column}"'
    named = {kind: frozenset([bare_word(kind)]) for kind in EVENT_TYPES}
    named |= {"unsubscribe": named["unsubscribe"] | _UNSUBSCRIBED, "bounce": _BOUNCED}
    clearly = f"regexp_matches({bare}, '{_CLEARLY_UNSUBSCRIBED}')"
    return (
        f"CASE {_own_sql(column, words)} "
        f"WHEN {text} IN {words_sql(frozenset(EVENT_TYPES))} THEN {text} "
        f"ELSE coalesce({_lookup(bare, named)}, CASE WHEN {clearly} THEN 'unsubscribe' END) END"
    )


def unsubscribed_sql(column: str) -> str:
    """The SQL for whether an unknown event type looks like an unsubscription."""
    bare = f"bare_{column}"
    return (
        f"(regexp_matches({bare}, '{_LOOKS_UNSUBSCRIBED}') "
        f"AND NOT regexp_matches({bare}, '{_LEAVES_NOTHING}'))"
    )


def closed_channel_sql(column: str) -> str:
    """The SQL of the channel suggested by the type of an unsubscription; `ALL` if none is.

    Plain `unsubscribe`, and what mail services report about a message, is about e-mail.
    """
    bare = f"bare_{column}"
    hints = " ".join(
        f"WHEN regexp_matches({bare}, '{pattern}') THEN '{channel}'" for pattern, channel in _HINTS
    )
    every = f"WHEN regexp_matches({bare}, 'all|global|everything') THEN '{ALL}'"
    mail = f"WHEN regexp_matches({bare}, 'unsub|spam|bounce|complain|abuse|cleaned') THEN 'email'"
    return f"CASE {every} {hints} {mail} ELSE '{ALL}' END"


def _named_sql(
    column: str,
    words: Words,
    named: Mapping[str, frozenset[str]],
    refused: Mapping[str, frozenset[str]] | None = None,
    granted: str = "false",
) -> str:
    """The meaning of a word; the `refused` meanings do not apply to grants."""
    bare = f"bare_{column}"
    star = f"""WHEN trim("{column}") = '*' THEN '{ALL}'"""
    more = f"WHEN NOT coalesce({granted}, false) THEN {_lookup(bare, refused)}" if refused else ""
    known = f"coalesce({_lookup(bare, named)}, CASE {more} END)" if more else _lookup(bare, named)
    return f"CASE {_own_sql(column, words)} {star} ELSE {known} END"


def _lookup(bare: str, named: Mapping[str, frozenset[str]]) -> str:
    """A constant map: long IN lists are planned as joins, however few the rows."""
    pairs = sorted((word, ours) for ours, known in named.items() for word in known)
    entries = ", ".join(f"{literal(word)}: {literal(ours)}" for word, ours in pairs)
    return f"MAP {{{entries}}}[{bare}]"


def _own_sql(column: str, words: Words) -> str:
    """The cases of a shop's own words, compared bare; signs without a letter unchanged."""
    cases = []
    for word, ours in words.get(column, {}).items():
        bare = bare_word(word)
        same = f'trim("{column}") = {literal(word.strip())}'
        if bare:
            same = f"({same} OR bare_{column} = {literal(bare)})"
        cases.append(f"WHEN {same} THEN {literal(ours)}")
    return " ".join(cases)
