"""Words and barcodes that were read on packs ► the names of a list that they are, with what was read as the evidence.

A word counts by how few names of the list hold it (inverse document frequency, Spärck Jones 1972), letters that were
read wrong are forgiven as far as a word stays more like this one than like others (Ratcliff and Obershelp 1988).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from math import log

from catalogue import Product
from catalogue.gtin import printed
from catalogue.mapping import plain

#: More names than these that fit equally well are no proposal: what was read does not tell them apart.
MOST = 3
#: Evidence counts as equal down to this share of the best.
EQUAL = 0.9
#: Of what a name says, by the weight of its words, this much was read at least, or two words of it.
READ = 0.34
#: The evidence of a barcode is beyond that of any words.
BARCODE = 1000.0
_LIKE, _LIKE_SHORT = 0.75, 0.8  # how like a word of the list a read one is at least, of six letters and more, and fewer
_EXACT = 3  # letters up to which a word is read right or not at all
_DIGITS = 0.3  # of the weight of a word that has no letters: sizes stand on many packs


@dataclass(frozen=True)
class Printed:
    """What was read on the facings of a group: words with how sure each is (0 to 1), and GTINs of 14 digits."""

    words: tuple[tuple[str, float], ...] = ()
    gtins: tuple[str, ...] = ()

    @classmethod
    def together(cls, facings: Iterable[Printed]) -> Printed:
        """What was read on several facings of one product; a word counts as it was read best."""
        words: dict[str, float] = {}
        gtins: dict[str, None] = {}
        for one in facings:
            for text, score in one.words:
                words[text] = max(score, words.get(text, 0.0))
            gtins.update(dict.fromkeys(one.gtins))
        return cls(tuple(words.items()), tuple(gtins))

    @property
    def text(self) -> str:
        """What was read, as it is shown to people; empty for nothing."""
        words = " ".join(text for text, _ in self.words if len(_folded(text)) > 1)
        return " · ".join(([f"reads: {words}"] if words else []) + [f"barcode {printed(one)}" for one in self.gtins])


@dataclass(frozen=True)
class NameOffer:
    """A product of a list that a group may be: its words that were read, as they were, or its barcode."""

    product: Product
    words: tuple[str, ...]
    gtin: str
    evidence: float

    @property
    def text(self) -> str:
        """The evidence in words."""
        return f"barcode {printed(self.gtin)}" if self.gtin else f"reads: {' '.join(self.words)}"


class NameList:
    """Names and GTINs of a list, to be found by what was read."""

    def __init__(self, products: Sequence[Product]) -> None:
        self._products = list(products)
        self._by_gtin: dict[str, list[int]] = defaultdict(list)
        self._names: list[tuple[str, ...]] = []
        self._owners: dict[str, list[int]] = defaultdict(list)
        self._near: dict[str, list[str]] = defaultdict(list)
        for at, product in enumerate(self._products):
            if product.gtin:
                self._by_gtin[_article(product.gtin)].append(at)
            self._names.append(tuple(dict.fromkeys(_tokens(f"{product.name} {product.brand}"))))
            for token in self._names[-1]:
                self._owners[token].append(at)
        for token in self._owners:
            for part in _parts(token):
                self._near[part].append(token)

    def __len__(self) -> int:
        return len(self._products)

    def fitting(self, read: Printed) -> list[NameOffer]:
        """The names that fit best and equally well, at most MOST; none where more fit, or too little was read."""
        if coded := [at for gtin in read.gtins for at in self._by_gtin.get(_article(gtin), ())]:
            return [NameOffer(self._products[at], (), self._products[at].gtin, BARCODE) for at in dict.fromkeys(coded)]
        scored = sorted(self._by_words(read), key=lambda one: (-one.evidence, one.product.sku))
        equal = [one for one in scored if one.evidence >= EQUAL * scored[0].evidence]
        return equal if len(equal) <= MOST else []

    def _by_words(self, read: Printed) -> Iterator[NameOffer]:
        """Every name of which enough was read; its evidence is the weight of what was read times its share."""
        found: dict[int, dict[str, tuple[float, str]]] = defaultdict(dict)
        for text, score in read.words:
            for token, like in self._alike(text):
                for at in self._owners[token]:
                    known = found[at].get(token, (0.0, ""))
                    found[at][token] = max(known, (score * like, text))
        for at, tokens in found.items():
            whole = sum(map(self._weight, self._names[at]))
            there = sum(self._weight(token) * share for token, (share, _) in tokens.items())
            letters = [token for token in tokens if re.search("[a-z]{3}", token)]
            if letters and (there >= READ * whole or len(letters) > 1):
                words = dict.fromkeys(text for _, text in tokens.values())
                shown = tuple(text for text, _ in read.words if text in words)
                yield NameOffer(self._products[at], shown, "", there * (0.8 + 0.2 * there / whole))

    def _alike(self, text: str) -> Iterator[tuple[str, float]]:
        """Words of the list that a read one may be, and how like it they are, 0 to 1."""
        for word in _tokens(text):
            if word in self._owners:
                yield word, 1.0
                continue
            shared = Counter(token for part in _parts(word) for token in self._near.get(part, ()))
            for token, _ in shared.most_common(8):
                short = min(len(token), len(word))
                like = SequenceMatcher(None, word, token, autojunk=False).ratio()
                if short > _EXACT and like >= (_LIKE if short > 5 else _LIKE_SHORT):
                    yield token, like**2

    def _weight(self, token: str) -> float:
        rare = log(1 + len(self._products) / len(self._owners[token]))
        return rare if re.search("[a-z]", token) else _DIGITS * rare


def assigned(offers: Sequence[Sequence[NameOffer]]) -> list[list[NameOffer]]:
    """Offers of groups ► the same with each product left where its evidence is best, or as good as the best."""
    best: dict[str, float] = {}
    for one in (each for group in offers for each in group):
        best[one.product.sku] = max(one.evidence, best.get(one.product.sku, 0.0))
    return [[one for one in group if one.evidence >= EQUAL * best[one.product.sku]] for group in offers]


def _folded(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", plain(text))


def _tokens(text: str) -> list[str]:
    """The words of a text in letters a to z and digits; a hyphen parts words, and they stand joined as well."""
    words = [_folded(word) for word in text.replace("-", " ").split()]
    joined = [_folded(word) for word in text.split() if "-" in word]
    return [word for word in words + joined if len(word) > 1]


def _parts(word: str) -> set[str]:
    """The runs of three letters of a word, its beginning and end among them."""
    padded = f"_{word}_"
    return {padded[at : at + 3] for at in range(len(padded) - 2)}


def _article(gtin: str) -> str:
    """What the numbers of one article's packaging levels share: all but the first and the check digit."""
    return gtin[1:13]
