"""What a row of a table means: our own columns, Google Product Search, Google Merchant, Open Food Facts.

Sources: Google Cloud Vision, "Formatting a bulk import CSV"; Google Merchant Center, "Product data specification";
Open Food Facts, "data-fields.txt".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from catalogue.errors import CatalogueError, ImportFileError
from catalogue.records import ATTRIBUTE, OWN_COLUMNS, TEXT_FIELDS, Product, column_key

CropBox = tuple[float, float, float, float]


@dataclass(frozen=True)
class PictureName:
    """A picture that a row names: a relative path or web address; `crop` is x0, y0, x1, y1 as shares of its size."""

    name: str
    crop: CropBox | None = None
    mask: str = ""
    content_hash: str = ""


@dataclass(frozen=True)
class Item:
    """What one row says: a product's stated fields (an empty cell states nothing) and pictures."""

    sku: str
    fields: Mapping[str, str] = field(default_factory=dict)
    pictures: Sequence[PictureName] = ()


@dataclass(frozen=True)
class Format:
    """A kind of table: its title, the columns that tell it and all that it uses (none: every column), what a row
    means, and whether rows with one SKU add pictures to it.
    """

    title: str
    needs: tuple[str, ...]
    uses: tuple[str, ...]
    parse: Callable[[Callable[[str], str], Mapping[str, str]], Item]
    repeats: bool = False


def recognise(columns: Sequence[str], name: str) -> tuple[Format, dict[str, str]]:
    """The format that has these columns, and how each column that it knows is written in this table.

    Raises ImportFileError that lists the columns found and those that would do.
    """
    written = {column_key(column): column for column in columns if column}
    keys = [column_key(column) for column in columns]
    for format_ in FORMATS:
        if all(column in written for column in format_.needs):
            twice = [key for key in written if keys.count(key) > 1 and key in (format_.uses or OWN_COLUMNS)]
            if twice:
                raise ImportFileError(f"{name}: has column {twice[0]} twice; rename one of them")
            return format_, written
    known = "; ".join(f"{f.title}: {', '.join(f.needs)}" for f in FORMATS)
    raise ImportFileError(f"{name}: columns {', '.join(columns)[:200]} are of no known format ({known})")


def read_row(format_: Format, written: Mapping[str, str], row: Mapping[str, str]) -> Item:
    """One row's meaning, with the product's text cleaned and its GTIN checked; raises CatalogueError."""

    def cell(column: str) -> str:
        return (row.get(written.get(column, ""), "") or "").strip()

    item = format_.parse(cell, row)
    texts = {name: item.fields.get(name, "") for name in TEXT_FIELDS}
    attributes = {k.removeprefix(ATTRIBUTE): v for k, v in item.fields.items() if k not in TEXT_FIELDS}
    clean = Product(item.sku, **texts, attributes=attributes).cleaned()
    return Item(clean.sku, {name: value for name, value in clean.fields().items() if value}, item.pictures)


def headless(first: list[str]) -> list[str]:
    """Columns of a Google Product Search file, which has no header; empty for any other first row."""
    bucket = first[0].startswith("gs://") or re.search(r"\.(jpe?g|png|webp|bmp|tiff?)$", first[0].strip(), re.I)
    data = len(first) in (7, 8) and bucket and re.fullmatch(r"[a-z]+(-v\d)?", first[4].strip() or "x")
    return list(_GOOGLE_COLUMNS)[: len(first)] if data else []


def _own(cell: Callable[[str], str], row: Mapping[str, str]) -> Item:
    fields = {name: _unguarded(cell(name)) for name in TEXT_FIELDS}
    for column, value in row.items():
        if column and column_key(column) not in OWN_COLUMNS:
            fields[_unguarded(column)] = _unguarded((value or "").strip())
    names = _split(cell("image") or cell("images"))
    masks, hashes = _aligned(cell("mask"), names, "mask"), _aligned(cell("content_hash"), names, "content_hash")
    pictures = [PictureName(*parts) for parts in zip(names, [None] * len(names), masks, hashes, strict=True)]
    return Item(_unguarded(cell("sku")), fields, pictures)


def _google_product_search(cell: Callable[[str], str], row: Mapping[str, str]) -> Item:
    fields = {"name": cell("product_display_name"), "category": cell("product_category")}
    if cell("product_set_id"):
        fields["product_set"] = cell("product_set_id")
    for label in filter(None, (part.strip() for part in cell("labels").split(","))):
        key, equals, value = label.partition("=")
        if not equals:
            raise CatalogueError(f"label {label} is not written key=value")
        fields[key.strip()] = value.strip()
    # A bucket cannot be read from here; its files are expected beside the table under their path in the bucket.
    uri = re.sub(r"^gs://[^/]+/", "", cell("image_uri"))
    pictures = [PictureName(uri, _bounding_box(cell("bounding_poly")))] if uri else []
    return Item(cell("product_id"), fields, pictures)


def _google_merchant(cell: Callable[[str], str], row: Mapping[str, str]) -> Item:
    fields = {name: cell(column) for name, column in (("name", "title"), ("brand", "brand"), ("gtin", "gtin"))}
    fields["category"] = cell("product_type") or cell("google_product_category")
    names = [*_split(cell("image_link")), *_split(cell("additional_image_link"), "[|,]")]
    return Item(cell("id"), fields, [PictureName(name) for name in names])


def _open_food_facts(cell: Callable[[str], str], row: Mapping[str, str]) -> Item:
    fields = {"name": cell("product_name"), "brand": cell("brands"), "category": cell("categories")}
    fields |= {"gtin": cell("code"), "quantity": cell("quantity")}
    names = list(dict.fromkeys(filter(None, (cell("image_url"), cell("image_front_url")))))
    return Item(cell("code"), fields, [PictureName(name) for name in names[:1]])


def _split(text: str, separator: str = r"\|") -> list[str]:
    return [part.strip() for part in re.split(separator, text) if part.strip()]


def _aligned(text: str, names: list[str], column: str) -> list[str]:
    """The parts that belong to the pictures one by one; an empty cell is an empty part for each."""
    parts = [part.strip() for part in text.split("|")] if text else [""] * len(names)
    if len(parts) != len(names):
        raise CatalogueError(f"column {column} has {len(parts)} parts for {len(names)} pictures")
    return parts


def _bounding_box(text: str) -> CropBox | None:
    """The upright box around a polygon of normalised vertices x1,y1,x2,y2,…; None for the whole picture."""
    if not text:
        return None
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        raise CatalogueError(f"bounding-poly {text} is not a list of numbers") from None
    xs, ys = values[::2], values[1::2]
    if len(values) < 4 or len(values) % 2 or not all(0 <= value <= 1 for value in values):
        raise CatalogueError(f"bounding-poly {text} is not a list of x,y pairs between 0 and 1")
    box = (min(xs), min(ys), max(xs), max(ys))
    if box[0] == box[2] or box[1] == box[3]:
        raise CatalogueError(f"bounding-poly {text} encloses nothing")
    return box


def guarded(text: str) -> str:
    """Text that no spreadsheet takes for a formula: an apostrophe before what would start one."""
    return "'" + text if re.match(r"'*[=+\-@\t]", text) else text


def _unguarded(text: str) -> str:
    return text[1:] if re.match(r"'+[=+\-@\t]", text) else text


_GOOGLE_COLUMNS = (
    "image-uri",
    "image-id",
    "product-set-id",
    "product-id",
    "product-category",
    "product-display-name",
    "labels",
    "bounding-poly",
)

#: In the order in which they are tried; the first whose columns are there is taken.
FORMATS = (
    Format("retail-seg table", ("sku",), (), _own, repeats=True),
    Format(
        "Google Product Search",
        ("image_uri", "product_id"),
        tuple(column_key(column) for column in _GOOGLE_COLUMNS),
        _google_product_search,
        repeats=True,
    ),
    Format(
        "Google Merchant feed",
        ("id", "title"),
        (
            "id",
            "title",
            "brand",
            "gtin",
            "image_link",
            "additional_image_link",
            "product_type",
            "google_product_category",
        ),
        _google_merchant,
    ),
    Format(
        "Open Food Facts export",
        ("code", "product_name"),
        ("code", "product_name", "brands", "categories", "quantity", "image_url", "image_front_url"),
        _open_food_facts,
    ),
)
