"""Photos of a fixture as people send them: scanned, kept with the check, linked; a check read back is the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from crash_workers import FINGERPRINTS, Patches, picture
from shelf_helpers import result_of

from catalogue import Catalogue, Product, check_photos, scans
from catalogue.errors import UnknownCheck, UnknownPlan
from retail_seg.errors import PlanError
from retail_seg.matcher import Matcher
from retail_seg.people.roles import NotAllowed, Person, acting_as
from retail_seg.photos.load import load_photo
from retail_seg.shelf import keeping, photographed, planning
from retail_seg.shelf.kept_results import result_of as read_back
from retail_seg.store.given_boxes import GivenBoxes
from retail_seg.store.opening import CATALOGUE
from retail_seg.system.jobs import JobCancelled

SIDE, GAP = 96, 14
FULL = ("ABCD", "EFGH")


def shelf(rows: tuple[str, ...]) -> tuple[bytes, tuple[tuple[int, int, int, int], ...]]:
    """A photo of products in rows, a blank for nothing, with the boxes of what stands there."""
    canvas = np.full((len(rows) * 160 + 60, 4 * (SIDE + GAP) + GAP, 3), 90, np.uint8)
    boxes = []
    for n, row in enumerate(rows):
        for k, sku in enumerate(row):
            if sku == " ":
                continue
            x, y = GAP + k * (SIDE + GAP), 40 + n * 160
            canvas[y : y + SIDE, x : x + SIDE] = cv2.resize(load_photo(picture(sku), name=sku), (SIDE, SIDE))
            boxes.append((x, y, SIDE, SIDE))
    return cv2.imencode(".png", canvas[:, :, ::-1])[1].tobytes(), tuple(boxes)


@pytest.fixture
def matcher(tmp_path: Path) -> Iterator[Matcher]:
    """A store with eight products whose segmenter knows where things are in the photos `full` and `gap`."""
    embedder, folder = Patches(FINGERPRINTS[0]), tmp_path / "store"
    catalogue = Catalogue.create(folder / CATALOGUE, embedder=embedder.fingerprint, dim=embedder.dim)
    boxes = {"full.png": shelf(FULL)[1], "gap.png": shelf(("AB D", "EFGH"))[1]}
    with Matcher(folder, catalogue, embedder, GivenBoxes("given", boxes, "0" * 12).as_segmenter()) as found:
        for sku in "".join(FULL):
            found.enrol(Product(sku, f"Product {sku}", "Alp"), [picture(sku)])
        yield found


def heard(share: float, text: str) -> None:
    assert 0 <= share <= 1 and text


def test_a_gap_in_a_photo_becomes_a_task_and_another_photo_ends_it(matcher: Matcher) -> None:
    full, gap = shelf(FULL)[0], shelf(("AB D", "EFGH"))[0]
    planning.keep_plan(matcher, planning.plan_of_report(matcher.look(full, name="full.png").report, "bay", "bay")[0])
    checked = photographed.check_photos_of(
        matcher, [("gap.png", gap), ("x/broken.jpg", b"no photo")], "bay", heard, shop="North"
    )
    assert checked.saved is not None and len(checked.saved.opened) == 1 and "broken.jpg" in checked.failed[0]
    view = photographed.open_check(matcher, checked.saved.id)
    assert view.check.shop == "North" and view.result.statuses["empty"] == 1 and view.result.statuses["ok"] == 7
    scan = scans.load(matcher.catalogue, view.scans[0])
    assert (scan.details["fixture"], scan.details["check"], scan.image) == ("bay", checked.saved.id, "gap.png")
    overlay = photographed.overlay_jpeg(matcher, view, 0)
    assert overlay is not None and load_photo(overlay, name="overlay").shape[1] == view.result.photos[0].width
    again = photographed.check_photos_of(matcher, [("full.png", full)], "bay", heard)
    assert again.saved is not None and again.saved.mended == checked.saved.opened
    assert keeping.load_task(matcher, checked.saved.opened[0]).closed_check == again.saved.id


def test_a_photo_that_was_deleted_leaves_the_check(matcher: Matcher) -> None:
    full = shelf(FULL)[0]
    planning.keep_plan(matcher, planning.plan_of_report(matcher.look(full, name="full.png").report, "bay", "bay")[0])
    saved = photographed.check_photos_of(matcher, [("full.png", full)], "bay", heard).saved
    assert saved is not None
    view = photographed.open_check(matcher, saved.id)
    scans.remove(matcher.catalogue, view.scans[0])
    assert photographed.overlay_jpeg(matcher, view, 0) is None  # the view is older than the deletion
    view = photographed.open_check(matcher, saved.id)
    assert view.scans == {} and photographed.overlay_jpeg(matcher, view, 0) is None
    assert "full.png" in photographed.check_json(view) and photographed.check_csv(view).count("\n") == 9


def test_work_that_is_ended_keeps_nothing(matcher: Matcher) -> None:
    full = shelf(FULL)[0]
    planning.keep_plan(matcher, planning.plan_of_report(matcher.look(full, name="full.png").report, "bay", "bay")[0])

    def end(share: float, text: str) -> None:
        if share >= 0.9:
            raise JobCancelled("ended")

    with pytest.raises(JobCancelled):
        photographed.check_photos_of(matcher, [("full.png", full)], "bay", end)
    assert scans.count(matcher.catalogue) == 0 and photographed.count_checks(matcher) == 0


def test_nothing_usable_no_plan_and_no_right(matcher: Matcher) -> None:
    with pytest.raises(UnknownPlan):
        photographed.check_photos_of(matcher, [], "nowhere", heard)
    planning.keep_plan(
        matcher, planning.plan_of_report(matcher.look(shelf(FULL)[0], name="full.png").report, "b", "b")[0]
    )
    assert photographed.check_photos_of(matcher, [("a.jpg", b"")], "b", heard).saved is None
    with acting_as(Person("vera", "viewer")), pytest.raises(NotAllowed):
        photographed.check_photos_of(matcher, [], "b", heard)
    with pytest.raises(UnknownCheck):
        photographed.open_check(matcher, 7)
    with pytest.raises(PlanError, match="newest already"):
        photographed.use_again(matcher, "b", 1)


@pytest.mark.parametrize("statuses", ["oooo", "lemw", "u-oe"])
def test_a_check_read_back_is_the_same(statuses: str) -> None:
    found = result_of(statuses)
    again = read_back(found.to_dict())
    assert again.to_dict() == found.to_dict() and again.findings == found.findings


def test_links_go_with_their_scan_only(matcher: Matcher) -> None:
    assert check_photos.scans_of(matcher.catalogue, 1) == {} and check_photos.count_checks(matcher.catalogue) == 0
