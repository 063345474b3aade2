"""Boxes on the Teach page in a real browser, on a phone: drags that wait for nothing, taps that take proposals."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest
from browser import chromium, new_page, no_traceback, running_app, settle

from retail_seg import Matcher
from retail_seg.people.roles import acting_as, local_person
from retail_seg.photos.load import encode_picture
from retail_seg.rendering.assortment import demo_photos
from retail_seg.segmentation.boxes import IGNORE
from retail_seg.teaching import TaughtPhoto, Teaching

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDTH, HEIGHT = 390, 844
Point = tuple[float, float]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def teaching(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Teaching:
    """An annotation set with two photos of things on a table, 480 × 360 pixels."""
    store = tmp_path_factory.mktemp("boxes") / "store"
    Matcher.create(store).close()
    teaching = Teaching(store)
    with acting_as(local_person()):
        for photo in demo_photos(2, size=(360, 480)):
            teaching.add([(f"{photo.name}.jpg", encode_picture(photo.scene.photo))])
    return teaching


@pytest.fixture(scope="module")
def address(teaching: Teaching) -> Iterator[str]:
    with running_app(teaching.store, log=teaching.store.parent / "app.log") as found:
        yield found


@pytest.fixture
def phone(browser: Browser, address: str) -> Iterator[Callable[[TaughtPhoto], Page]]:
    """Opens a photo with the tool for boxes in hand."""
    page = new_page(browser, width=WIDTH, height=HEIGHT)

    def opened(photo: TaughtPhoto) -> Page:
        page.goto(f"{address}/teach?part=annotate&photo={photo.id}")
        page.locator(".annotator .stage").wait_for()
        settle(page)
        page.keyboard.press("b")
        page.locator(".annotator .stage[data-kind=boxes]").wait_for()
        settle(page)
        page.locator(".annotator .stage").evaluate("stage => stage.scrollIntoView({block: 'center'})")
        return page

    yield opened
    no_traceback(page)
    page.context.close()


def place(page: Page, photo: TaughtPhoto, point: Point) -> Point:
    """Where a pixel of the photo lies on the page."""
    box = page.locator(".annotator .stage").bounding_box()
    assert box is not None
    return box["x"] + box["width"] * point[0] / photo.width, box["y"] + box["height"] * point[1] / photo.height


def drag(page: Page, photo: TaughtPhoto, first: Point, last: Point) -> None:
    """A finger from one pixel of the photo to another."""
    touch = page.context.new_cdp_session(page)
    (x0, y0), (x1, y1) = place(page, photo, first), place(page, photo, last)
    for kind, points in (
        ("touchStart", [(x0, y0)]), ("touchMove", [((x0 + x1) / 2, (y0 + y1) / 2)]), ("touchMove", [(x1, y1)]),
        ("touchEnd", []),
    ):  # fmt: skip
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})
    touch.detach()


def until(teaching: Teaching, id_: str, holds: Callable[[TaughtPhoto], bool]) -> TaughtPhoto:
    """The photo as soon as something holds of it; what takes longer than two minutes has been lost."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if holds(teaching.photo(id_)):
            return teaching.photo(id_)
        time.sleep(0.1)
    raise AssertionError(f"it did not come: {teaching.photo(id_)}")


def test_boxes_are_drawn_one_after_the_other_without_waiting(
    phone: Callable[[TaughtPhoto], Page], teaching: Teaching
) -> None:
    photo = teaching.photos()[0]
    page = phone(photo)
    wanted = [(20 + 90 * i, 40, 95 + 90 * i, 160 + 20 * i) for i in range(5)]
    for x0, y0, x1, y1 in wanted:
        drag(page, photo, (x0, y0), (x1, y1))
    kept = until(teaching, photo.id, lambda now: now.instances == 5)
    for given, (x, y, w, h) in zip(wanted, kept.box_of.values(), strict=True):
        assert np.abs(np.subtract(given, (x, y, x + w, y + h))).max() <= 2
        number = next(n for n, box in kept.box_of.items() if box == (x, y, w, h))
        rows, columns = np.nonzero(teaching.labels(kept) == number)
        seen = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert np.abs(np.subtract(given, seen)).max() <= 2
    settle(page)
    page.locator(".annotator .stage").focus()
    for _ in range(3):  # each is an edit of its own, and each press counts
        page.keyboard.press("Control+z")
    until(teaching, photo.id, lambda now: now.instances == 2)
    for _ in range(2):
        page.keyboard.press("Control+y")
    until(teaching, photo.id, lambda now: now.instances == 4)
    settle(page)
    x, y = place(page, photo, (60, 100))
    page.touchscreen.tap(x, y)
    page.get_by_role("button", name="Delete").and_(page.locator(":enabled")).wait_for()
    page.locator(".annotator .stage[data-selected=true]").wait_for()  # its handles are there
    drag(page, photo, (95, 160), (125, 220))  # a corner of the selected one
    moved = until(teaching, photo.id, lambda now: now.box_of[1][3] > 150)
    assert np.abs(np.subtract(moved.box_of[1], (20, 40, 105, 180))).max() <= 3
    settle(page)
    page.locator(".annotator .stage").focus()
    page.keyboard.press("Delete")
    left = until(teaching, photo.id, lambda now: now.instances == 3)
    assert 1 not in left.box_of


def test_a_tap_takes_a_proposal_and_another_gives_it_back(
    phone: Callable[[TaughtPhoto], Page], teaching: Teaching
) -> None:
    photo = teaching.photos()[1]
    page = phone(photo)
    page.get_by_text("The model's proposals").click()
    settle(page)
    page.locator(".annotator .stage").evaluate("stage => stage.scrollIntoView({block: 'center'})")
    labels = demo_photos(2, size=(360, 480))[1].scene.labels
    rows, columns = np.nonzero(labels == np.bincount(labels[labels > 0]).argmax())
    x, y = place(page, photo, (float(np.median(columns)), float(np.median(rows))))
    page.touchscreen.tap(x, y)
    kept = until(teaching, photo.id, lambda now: now.instances == 1)
    left, top, width, height = kept.box_of[1]
    thing = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert np.abs(np.subtract(thing, (left, top, left + width, top + height))).max() < 30
    settle(page)
    page.touchscreen.tap(x, y)
    until(teaching, photo.id, lambda now: now.instances == 0)
    settle(page)
    page.get_by_role("button", name="Take all proposals").click()
    taken = until(teaching, photo.id, lambda now: now.instances > 2)
    assert len(taken.boxes) == taken.instances
    settle(page)
    page.get_by_text("Ignore this region").click()
    settle(page)
    page.locator(".annotator .stage").evaluate("stage => stage.scrollIntoView({block: 'center'})")
    drag(page, photo, (4, 4), (60, 40))
    until(teaching, photo.id, lambda now: bool((teaching.labels(now) == IGNORE).any()))
    assert teaching.photo(photo.id).instances == taken.instances
