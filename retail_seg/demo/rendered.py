"""The demo of rendered products: whatever is on a photo is known to the pixel. The tests' store is made by it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from catalogue import Product
from retail_seg.demo.making import (
    DemoResult,
    Row,
    check_folders,
    open_store,
    scan_into,
    strangers_row,
    write_reports,
)
from retail_seg.photos.load import encode_picture
from retail_seg.rendering.assortment import Article, DemoPhoto, articles, demo_photos, references
from retail_seg.report import Report
from retail_seg.store.enrolment import Upload


def run_demo(store: Path, out: Path, *, photos: int = 4, say: Callable[[str], None] = print) -> DemoResult:
    """Make or reuse the demo store, render photos into `out`, scan them and write overlays, reports and counts.

    Raises StoreError where `store` is a folder that this demo did not make, or `out` is no folder.
    """
    check_folders(store, out, "rendered")
    sold = [(_product(article), _uploads(article)) for article in articles()]
    with open_store(store, sold, "rendered", say) as matcher:
        say(f"Rendering {photos} photos into {out / 'photos'} …")
        shown = demo_photos(photos)
        # As JPEG, as a user's photo would be.
        files = [(f"{one.name}.jpg", encode_picture(one.scene.photo, quality=90), one.scene.photo) for one in shown]
        reports = [scan_into(matcher, *file, out).report for file in files]
    write_reports(reports, out)
    return DemoResult(tuple(_rows(shown, reports)), out / "photos", out / "overlays", tuple(reports))


def _product(article: Article) -> Product:
    design = article.design
    name = f"{design.brand} {design.name} {design.flavour} {design.weight}"
    return Product(article.sku, name, design.brand, design.line)


def _uploads(article: Article) -> list[Upload]:
    return [
        Upload(picture, name=f"{article.sku} view {number}", mask=mask)
        for number, (picture, mask) in enumerate(references(article), 1)
    ]


def _rows(shown: Sequence[DemoPhoto], reports: Sequence[Report]) -> list[Row]:
    expected, found, likely = Counter[str](), Counter[str](), Counter[str]()
    for photo, report in zip(shown, reports, strict=True):
        expected.update(photo.expected)
        found.update(report.counts)
        likely.update(report.likely)
    rows = [
        Row(article.sku, article.design.title, expected[article.sku], found[article.sku], likely[article.sku])
        for article in articles()
        if expected[article.sku] or found[article.sku] or likely[article.sku]
    ]
    return [*rows, strangers_row(sum(photo.strangers for photo in shown), reports)]
