"""What a store is made of, how long a scan takes in it, and the settings that a manager may change."""

from __future__ import annotations

import platform
import sqlite3
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from catalogue import scans
from index import Ranker
from index.errors import IndexingError
from retail_seg import __version__
from retail_seg.errors import StoreError
from retail_seg.people.roles import require, sign
from retail_seg.photos.draw import draw
from retail_seg.store.active_model import own_model
from retail_seg.store.gallery import LEARNED_FROM, RANKER, RATE, false_accept_rate

if TYPE_CHECKING:
    import numpy as np

    from retail_seg.matcher import Matcher
    from retail_seg.report import Report

#: Bounds of the false-accept rate: below, nearly all would be unknown; above, every second stranger would be taken.
LOWEST_RATE, HIGHEST_RATE = 0.0005, 0.5
#: Files and folders of a store, and what they hold.
PARTS = (
    ("catalogue.db", "products, pictures, vectors, scans"),
    ("index.faiss", "search index, can be rebuilt"),
    ("segmenter", "the store's own segmenter"),
    ("segmenter.previous", "the segmenter before it"),
    ("teaching", "annotated photos and trained models"),
    ("users.json", "who may log in"),
)
PACKAGES = ("numpy", "opencv-python-headless", "faiss-cpu", "openvino", "torch", "sqlite-utils", "streamlit")


@dataclass(frozen=True)
class Overview:
    """A store at one moment: (name, value) pairs by heading, and (part, what it holds, bytes) of its files."""

    facts: dict[str, list[tuple[str, str]]]
    sizes: list[tuple[str, str, int]]


def overview(matcher: Matcher) -> Overview:
    """What a store holds, what it answers with, and how large it is; counts come from SQL, no picture is read."""
    catalogue, model, embedder = matcher.catalogue, matcher.segmenter, matcher.embedder
    learned = catalogue.get_setting(RANKER)
    thresholds = ", ".join(f"{name} {value:g}" for name, value in model.thresholds.to_json().items())
    facts = {
        "Store": [
            ("Folder", str(matcher.folder.absolute())),
            ("Products", f"{catalogue.count_products():,}"),
            ("Reference pictures", f"{catalogue.count_references():,}"),
            ("Kept scans", f"{scans.count(catalogue):,}"),
            ("Revision", str(catalogue.revision)),
        ],
        "Segmenter": [
            ("Model", f"{model.name}:{model.fingerprint}"),
            ("From", "the store's own" if own_model(matcher.folder) else "shipped with the program"),
            ("Thresholds", thresholds),
        ],
        "Matching": [
            ("Embedder", f"{embedder.name}:{embedder.fingerprint}, {embedder.dim} numbers a vector"),
            ("Index", catalogue.get_setting("index") or "flat"),
            ("Learned from", f"{int(catalogue.get_setting(LEARNED_FROM) or 0):,} reference pictures"),
            ("Trials", _trials(learned)),
        ],
        "Versions": [("retail-seg", __version__), ("Python", platform.python_version()), *_versions()],
    }
    sizes = [(name, what, _bytes(matcher.folder / name)) for name, what in PARTS]
    return Overview(facts, [part for part in sizes if part[2]])


def rate_in_use(matcher: Matcher) -> float:
    """The share of missing products that may be taken for one of the catalogue's, see `set_false_accept_rate`."""
    return false_accept_rate(matcher.catalogue)


def set_false_accept_rate(matcher: Matcher, rate: float, *, by: str = "") -> None:
    """State how many missing products may be taken for one of the catalogue; learns from all references anew.

    `rate` is a share, 0.01 for 1 %. Some seconds at 25,000 products. Only a manager may; raises StoreError for a rate
    that is none.
    """
    by = sign("manager", by)
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise StoreError(
            f"A false-accept rate of {rate:g} does not do; give one from {LOWEST_RATE:g} to {HIGHEST_RATE:g}"
        )
    before = false_accept_rate(matcher.catalogue)
    with matcher.catalogue.logged(f"false-accept rate {before:g} -> {rate:g}", by=by):
        matcher.catalogue.set_setting(RATE, repr(float(rate)))
    matcher.reindex()


@dataclass(frozen=True, eq=False)
class Timed:
    """A scan that was not kept: its report, the overlay (H, W, 3) uint8, and (stage, seconds) in their order."""

    report: Report
    overlay: np.ndarray
    stages: list[tuple[str, float]]


def timed_scan(matcher: Matcher, data: bytes, name: str) -> Timed:
    """Scan a photo's bytes and say how long each stage took; nothing is kept.

    Raises PhotoError, NotAllowed for a viewer.
    """
    require("staff")
    _ = matcher.segmenter  # loaded before the clock runs, as it is in every scan but the first
    clock: list[tuple[str, float]] = []
    scanned = matcher.look(data, name=name, on_stage=lambda stage: clock.append((stage, time.perf_counter())))
    begun, ended = dict(clock), time.perf_counter()
    stages = [
        ("Read the photo", begun["segment"] - begun["decode"]),
        ("Take things apart", begun["cut"] - begun["segment"]),
        (f"Name {len(scanned.report.instances)} of them", ended - begun["cut"]),
    ]
    return Timed(scanned.report, draw(scanned.seen.picture, scanned.report), stages)


def _trials(ranker: str | None) -> str:
    if not ranker:
        return "none yet: too few reference pictures"
    try:
        trials = Ranker.from_bytes(ranker.encode()).calibration.trials
    except IndexingError:
        return "learned by another version of the program; `retail-seg reindex` learns anew"
    return ", ".join(f"{count} {name}" for name, count in trials.items()) or "none yet"


def _versions() -> list[tuple[str, str]]:
    found = [("SQLite", sqlite3.sqlite_version)]
    for package in PACKAGES:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            found.append((package, "not installed"))
    return found


def _bytes(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
