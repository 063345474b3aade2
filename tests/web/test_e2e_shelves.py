"""The page Shelves in a real browser, on a phone: a scan becomes a plan, a photo is checked, a task is done."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browser import chromium, low_contrast, new_page, no_traceback, running_app, settle
from shelf_helpers import kept

from retail_seg.matcher import Matcher
from retail_seg.photos.load import encode_picture
from retail_seg.rendering.assortment import demo_photos
from retail_seg.scans import review
from retail_seg.shelf import keeping, planning

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "shelf.jpg"
    path.write_bytes(encode_picture(demo_photos(1)[0].scene.photo))
    return path


@pytest.fixture(scope="module")
def store(demo_folder: Path, photo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one scan, and a check of another fixture that left a task."""
    found = shutil.copytree(demo_folder / "store", tmp_path_factory.mktemp("shelves") / "store")
    with Matcher.open(found) as matcher:
        assert review.scan_photos(matcher, [("shelf.jpg", photo.read_bytes())], lambda share, text: None).done
        kept(matcher, "eooo", "end")
    return found


@pytest.fixture(scope="module")
def page(store: Path) -> Iterator[Page]:
    with running_app(store, log=store.parent / "app.log") as address, chromium() as browser:
        found = new_page(browser, width=390)
        found.goto(f"{address}/scans?scan=1")
        yield found
        no_traceback(found)


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()
    settle(page)


def part(page: Page, name: str) -> None:
    page.get_by_role("radio", name=name).or_(page.get_by_role("button", name=name, exact=True)).first.click()
    settle(page)


def test_a_scan_becomes_the_plan_a_photo_is_checked_and_a_task_is_done(page: Page, store: Path, photo: Path) -> None:
    page.get_by_role("link", name="Make it a plan").click()
    page.get_by_role("heading", name="Shelves", exact=True).wait_for()
    settle(page)
    press(page, "This is the plan")
    page.get_by_role("heading", name="Shelf of scan 1", exact=True).wait_for()
    settle(page)
    assert page.locator(".shelf-grid .cell").count() >= 3 and not low_contrast(page)
    part(page, "Check")
    page.locator("input[type=file]").first.set_input_files(photo)
    press(page, "Check 1 photo")
    page.get_by_role("button", name="All checks").wait_for()
    settle(page)
    page.get_by_text("All that the photos show is as planned").wait_for()
    assert page.get_by_role("img", name="Photo shelf.jpg with its places framed").is_visible()
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390 and not low_contrast(page)
    press(page, "All checks")
    part(page, "Tasks")
    page.get_by_text("Almond milk is missing").wait_for()
    press(page, "Take")
    page.get_by_text("Task 1 is taken").wait_for()
    part(page, "taken")
    page.get_by_text("Task 1, taken").wait_for()
    press(page, "Done")
    page.get_by_text("Task 1 is done").wait_for()
    settle(page)
    with Matcher.open(store) as matcher:
        assert keeping.load_task(matcher, 1).state == "done"
        assert [plan.kind for plan in planning.list_plans(matcher)] == ["scan"]
    part(page, "Figures")
    page.get_by_text("On-shelf availability").wait_for()
    assert not low_contrast(page)
