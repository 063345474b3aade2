"""The demo of a real shelf: crops of one photo of a shop become a store, another photo of the shop is scanned.

Both photos with our boxes and names lie in `shelf/`; its README names their source and licence.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from catalogue import Product
from retail_seg.demo.making import (
    DemoResult,
    Row,
    Sold,
    check_folders,
    open_store,
    scan_into,
    strangers_row,
    write_reports,
)
from retail_seg.people.roles import acting, require
from retail_seg.photos.load import load_photo
from retail_seg.report import Report
from retail_seg.segmentation.instances.instances import Instances
from retail_seg.store.enrolment import Upload
from retail_seg.system.progress import OnProgress

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher
    from retail_seg.store.scanning import Scanned

#: The photo whose crops are the references, and the photo that is scanned.
REFERENCES, SCANNED = "IMG_20180105_175641.jpg", "IMG_20180105_175637.jpg"
ANNOTATIONS = "annotations.json"
CATEGORY = "Biscuits"


@dataclass(frozen=True)
class DemoShelf:
    """The shelf's photos as files (JPEG), what the store sells, and what the scanned photo shows.

    expected   number of facings by SKU of what is sold
    strangers  number of facings of products that are not sold
    """

    references: bytes
    scanned: bytes
    sold: tuple[Sold, ...]
    expected: Counter[str]
    strangers: int


def load_shelf() -> DemoShelf:
    """The photos and truth that are part of the package."""
    folder = files("retail_seg") / "demo" / "shelf"
    coco = json.loads((folder / ANNOTATIONS).read_text(encoding="utf-8"))
    references, scanned = ((folder / name).read_bytes() for name in (REFERENCES, SCANNED))
    images = {image["file_name"]: image for image in coco["images"]}
    shown = [one for one in coco["annotations"] if one["image_id"] == images[SCANNED]["id"] and not one["iscrowd"]]
    skus = {one["id"]: one.get("sku") for one in coco["categories"]}
    numbers = Counter(skus[one["category_id"]] for one in shown)
    strangers = numbers.pop(None, 0)
    return DemoShelf(references, scanned, tuple(_sold(coco, images[REFERENCES], references)), numbers, strangers)


def run_shelf_demo(store: Path, out: Path, *, say: Callable[[str], None] = print) -> DemoResult:
    """Make or reuse the store of the shelf's products, scan the other photo, write overlay, report and counts.

    The scan is kept in the store, where the app shows it. Raises StoreError where `store` is a folder that this demo
    did not make, or `out` is no folder.
    """
    check_folders(store, out, "shelf")
    shelf = load_shelf()
    with open_store(store, shelf.sold, "shelf", say) as matcher:
        say(f"Scanning {SCANNED}, taken four seconds before the photo of the references …")
        scanned = scan_into(matcher, SCANNED, shelf.scanned, load_photo(shelf.scanned, name=SCANNED), out)
        _keep(matcher, scanned, shelf.scanned)
    reports = (scanned.report,)
    write_reports(reports, out)
    return DemoResult(tuple(shelf_rows(shelf, scanned.report)), out / "photos", out / "overlays", reports)


def keep_samples(matcher: Matcher, on_progress: OnProgress) -> list[int]:
    """Scan both photos by the boxes that we drew, and keep the scans: a shelf to try naming on. Their numbers."""
    from retail_seg.scans.keeping import keep
    from retail_seg.store.embedding import embed_views
    from retail_seg.store.scanning import Scanned, outline

    require("staff")
    folder = files("retail_seg") / "demo" / "shelf"
    coco = json.loads((folder / ANNOTATIONS).read_text(encoding="utf-8"))
    kept = []
    for at, image in enumerate(coco["images"]):
        name, data = image["file_name"], (folder / image["file_name"]).read_bytes()
        on_progress(at / len(coco["images"]), f"{name}: recognising the products …")
        photo = load_photo(data, name=name)
        boxes = [one["bbox"] for one in coco["annotations"] if one["image_id"] == image["id"] and not one["iscrowd"]]
        labels = np.zeros(photo.shape[:2], np.int32)
        for number, box in sorted(enumerate(boxes, 1), key=lambda each: -each[1][2] * each[1][3]):
            x, y, w, h = (round(value) for value in box)
            labels[y : y + h, x : x + w] = number
        seen = outline(photo, Instances.from_labels(labels), name)
        vectors = embed_views(matcher.embedder, seen.views)
        found = Scanned(seen, vectors, matcher.report(photo, seen.instances, name))
        kept.append(keep(matcher, found, data=data, by=acting().name))
    return kept


def shelf_rows(shelf: DemoShelf, report: Report) -> list[Row]:
    """The table: products that the scanned photo shows or the report counts, then what is not in the catalogue."""
    rows = [
        Row(
            product.sku,
            product.name,
            shelf.expected[product.sku],
            report.counts.get(product.sku, 0),
            report.likely.get(product.sku, 0),
        )
        for product, _ in shelf.sold
    ]
    return [*(row for row in rows if row.expected or row.found or row.likely), strangers_row(shelf.strangers, [report])]


def _sold(coco: dict[str, Any], image: dict[str, Any], photo: bytes) -> list[Sold]:
    """The products whose crops are marked as references, with those crops."""
    return [
        (Product(one["sku"], one["name"], one["brand"], CATEGORY), _uploads(coco, one["id"], image, photo))
        for one in coco["categories"]
        if "sku" in one
    ]


def _uploads(coco: dict[str, Any], category: int, image: dict[str, Any], photo: bytes) -> list[Upload]:
    chosen = [one for one in coco["annotations"] if one["category_id"] == category and one.get("reference")]
    return [
        Upload(photo, name=f"{image['file_name']} crop {one['id']}", box=_shares(one["bbox"], image)) for one in chosen
    ]


def _shares(box: list[float], image: dict[str, Any]) -> tuple[float, float, float, float]:
    """A box x, y, width, height in pixels as shares x0, y0, x1, y1 of its image."""
    x, y, w, h = box
    width, height = image["width"], image["height"]
    return x / width, y / height, min(1.0, (x + w) / width), min(1.0, (y + h) / height)


def _keep(matcher: Matcher, scanned: Scanned, data: bytes) -> None:
    """Keep the scan, once for each segmenter."""
    from retail_seg.scans.keeping import keep
    from retail_seg.scans.review import list_scans

    before = list_scans(matcher, SCANNED, limit=1)
    if not before or before[0].scan.model != scanned.report.versions["segmenter"]:
        keep(matcher, scanned, data=data, by="demo")
