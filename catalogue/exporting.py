"""The catalogue as a folder that imports again: products.csv, and the reference pictures and masks as they are kept."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from catalogue.errors import CatalogueError
from catalogue.formats import guarded
from catalogue.records import TEXT_FIELDS, Product, attribute_name
from catalogue.store import Catalogue

COLUMNS = ("sku", *TEXT_FIELDS, "image", "mask", "content_hash")
PAGE = 500


def export(catalogue: Catalogue, folder: str | Path) -> Iterator[Product]:
    """Write every product and its references in use; yields each product when it is done.

    The folder must be new or empty: CatalogueError else. The table appears under its name when all is written. Several
    pictures of a product are separated by `|`, and so are their masks and the content hashes of the original uploads.
    Cells that a spreadsheet would take for a formula start with an apostrophe, which an import takes off again.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CatalogueError(f"{folder}: is not empty; give a new folder for the export")
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    part = folder / "products.csv.part"
    # One read transaction: what others change meanwhile is in the export altogether or not at all.
    with part.open("w", encoding="utf-8-sig", newline="") as file, catalogue.file.reading():
        attributes = _attribute_keys(catalogue)
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, *(guarded(attribute_name(key)) for key in attributes)])
        for product in _all(catalogue):
            values = product.fields()
            texts = [product.sku, *(values[name] for name in TEXT_FIELDS)]
            extra = [product.attributes.get(key, "") for key in attributes]
            cells = [guarded(text) for text in texts]
            writer.writerow([*cells, *_pictures(catalogue, product.sku, folder), *(guarded(text) for text in extra)])
            yield product
    part.rename(folder / "products.csv")


def _pictures(catalogue: Catalogue, sku: str, folder: Path) -> Iterable[str]:
    """The cells image, mask and content_hash; the files are written beside."""
    names, masks, hashes = [], [], []
    directory = Path("pictures") / _folder_name(sku)
    for reference in catalogue.references(sku):
        picture, mask = catalogue.reference_picture(reference.id), catalogue.reference_mask(reference.id)
        (folder / directory).mkdir(exist_ok=True)
        # Named by its bytes: an import believes the content hash as long as nobody has touched the file.
        stem = sha256(picture).hexdigest()[:16]
        (folder / directory / f"{stem}.jpg").write_bytes(picture)
        names.append((directory / f"{stem}.jpg").as_posix())
        masks.append("")
        if mask is not None:
            (folder / directory / f"{stem}.mask.png").write_bytes(mask)
            masks[-1] = (directory / f"{stem}.mask.png").as_posix()
        hashes.append(reference.content_hash)
    return "|".join(names), "|".join(masks) if any(masks) else "", "|".join(hashes)


def _folder_name(sku: str) -> str:
    """A folder name that every file system takes, different for different SKUs."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", sku).strip("._")[:60]
    # also where only the case differs: Windows and macOS take such folders for one
    return safe if safe == sku and sku == sku.lower() else f"{safe}-{sha256(sku.encode()).hexdigest()[:8]}"


def _all(catalogue: Catalogue) -> Iterator[Product]:
    offset = 0
    while page := catalogue.products(offset, PAGE):
        yield from page
        offset += len(page)


def _attribute_keys(catalogue: Catalogue) -> list[str]:
    sql = "SELECT DISTINCT j.key FROM products p, json_each(p.attributes) j WHERE p.deleted IS NULL ORDER BY 1"
    return [row[0] for row in catalogue.db.execute(sql).fetchall()]
