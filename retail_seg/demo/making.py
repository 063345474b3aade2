"""What both demos do: a store made or found again, photos and overlays written, a table of truth beside result."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import retail_seg
from catalogue import Product
from retail_seg.errors import StoreError
from retail_seg.photos.draw import draw
from retail_seg.photos.load import encode_picture
from retail_seg.products import browsing
from retail_seg.report import Report, write_counts_csv
from retail_seg.store.enrolment import Upload
from retail_seg.system.files import replace_file, whole_file

if TYPE_CHECKING:
    import numpy as np

    from retail_seg.matcher import Matcher
    from retail_seg.store.scanning import Scanned

#: Lies in a store that the demo made; a folder without it is somebody's own and is not touched.
MARKER = "demo.json"
#: What a demo's products are: of a real shelf, or drawn by a program.
Kind = Literal["shelf", "rendered"]
#: A product with its pictures.
Sold = tuple[Product, Sequence[Upload]]


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
        """Facings of the store's products that were expected and are sure or likely; too many count for nothing."""
        return sum(min(row.expected, row.found + row.likely) for row in self.rows if row.sku)

    @property
    def too_many(self) -> int:
        """Facings of the store's products that are sure or likely beyond those that are there."""
        return sum(max(row.found + row.likely - row.expected, 0) for row in self.rows if row.sku)

    @property
    def expected(self) -> int:
        """Facings of the store's products in the photos."""
        return sum(row.expected for row in self.rows if row.sku)


def check_folders(store: Path, out: Path, kind: Kind) -> None:
    """Raises StoreError where `store` is no store of this kind of demo, or `out` is no folder."""
    if store.exists() and (not store.is_dir() or (any(store.iterdir()) and not (store / MARKER).is_file())):
        raise StoreError(f"{store}: was not made by the demo, so it is left alone; give another --store")
    if (store / MARKER).is_file() and _kind(store) != kind:
        raise StoreError(f"{store}: holds the other demo's products; give another --store, or delete it first")
    if out.exists() and not out.is_dir():
        raise StoreError(f"{out}: is a file; give a folder as --out")


def _kind(store: Path) -> str:
    """The kind of demo that made a store; those of earlier versions were rendered, and say nothing."""
    try:
        said = json.loads((store / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise StoreError(f"{store / MARKER}: cannot be read; delete {store}, the demo makes it again") from None
    return str(said.get("kind", "rendered")) if isinstance(said, dict) else "rendered"


def open_store(store: Path, sold: Sequence[Sold], kind: Kind, say: Callable[[str], None] = print) -> Matcher:
    """The demo store, made, completed or brought to the installed embedder where that is needed; close it after use."""
    from retail_seg.matcher import Matcher
    from retail_seg.store.opening import CATALOGUE

    if not (store / CATALOGUE).exists():
        say(f"Making the store {store} with {len(sold)} products …")
        Matcher.create(store).close()
        replace_file(store / MARKER, json.dumps({"made_by": "retail-seg demo", "kind": kind}).encode())
    try:
        matcher = Matcher.open(store)
    except StoreError:
        say(f"{store}: was made with other weights; embedding its references again …")
        Matcher.reindex_store(store)
        matcher = Matcher.open(store)
    before = browsing.count_references(matcher)
    matcher.enrol_all(sold, by="demo")
    added = browsing.count_references(matcher) - before
    if added:
        matcher.reindex()  # learns from all references, not only from those that were there at the last refit
    say(f"{store}: {len(sold)} products; {added} reference pictures added, {before} were there already")
    return matcher


def scan_into(matcher: Matcher, name: str, data: bytes, photo: np.ndarray, out: Path) -> Scanned:
    """Scan a JPEG, the file of `photo` (H, W, 3) uint8; it and its overlay are written to folders in `out`."""
    replace_file(out / "photos" / name, data)
    scanned = matcher.look(data, name=name)
    replace_file(out / "overlays" / name, encode_picture(draw(photo, scanned.report), quality=88))
    return scanned


def write_reports(reports: Iterable[Report], out: Path) -> None:
    """`counts.csv` and `report.jsonl` in the folder `out`."""
    reports = list(reports)
    with whole_file(out / "counts.csv") as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        write_counts_csv(reports, file)
    replace_file(out / "report.jsonl", "".join(report.to_json() + "\n" for report in reports).encode())


def table(result: DemoResult) -> list[str]:
    """The demo's table as lines of text."""
    width = max(len(row.title) for row in result.rows)
    lines = [f"{'product':<{width}}  expected  sure  likely"]
    for row in result.rows:
        over = row.found + row.likely - row.expected
        note = f"   {over:+d}" if over else ""
        lines.append(f"{row.title:<{width}}  {row.expected:8d}  {row.found:4d}  {row.likely:6d}{note}")
    return lines


def strangers_row(expected: int, reports: Iterable[Report]) -> Row:
    """The table's last line: what is in the photos and not in the catalogue, and what was called unknown."""
    return Row("", "not in the catalogue (unknown)", expected, sum(report.unknown for report in reports))


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
