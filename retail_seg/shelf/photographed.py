"""Photos of a fixture as people send them: scanned, kept, held against a plan, the check kept with its photos."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

from catalogue import alerts as kept_alerts
from catalogue import check_photos, plans
from catalogue.checks import KeptCheck, SavedCheck
from catalogue.errors import UnknownScan
from catalogue.plan_records import Plan
from catalogue.plans import KeptPlan
from retail_seg.errors import AlertError, PhotoError, PlanError
from retail_seg.people.roles import require
from retail_seg.photos import quality
from retail_seg.photos.load import encode_picture, load_photo, shrink
from retail_seg.scans import keeping as scan_keeping
from retail_seg.scans.review import MAX_PHOTO_MB, photo_name, photo_of
from retail_seg.shelf import alerts, keeping, planning
from retail_seg.shelf.causes import ProductStock, StockFile, read_stock
from retail_seg.shelf.checking import CANDIDATES, check_scanned
from retail_seg.shelf.drawing import draw_check
from retail_seg.shelf.kept_results import result_of
from retail_seg.shelf.plan_files import PlanFile
from retail_seg.shelf.results import CheckResult, write_checks_csv
from retail_seg.system.progress import OnProgress

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher
    from retail_seg.store.scanning import Scanned

T = TypeVar("T")
#: Photos of one check, and the longer side of a photo as it is shown, in pixels.
MAX_PHOTOS, SHOWN_SIDE = 12, 1600


@dataclass(frozen=True)
class PhotoCheck:
    """A check of photos that was kept, None where no photo could be used, and sentences on what went wrong."""

    saved: SavedCheck | None = None
    failed: tuple[str, ...] = ()


def check_photos_of(
    matcher: Matcher,
    photos: Sequence[tuple[str, bytes]],
    plan_name: str,
    say: OnProgress,
    *,
    stock: Mapping[str, ProductStock] | None = None,
    labels: bool = False,
    shop: str = "",
) -> PhotoCheck:
    """Scan photo files of one fixture, hold them against a kept plan, keep scans and check in one change, and tell.

    `stock` and `labels` are as in `checking.check`. A photo that cannot be used fails alone. `say` hears of every stage
    and may end the work by raising; nothing is kept then. Raises UnknownPlan, NotAllowed for a viewer.
    """
    by = require("staff")
    _, plan = planning.load_plan(matcher, plan_name)
    taken = datetime.now(UTC).isoformat(timespec="seconds")
    scanned, failed = _scanned(matcher, photos, say)
    if not scanned:
        return PhotoCheck(failed=failed)
    say(0.9, "holding them against the plan")
    result = check_scanned(matcher, [one for one, _, _ in scanned], plan, stock, labels=labels)
    with matcher.catalogue.change():
        saved = keeping.keep_check(matcher, result, shop=shop, taken=taken)
        about = {"fixture": ", ".join(result.fixtures), "check": saved.id, "taken": taken}
        scans = [
            scan_keeping.keep(matcher, one, data=data, by=by, details={**about, "advice": advice})
            for one, data, advice in scanned
        ]
        check_photos.link(matcher.catalogue, saved.id, dict(enumerate(scans)))
    say(0.97, "telling what was found")
    return PhotoCheck(saved, (*failed, *_told(matcher)))


def _scanned(
    matcher: Matcher, photos: Sequence[tuple[str, bytes]], say: OnProgress
) -> tuple[list[tuple[Scanned, bytes, list[str]]], tuple[str, ...]]:
    """Each photo that can be used as it was scanned, with its file and advice on it; a sentence for each other."""
    found, failed = [], []
    for n, (given, data) in enumerate(photos[:MAX_PHOTOS]):
        name = photo_name(given)
        say(0.9 * n / min(len(photos), MAX_PHOTOS), f"{name}: finding and naming the products")
        try:
            if len(data) > MAX_PHOTO_MB * 2**20:
                raise PhotoError(f"{name}: is larger than {MAX_PHOTO_MB} MB; save it smaller")
            photo = load_photo(data, name=name)
            advice = [one.text for one in quality.check_photo(photo)]
            found.append((matcher.look(photo, name=name, top=CANDIDATES), data, advice))
        except PhotoError as error:
            failed.append(str(error))
    if len(photos) > MAX_PHOTOS:
        failed.append(f"{len(photos) - MAX_PHOTOS} photos were left out: give at most {MAX_PHOTOS} of one fixture")
    return found, tuple(failed)


def _told(matcher: Matcher) -> tuple[str, ...]:
    """Tell the targets of alerts, if there are any; what is wrong with them spoils no check."""
    if not kept_alerts.targets(matcher.catalogue):
        return ()
    try:
        return alerts.send_due(matcher).problems
    except AlertError as error:
        return (str(error),)


def receive_stock(name: str, data: bytes) -> StockFile:
    """A stock file that was uploaded; raises PlanError where it cannot be read at all."""
    return _on_disk(name, data, lambda path: read_stock([path]))


def receive_plan(
    matcher: Matcher, name: str, data: bytes, plan_name: str = "", *, starts: str = "", ends: str = ""
) -> tuple[PlanFile, int]:
    """Keep a plan of an uploaded file, as `planning.import_plan`. Only a manager may."""
    require("manager")
    return _on_disk(name, data, lambda path: planning.import_plan(matcher, path, plan_name, starts=starts, ends=ends))


def _on_disk(name: str, data: bytes, read: Callable[[Path], T]) -> T:
    """What `read` makes of a file of this name, in a folder that is there for the moment."""
    with TemporaryDirectory(prefix="retail-seg-") as folder:
        path = Path(folder) / (photo_name(name).lstrip(".") or "upload")
        path.write_bytes(data)
        return read(path)


# -- looking at checks


@dataclass(frozen=True)
class CheckView:
    """A kept check with its result, and the scans of its photos that are still there, by the photo's number."""

    check: KeptCheck
    result: CheckResult
    scans: dict[int, int]


def count_checks(matcher: Matcher) -> int:
    """How many checks `keeping.list_checks` pages through."""
    return check_photos.count_checks(matcher.catalogue)


def open_check(matcher: Matcher, number: int) -> CheckView:
    """A kept check to be looked at; raises UnknownCheck."""
    check, values = keeping.load_check(matcher, number)
    return CheckView(check, result_of(values), check_photos.scans_of(matcher.catalogue, number))


def overlay_jpeg(matcher: Matcher, view: CheckView, photo: int) -> bytes | None:
    """Photo number `photo` of a check with its places framed, as JPEG; None where the photo was not kept."""
    from catalogue import scans

    if photo not in view.scans:
        return None
    try:
        picture = photo_of(matcher, scans.load(matcher.catalogue, view.scans[photo]))
    except UnknownScan:
        return None
    return encode_picture(draw_check(shrink(picture, SHOWN_SIDE), view.result, photo), quality=88)


def check_json(view: CheckView) -> str:
    """The check as `retail-seg check` writes it, with its number, shop and time."""
    about = {"check": view.check.id, "shop": view.check.shop, "taken": view.check.taken, "by": view.check.by}
    return json.dumps({**about, **view.result.to_dict()}, ensure_ascii=False, indent=1)


def check_csv(view: CheckView) -> str:
    """A row per place."""
    table = io.StringIO()
    write_checks_csv([view.result], table)
    return table.getvalue()


# -- versions of plans


def plan_versions(matcher: Matcher, name: str) -> list[KeptPlan]:
    """All versions of a plan that are not taken out, newest first."""
    return plans.versions(matcher.catalogue, name)


def use_again(matcher: Matcher, name: str, version: int) -> int:
    """Make an older version of a plan the newest again; returns its new number. Only a manager may."""
    require("manager")
    row, plan = planning.load_plan(matcher, name, version)
    newest = plans.kept(matcher.catalogue, name)
    if newest.version == version:
        raise PlanError(f"version {version} of {name} is the newest already")
    return planning.keep_plan(
        matcher, replace(plan, version=0), source=f"version {version}", starts=row.starts, ends=row.ends
    )


def shelves_of(plan: Plan) -> dict[str, dict[int, list[Any]]]:
    """The positions of a plan by fixture and shelf, in reading order."""
    found: dict[str, dict[int, list[Any]]] = {}
    for one in plan.positions:
        found.setdefault(one.fixture, {}).setdefault(one.shelf, []).append(one)
    return found
