"""Scores how well a shop's column name matches a role, in many languages.

The words were collected from exports of shop systems and tills and from public retail data sets,
including Olist, Online Retail and Complete Journey.
"""

import re
import unicodedata
from dataclasses import dataclass

SUBSTRING_LENGTH = 4
SUBSTRING_SHARE = 0.85
HELP = 0.08
HURT = 0.5
DIM = 0.12

KEYS = "id no nr num number nummer numero key code kod codigo unique"
PEOPLE = "customer client kunde cliente user buyer member household"
MONEY = "amount total price value revenue umsatz betrag importe discount rabatt cost tax"
INCLUDING = ("inc", "incl", "including", "included", "inclusive", "inkl", "ttc")
EXCLUDING = ("ex", "excl", "excluding", "exclusive", "exkl", "ht", "without")
TAXES = ("tax", "taxes", "vat", "gst", "mwst", "ust", "iva", "tva", "btw")
ASIDE = "tax taxes vat shipping freight fee fees tip refund refunded discount versand mwst rabatt"
COUNTED = "quantity qty count items number id rate percent weight name type code method status date"
CLOCKS = "date time timestamp datum fecha at day"


@dataclass(frozen=True)
class Vocabulary:
    """Words that name a column, with their weights, and words for or against it.

    `dims` count against it only next to another such column: a subtotal, a net amount.
    """

    weights: dict[str, float]
    helps: tuple[str, ...] = ()
    hurts: tuple[str, ...] = ()
    dims: tuple[str, ...] = ()


def _vocabulary(
    *ranks: tuple[float, str], helps: str = "", hurts: str = "", dims: str = ""
) -> Vocabulary:
    weights = {word: weight for weight, words in ranks for word in words.split()}
    return Vocabulary(weights, tuple(helps.split()), tuple(hurts.split()), tuple(dims.split()))


ROLES: dict[str, Vocabulary] = {
    "customer_id": _vocabulary(
        (0.8, "customer custid custno client kunde kunden cliente klant household cust hh"),
        (0.75, "user buyer shopper member clienti acheteur comprador usuario utente klient"),
        (0.6, "email mail account visitor person contact konto loyalty card"),
        helps=KEYS,
        hurts="name type segment country city state zip postal region age gender group note "
        f"since status phone address first last orders total {CLOCKS}",
    ),
    "order_id": _vocabulary(
        (0.8, "order invoice basket rechnung bestell auftrag pedido factura commande ordine"),
        (0.75, "transaction receipt fattura facture trans txn bestelling zamowienie orden"),
        (0.6, "beleg bon ticket checkout purchase compra vente sale"),
        (0.45, "cart session"),
        helps=KEYS,
        hurts="status type line item product quantity qty count name channel source currency state "
        f"{PEOPLE} {MONEY} {CLOCKS}",
    ),
    "ordered_at": _vocabulary(
        (0.75, "date datum fecha timestamp datetime ordered purchased zeitpunkt"),
        (0.65, "created time zeit placed sold bought data"),
        (0.55, "day tag jour dia paid dt ts when"),
        helps="order purchase invoice transaction trans bestell kauf rechnung sale pedido compra "
        "commande achat ordine acquisto aankoop sold",
        hurts="birth geburt naci deliver liefer ship versand update modified cancel due expir "
        "approv estimat limit loaded refund return signup register first last valid fulfil clos",
    ),
    "amount": _vocabulary(
        (0.85, "amount revenue umsatz betrag importe montant bedrag importo erlos omzet kwota"),
        (0.75, "total sales turnover spend spent summe wartosc gesamt totale monto amt collected"),
        (0.65, "value valor valeur gross brutto payment paid sum"),
        (0.6, "netto net charged"),
        (0.5, "price preis precio preco prix prijs prezzo cena"),
        helps="order value line grand invoice collected",
        hurts="unit einzel stuck discount disc rabatt tax taxes vat gst mwst fee fees tip tips "
        "ship shipping freight delivery versand porto handling postage insurance duties duty "
        "margin cost currency channel quantity qty count items balance refund refunds refunded "
        "returned return returns gift credit voucher coupon redeemed gutschein erstattung due "
        "rembourse outstanding weight rate exchange points payout processing commission deposit "
        f"wrap compare product products position size grosse {PEOPLE}",
        dims="sub subtotal zwischensumme adjusted converted presentment facing net netto ex excl "
        "excluding exclusive exkl without real invoiced",
    ),
    "refund": _vocabulary(
        (
            0.8,
            "refund refunds refunded erstattung erstattet ruckerstattung rembourse remboursement",
        ),
        (0.6, "reembolso rimborso terugbetaling"),
        helps="amount total",
        hurts="date time at reason status id type tax shipping count quantity qty items partial "
        "converted note number method by",
    ),
    "unit_price": _vocabulary(
        (0.75, "price preis precio preco prix prijs prezzo cena stuckpreis"),
        helps="unit einzel stuck unitario item per",
        hurts="total gesamt sum order net discount list currency",
    ),
    "quantity": _vocabulary(
        (0.8, "quantity qty menge cantidad quantite quantidade aantal ilosc qta"),
        (0.65, "units anzahl pieces stuck pcs stueck"),
        helps="item line order product",
        hurts="price preis type unit",
    ),
    "discount": _vocabulary(
        (0.75, "discount disc rabatt descuento remise sconto desconto korting rebate"),
        (0.6, "nachlass skonto markdown"),
        helps="amount value total",
        hurts="code type name percent pct rate",
    ),
    "currency": _vocabulary((0.8, "currency wahrung waehrung moneda devise valuta ccy moeda")),
    "channel": _vocabulary(
        (0.8, "channel kanal canal kanaal canale"), hurts="id marketing acquisition"
    ),
    "store": _vocabulary(
        (0.8, "store shop filiale tienda magasin loja negozio winkel sklep"),
        (0.6, "branch outlet location markt"),
        helps=KEYS,
        hurts="name type city shopper",
    ),
    "product_id": _vocabulary(
        (0.8, "product sku stockcode artikel articulo producto produit produkt prodotto"),
        (0.7, "item ean upc asin gtin article barcode"),
        helps=KEYS,
        hurts="name description desc title bezeichnung omschrijving libelle opis category type "
        f"quantity qty count {MONEY} {CLOCKS}",
    ),
    "category": _vocabulary(
        (0.8, "category kategorie categoria categorie warengruppe"),
        (0.65, "department productgroup commodity"),
        hurts=f"id {PEOPLE}",
    ),
    "product_name": _vocabulary(
        (0.8, "productname itemname articlename artikelname produktname productdescription"),
        (0.7, "description bezeichnung descripcion descrizione omschrijving libelle opis"),
        hurts=f"id code category department commodity kategorie group gruppe order ship payment "
        f"status channel store discount campaign coupon {PEOPLE} {CLOCKS}",
    ),
}


def name_score(role: str, name: str) -> float:
    """How well `name` names the role, from 0 (not at all) to 1.

    >>> round(name_score("customer_id", "Kundennummer"), 2)
    0.76
    >>> name_score("order_id", "order date")
    0.3
    """
    vocabulary, words = ROLES[role], _words(name)
    if role == "amount":
        words = _without_tax(words)
    weight = max(_weight(word, w, words) for word, w in vocabulary.weights.items())
    if weight == 0:
        return 0.0
    helped = HELP * any(_weight(word, 1, words) for word in vocabulary.helps)
    hurt = HURT * any(_weight(word, 1, words) for word in vocabulary.hurts)
    dimmed = DIM * any(_weight(word, 1, words) for word in vocabulary.dims)
    return round(min(max(weight + helped - hurt - dimmed, 0.0), 1.0), 3)


def names_money(name: str) -> bool:
    """Whether the name suggests money, be it the amount or a related sum.

    >>> names_money("Refund Amount"), names_money("Total Quantity"), names_money("Shipping")
    (True, False, True)
    """
    words = _words(name)
    if any(word in words for word in COUNTED.split()):
        return False
    weights = ROLES["amount"].weights
    return any(_weight(word, 1, words) for word in (*weights, *ASIDE.split()))


def _without_tax(words: list[str]) -> list[str]:
    """An amount's words without those that only state whether tax is included."""
    if not {*INCLUDING, *EXCLUDING}.intersection(words):
        return words
    kept = [word for word in words if word not in (*INCLUDING, *TAXES)]
    return kept[:-1] if len(kept) > 1 and kept[-1] not in EXCLUDING else kept


def _weight(word: str, weight: float, words: list[str]) -> float:
    """The full weight for a whole word, a little less inside a longer word, else 0."""
    if word in words:
        return weight
    inside = len(word) >= SUBSTRING_LENGTH and any(word in longer for longer in words)
    return weight * SUBSTRING_SHARE if inside else 0.0


def _words(name: str) -> list[str]:
    """The name's words in lower case, without accents, and all of them as one word.

    >>> _words("StockCode"), _words("Währung")
    (['stock', 'code', 'stockcode'], ['wahrung'])
    """
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss"))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", plain)
    words = re.findall(r"[a-z]+|\d+", spaced.lower())
    return [*words, "".join(words)] if len(words) > 1 else words
