"""A demo that needs nothing: rendered products become a store, rendered photos are scanned, truth beside result."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import retail_seg
from catalogue import Product
from retail_seg.errors import StoreError
from retail_seg.photos.draw import draw
from retail_seg.photos.load import encode_picture
from retail_seg.rendering.assortment import Article, DemoPhoto, articles, demo_photos, references
from retail_seg.report import Report, write_counts_csv
from retail_seg.store.enrolment import Upload
from retail_seg.system.files import replace_file, whole_file

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher

#: Lies in a store that the demo made; a folder without it is somebody's own and is not touched.
MARKER = "demo.json"


@dataclass(frozen=True)
class Row:
    """One line of the demo's table: a product, how many the photos show, and how many are surely or likely it.

    The line of what is not in the catalogue has those that are unknown as `found`.
    """

    sku: str
    title: str
    expected: int
    found: int
    likely: int = 0


@dataclass(frozen=True)
class DemoResult:
    """What the demo did: the table, the facings counted right, and the folders it wrote."""

    rows: tuple[Row, ...]
    photos: Path
    overlays: Path
    reports: tuple[Report, ...]

    @property
    def counted_right(self) -> int:
        """Facings that were expected and are sure or likely; what is too many counts for nothing."""
        return sum(min(row.expected, row.found + row.likely) for row in self.rows)

    @property
    def expected(self) -> int:
        return sum(row.expected for row in self.rows)


def run_demo(store: Path, out: Path, *, photos: int = 4, say: Callable[[str], None] = print) -> DemoResult:
    """Make or reuse the demo store, render photos into `out`, scan them and write overlays, reports and counts.

    Raises StoreError where `store` is a folder that the demo did not make, or `out` is no folder.
    """
    _check(store, out)
    with open_demo_store(store, say) as matcher:
        say(f"Rendering {photos} photos into {out / 'photos'} …")
        shown = demo_photos(photos)
        reports = _scan(matcher, shown, out)
    with whole_file(out / "counts.csv") as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        write_counts_csv(reports, file)
    replace_file(out / "report.jsonl", "".join(report.to_json() + "\n" for report in reports).encode())
    return DemoResult(tuple(_rows(shown, reports)), out / "photos", out / "overlays", tuple(reports))


def open_demo_store(store: Path, say: Callable[[str], None] = print) -> Matcher:
    """The demo store, made, completed or brought to the installed embedder where that is needed; close it after use."""
    from retail_seg.matcher import Matcher
    from retail_seg.store.opening import CATALOGUE

    sold = articles()
    if not (store / CATALOGUE).exists():
        say(f"Making the store {store} with {len(sold)} products …")
        Matcher.create(store).close()
        replace_file(store / MARKER, json.dumps({"made_by": "retail-seg demo"}).encode())
    try:
        matcher = Matcher.open(store)
    except StoreError:
        say(f"{store}: was made with other weights; embedding its references again …")
        Matcher.reindex_store(store)
        matcher = Matcher.open(store)
    before = matcher.catalogue.count_references()
    matcher.enrol_all(((_product(article), _uploads(article)) for article in sold), by="demo")
    added = matcher.catalogue.count_references() - before
    if added:
        matcher.reindex()  # learns from all references, not only from those that were there at the last refit
    say(f"{store}: {len(sold)} products; {added} reference pictures added, {before} were there already")
    return matcher


def check_store(store: Path) -> None:
    """Raises StoreError where the folder holds no store."""
    from retail_seg.store.opening import CATALOGUE

    if not (store / CATALOGUE).is_file():
        raise StoreError(f"{store}: holds no store; make one with `retail-seg init` or `retail-seg demo`")


def app_file() -> Path:
    """The app's script, which is installed beside the package, whatever the working directory is."""
    found = Path(retail_seg.__file__).resolve().parent.parent / "app.py"
    if not found.is_file():
        raise StoreError(f"{found}: the app is missing from this installation; install retail-seg again")
    return found


def table(result: DemoResult) -> list[str]:
    """The demo's table as lines of text."""
    width = max(len(row.title) for row in result.rows)
    lines = [f"{'product':<{width}}  expected  sure  likely"]
    for row in result.rows:
        over = row.found + row.likely - row.expected
        note = f"   {over:+d}" if over else ""
        lines.append(f"{row.title:<{width}}  {row.expected:8d}  {row.found:4d}  {row.likely:6d}{note}")
    return lines


def _check(store: Path, out: Path) -> None:
    if store.exists() and (not store.is_dir() or (any(store.iterdir()) and not (store / MARKER).is_file())):
        raise StoreError(f"{store}: was not made by the demo, so it is left alone; give another --store")
    if out.exists() and not out.is_dir():
        raise StoreError(f"{out}: is a file; give a folder as --out")


def _product(article: Article) -> Product:
    design = article.design
    name = f"{design.brand} {design.name} {design.flavour} {design.weight}"
    return Product(article.sku, name, design.brand, design.line)


def _uploads(article: Article) -> list[Upload]:
    return [
        Upload(picture, name=f"{article.sku} view {number}", mask=mask)
        for number, (picture, mask) in enumerate(references(article), 1)
    ]


def _scan(matcher: Matcher, shown: Sequence[DemoPhoto], out: Path) -> list[Report]:
    """Scan what was written as JPEG, as a user's photo would be."""
    reports = []
    for photo in shown:
        path = out / "photos" / f"{photo.name}.jpg"
        data = encode_picture(photo.scene.photo, quality=90)
        replace_file(path, data)
        report = matcher.scan(data, name=path.name)
        overlay = draw(photo.scene.photo, report)
        replace_file(out / "overlays" / path.name, encode_picture(overlay, quality=88))
        reports.append(report)
    return reports


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
    strangers = sum(photo.strangers for photo in shown)
    return [*rows, Row("", "not in the catalogue (unknown)", strangers, sum(report.unknown for report in reports))]
