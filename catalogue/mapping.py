"""A table of unknown columns ► which of them may be ours, by their names and by what stands in them; pictures ► rows by
their file names.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from itertools import islice

from catalogue.errors import GtinError
from catalogue.gtin import normal_gtin
from catalogue.records import column_key
from catalogue.sources import PICTURE_SUFFIXES
from catalogue.tables import BadLine, Table

#: Our columns, in the order in which they are asked for.
FIELDS = ("sku", "name", "brand", "category", "gtin", "image")
#: Rows that are looked at for a proposal.
SAMPLE = 200

#: What columns of these are called elsewhere, without blanks and signs: English, German, Norwegian, Danish, Swedish,
#: Dutch, French, Spanish, Italian, Portuguese, Polish, Turkish.
_CALLED = {
    "sku": "itemno itemnumber itemid item articleno articlenumber articleid article productno productnumber productid "
    "productcode code plu number artikelnr artikelnummer artnr materialnummer material varenummer varenr varennr "
    "artikelnummer codearticle reference ref codigo codigoarticulo articulo referencia codicearticolo codice "
    "indeks kod stokkodu urunkodu",
    "name": "title description productname itemname itemdescription articlename bezeichnung artikelbezeichnung "
    "beschreibung produktname produkt navn varenavn produktnavn beskrivelse benamning namn omschrijving naam nom "
    "designation libelle nombre descripcion producto nome descrizione descricao nazwa urunadi ad",
    "brand": "brandname manufacturer maker marke hersteller merke varemerke producent marque fabricant marca "
    "produttore marka",
    "category": "group productgroup itemgroup department class type warengruppe kategorie gruppe varegruppe kategori "
    "categorie famille rayon categoria familia reparto kategoria grup",
    "gtin": "ean ean13 ean8 barcode upc eancode gtin13 gtin14 strichcode strekkode codebarre codebarres codigobarras "
    "codigodebarras codiceabarre barkod kodkreskowy",
    "image": "picture photo file filename imagefile picturefile imagename foto bild bilddatei bilde billede afbeelding "
    "imagen immagine obraz resim",
}


def propose(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Which column of a table may be which of FIELDS: by its name, else by what stands in it; none twice.

    A table without numbers of its own is known by its GTINs.
    """
    found: dict[str, str] = {}
    for field in FIELDS:
        names = {field, *_CALLED[field].split()}
        for column in columns:
            if re.sub(r"[^a-z0-9]", "", plain(column)) in names and column not in found.values():
                found.setdefault(field, column)
    filled = {column: [row[column].strip() for row in rows if (row.get(column) or "").strip()] for column in columns}
    for field, fits in (("gtin", _gtins), ("image", _pictures), ("sku", _numbers), ("name", _names)):
        if field not in found:
            free = [column for column in columns if column and column not in found.values() and filled[column]]
            best = max(free, key=lambda column: fits(filled[column], len(rows)), default="")
            if best and fits(filled[best], len(rows)) > 0:
                found[field] = best
    if "sku" not in found and "gtin" in found:
        found["sku"] = found["gtin"]
    return found


def sample(table: Table) -> list[dict[str, str]]:
    """The first rows of a table, those that can be read."""
    return [row[1] for row in islice(table.rows, SAMPLE) if not isinstance(row, BadLine)]


def renamed(table: Table, chosen: Mapping[str, str]) -> Table:
    """The table with the chosen columns (ours ► its own) under our names; others stay, and become facts."""
    taken = set(chosen.values())
    rest = {column: column for column in table.columns if column not in taken}
    rest |= {column: f"{column} (other)" for column in rest if column_key(column) in FIELDS}

    def rows() -> Iterable[tuple[int, dict[str, str]] | BadLine]:
        for row in table.rows:
            if isinstance(row, BadLine):
                yield row
            else:
                ours = {field: row[1].get(column, "") for field, column in chosen.items()}
                yield row[0], ours | {name: row[1].get(column, "") for column, name in rest.items()}

    return Table([*chosen, *rest.values()], iter(rows()), table.notes)


def shape(columns: Iterable[str]) -> str:
    """What names tables of these columns, in whatever order."""
    return sha256("\n".join(sorted(map(column_key, columns))).encode()).hexdigest()[:16]


def owners(pictures: Sequence[str], products: Sequence[tuple[str, str, str]]) -> dict[str, str]:
    """Picture ► SKU, of those whose file name begins with one product's SKU, GTIN or name, or holds its GTIN.

    `products` are (SKU, name, GTIN). The longest match counts; a name that two products fit is nobody's.
    """
    keys: dict[str, set[str]] = {}
    for sku, name, gtin in products:
        for text in (sku, name, gtin.lstrip("0")):
            if key := _words(text):
                keys.setdefault(key, set()).add(sku)
    found = {}
    for picture in pictures:
        stem = _words(picture.rpartition("/")[2].rpartition(".")[0])
        fits = [key for key in keys if f"{stem} ".startswith(f"{key} ")]
        numbers = [word.lstrip("0") for word in stem.split() if word.isdecimal()]
        fits += [number for number in numbers if len(number) >= 7 and number in keys]
        owner = keys[max(fits, key=len)] if fits else set()
        if len(owner) == 1:
            found[picture] = next(iter(owner))
    return found


def plain(text: str) -> str:
    """Text in lower case of ASCII letters: without accents, letters of other alphabets left out."""
    folded = text.casefold().replace("ø", "o").replace("æ", "ae").replace("ı", "i").replace("ł", "l")
    return unicodedata.normalize("NFKD", folded).encode("ascii", "ignore").decode()


def _words(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", plain(text)))


def _share(good: int, values: Sequence[str], least: float) -> float:
    share = good / len(values)
    return share if share >= least else 0.0


def _gtins(values: Sequence[str], rows: int) -> float:
    return _share(sum(map(_is_gtin, values)), values, 0.8)


def _is_gtin(text: str) -> bool:
    try:
        return bool(normal_gtin(text))
    except GtinError:
        return False


def _pictures(values: Sequence[str], rows: int) -> float:
    return _share(sum(value.lower().endswith(PICTURE_SUFFIXES) for value in values), values, 0.8)


def _numbers(values: Sequence[str], rows: int) -> float:
    """How well values name rows: there in all, different, without blanks, with a digit."""
    if len(values) < rows or len(set(values)) < len(values):
        return 0.0
    return _share(sum(bool(re.fullmatch(r"\S*\d\S*", value)) and len(value) <= 24 for value in values), values, 0.9)


def _names(values: Sequence[str], rows: int) -> float:
    """How well values are products' names: words with letters, mostly different; longer ones are better."""
    worded = sum(bool(re.search(r"[^\W\d_]{3}", value)) for value in values)
    different = len(set(values)) / len(values)
    longer = min(sum(map(len, values)) / len(values), 60) / 60
    return _share(worded, values, 0.8) * different * longer if different >= 0.5 else 0.0
