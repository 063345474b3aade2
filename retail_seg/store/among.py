"""Only what can be there: a category, a brand, or a list of SKUs ► the products that answers are chosen among."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from catalogue import Catalogue, listing
from catalogue.listing import Filter
from retail_seg.errors import StoreError
from retail_seg.system.files import bounded_lines

#: SKUs that can be there, each with how much likelier than others it is.
Among = Mapping[str, float]
#: Fields of a product that can be asked for.
FIELDS = ("category", "brand")
#: So many values, or SKUs, are named in a sentence.
NAMED = 5


def among_of(catalogue: Catalogue, wanted: Sequence[str], *, files: bool = True) -> dict[str, float] | None:
    """The products that any of `wanted` names, each with its weight; None where nothing is wanted: all of them.

    A wanted text is `category=NAME`, `brand=NAME` (in any case), `sku=NUMBER` or, with `files`, the path of a list: CSV
    in UTF-8, one SKU a line with, if it is likelier or less likely than others, its weight behind it (a number, 1
    without it, 0 for what is not there); a heading `sku` or `sku,weight` may stand above. Of weights for one SKU the
    largest holds. Raises StoreError for a text that names no product, and a list that holds an SKU that the store does
    not know.
    """
    if not wanted:
        return None
    found: dict[str, float] = {}
    for text in wanted:
        for sku, weight in _named(catalogue, text, files):
            found[sku] = max(weight, found.get(sku, 0.0))
    if not any(found.values()):
        raise StoreError(f"{', '.join(wanted)}: no product is left; give at least one SKU a weight above 0")
    return found


def kept_choice(wanted: Sequence[str], among: Among | None) -> dict[str, Any]:
    """What is kept with a scan of what could be there, as JSON-able values, for `choice_again`.

    A category or brand by its name, so that products which come to it later are among its own; a list, which may be
    gone by then, with its SKUs and weights.
    """
    if among is None:
        return {}
    by_name = all("=" in text and text.partition("=")[0] in FIELDS for text in wanted)
    return {"only": list(wanted)} if by_name else {"among": dict(among)}


def choice_again(catalogue: Catalogue, kept: Mapping[str, Any]) -> Among | None:
    """The products that could be there, of what `kept_choice` gave; None where all could.

    Of a list only those that the store still has. Raises StoreError where none of them is left.
    """
    if "among" not in kept:
        return among_of(catalogue, kept.get("only", ()))
    found = {s: weight for s, weight in kept["among"].items() if weight > 0 and catalogue.find_product(s) is not None}
    if not found:
        raise StoreError("none of the products that could be in the photo is in the store any more; scan it again")
    return found


def choice_in_words(kept: Mapping[str, Any]) -> str:
    """What could be there, for people: "category Dairy", "a list of 12 products"; empty where all could."""
    if "among" in kept:
        count = sum(weight > 0 for weight in kept["among"].values())
        return f"a list of {count} {'product' if count == 1 else 'products'}"
    return " or ".join(text.replace("=", " ", 1) for text in kept.get("only", ()))


def _named(catalogue: Catalogue, text: str, files: bool) -> Iterable[tuple[str, float]]:
    field, sign, value = text.partition("=")
    if sign and field in FIELDS:
        return ((sku, 1.0) for sku in _having(catalogue, field, value.strip()))
    if sign and field == "sku":
        return [(_known(catalogue, value.strip()), 1.0)]
    if not files:
        raise StoreError(f"{text}: names no products; give category=NAME, brand=NAME or sku=NUMBER")
    path = Path(text)
    if not path.is_file():
        raise StoreError(f"{text}: is no file; give category=NAME, brand=NAME, or a file with one SKU a line")
    return _listed(catalogue, path)


def _having(catalogue: Catalogue, field: str, value: str) -> list[str]:
    """SKUs of the products whose field is the value."""
    values = catalogue.categories() if field == "category" else catalogue.brands()
    own = [one for one in values if one and one.casefold() == value.casefold()]
    if not own:
        known = f"there are {_some(values)}" if values else f"no product of the store has a {field}"
        raise StoreError(f"{field}={value}: no product has this {field}; {known}")
    everything = catalogue.count_products()
    return [
        product.sku
        for one in own
        for product in listing.find(
            catalogue, Filter(category=one) if field == "category" else Filter(brand=one), offset=0, limit=everything
        )
    ]


def _known(catalogue: Catalogue, sku: str) -> str:
    if catalogue.find_product(sku) is None:
        raise StoreError(f"sku={sku}: the store has no product {sku}; correct it, or enrol it first")
    return sku


def _listed(catalogue: Catalogue, path: Path) -> list[tuple[str, float]]:
    """SKUs and weights of a list."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(bounded_lines(file))
            rows = [(number, [cell.strip() for cell in row]) for number, row in enumerate(lines, 1)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise StoreError(f"{path}: is no list of SKUs; save it as CSV in UTF-8, one SKU a line") from error
    rows = [(number, row) for number, row in rows if any(row)]
    if rows and rows[0][1][0].casefold() == "sku":
        del rows[0]
    if not rows:
        raise StoreError(f"{path}: names no SKU; write one a line")
    if missing := [row[0] for _, row in rows if catalogue.find_product(row[0]) is None]:
        raise StoreError(f"{path}: the store has no product {_some(missing)}; correct the list, or enrol it first")
    return [(row[0], _weight(row, f"{path}, line {number}")) for number, row in rows]


def _weight(row: Sequence[str], where: str) -> float:
    """What stands behind an SKU as a weight, 1 where nothing does."""
    if len(row) < 2 or not row[1]:
        return 1.0
    try:
        value = float(row[1])
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise StoreError(f"{where}: {row[1]!r} is no weight; give a number of 0 or more")
    return value


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return ", ".join(texts[:NAMED]) + more
