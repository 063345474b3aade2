"""What a store is made of, how long a scan takes in it, and the settings that a manager may change."""

from __future__ import annotations

import platform
import sqlite3
import time
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from catalogue import scans
from index import Ranker
from index.errors import IndexingError
from retail_seg import __version__
from retail_seg.people.roles import require, sign
from retail_seg.photos.draw import draw
from retail_seg.store.active_model import own_model
from retail_seg.store.following import Followed, followed_by
from retail_seg.store.gallery import CHECKED_SINCE, LEARNED_FROM, RANKER
from retail_seg.store.policy import LIKELY_FROM, PRECISION, RATE, STRANGERS, measured_strangers, policy_of

if TYPE_CHECKING:
    import numpy as np

    from catalogue import Catalogue
    from index.calibration import Policy
    from retail_seg.matcher import Matcher
    from retail_seg.report import Report

#: Files and folders of a store, and what they hold.
PARTS = (
    ("catalogue.db", "products, pictures, vectors, scans"),
    ("index.faiss", "search index, can be rebuilt"),
    ("segmenter", "the store's own segmenter"),
    ("segmenter.previous", "the segmenter before it"),
    ("teaching", "annotated photos and trained models"),
    ("chain", "the centre's segmenter, and the way back to its last snapshot"),
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
            *_following(followed_by(catalogue)),
        ],
        "Segmenter": [
            ("Model", f"{model.name}:{model.fingerprint}"),
            ("From", _origin(matcher)),
            ("Thresholds", thresholds),
        ],
        "Matching": [
            ("Embedder", f"{embedder.name}:{embedder.fingerprint}, {embedder.dim} numbers a vector"),
            ("Index", catalogue.get_setting("index") or "flat"),
            ("Learned from", f"{int(catalogue.get_setting(LEARNED_FROM) or 0):,} reference pictures"),
            ("Trials", _trials(learned)),
            ("Strangers expected", _strangers(catalogue)),
            *_measured(learned, catalogue.get_setting(CHECKED_SINCE) or ""),
        ],
        "Versions": [("retail-seg", __version__), ("Python", platform.python_version()), *_versions()],
    }
    sizes = [(name, what, _bytes(matcher.folder / name)) for name, what in PARTS]
    return Overview(facts, [part for part in sizes if part[2]])


def _following(stands: Followed | None) -> list[tuple[str, str]]:
    """Which centre a store follows, and where it stands; nothing for one that follows nobody."""
    if stands is None:
        return []
    where = f"snapshot {stands.label} of {stands.made[:16]}, last heard {stands.heard[:16]}"
    return [("Follows", stands.source), ("Stands on", where)]


def _origin(matcher: Matcher) -> str:
    if followed_by(matcher.catalogue) is not None:
        return "the centre"
    return "the store's own" if own_model(matcher.folder) else "shipped with the program"


def stated_policy(matcher: Matcher) -> Policy:
    """What is sure, likely and unknown in a store, see `state_policy`."""
    return policy_of(matcher.catalogue)


def state_policy(matcher: Matcher, policy: Policy, *, by: str = "") -> None:
    """State how precise sure answers are to be, what is likely, and how many strangers a shop expects.

    Nothing is learned anew: the next answer of every process goes by it. Only a manager may.
    """
    by = sign("manager", by)
    before = policy_of(matcher.catalogue)
    changed = {name: value for name, value in asdict(policy).items() if value != getattr(before, name)}
    if not changed:
        return
    keys = {"precision": PRECISION, "likely": LIKELY_FROM, "strangers": STRANGERS, "ceiling": RATE}
    kept = {keys[name]: "" if value is None else repr(float(value)) for name, value in changed.items()}
    with matcher.catalogue.logged(f"certainty stated: {_told(changed)}", by=by):
        matcher.catalogue.set_settings(kept)
    matcher.restate()


def _told(changed: dict[str, float | None]) -> str:
    return ", ".join(f"{name} {'none' if value is None else f'{value:g}'}" for name, value in changed.items())


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


def _strangers(catalogue: Catalogue) -> str:
    """The share of crops that is expected to show no product of the catalogue, and who says so."""
    if catalogue.get_setting(STRANGERS):
        why = "as stated"
    elif measured_strangers(catalogue) is not None:
        why = "as measured on checked scans"
    else:
        why = "as long as nothing else is stated or measured"
    return f"{policy_of(catalogue).strangers:.1%}, {why}"


def _measured(ranker: str | None, since: str) -> list[tuple[str, str]]:
    """How right checked answers were, for those called sure and for those called likely, with 95 % bounds."""
    try:
        found = Ranker.from_bytes(ranker.encode()).calibration.measured if ranker else {}
    except IndexingError:
        return []
    told = {name: one for name, one in found.items() if one.share is not None}
    if not told:
        return [("Measured precision", "none yet: confirm or correct facings under Scans, then `retail-seg reindex`")]
    days = f", since {since[:10]}" if since else ""
    return [
        (
            f"Measured precision of {name}",
            f"{one.share:.0%} ({one.low:.0%} to {one.high:.0%}): {one.right} of {one.count} checked answers{days}",
        )
        for name, one in told.items()
    ]


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
