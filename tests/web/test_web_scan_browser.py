"""What only a real browser shows of the scan pages: taps on the picture and on a crop, zooming, the phone's width."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browser import chromium, low_contrast, new_page, no_traceback, running_app, settle

from retail_seg import Matcher
from retail_seg.photos.load import encode_picture
from retail_seg.rendering.assortment import demo_photos
from retail_seg.scans import review
from retail_seg.scans.review import Review

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


@pytest.fixture(scope="module")
def kept(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Review]:
    """A store with one scan, and the scan."""
    store = shutil.copytree(demo_folder / "store", tmp_path_factory.mktemp("scan-browser") / "store")
    photo = encode_picture(demo_photos(1)[0].scene.photo)
    with Matcher.open(store) as found:
        review.scan_photos(found, [("shelf.jpg", photo)], lambda share, text: None)
        return store, review.open_review(found, 1)


@pytest.fixture
def page(kept: tuple[Path, Review], tmp_path: Path) -> Iterator[Page]:
    with chromium() as browser, running_app(kept[0], log=tmp_path / "app.log") as address:
        page = new_page(browser, width=390, height=844)
        page.goto(f"{address}/scans?scan=1")
        page.get_by_text("Answered").wait_for()
        yield page
        no_traceback(page)


def picture(page: Page, number: int = 0) -> Locator:
    """The picture that can be tapped: the photo, or after it a crop."""
    found = page.frame_locator("iframe[title*=image_coordinates]").nth(number).locator("img")
    found.wait_for()
    return found


def tap(image: Locator, x: float, y: float) -> None:
    """Tap at shares of a picture's sides."""
    box = image.bounding_box()
    assert box is not None
    image.click(position={"x": x * box["width"], "y": y * box["height"]})


def test_a_phone_taps_an_instance_zooms_and_splits_it(page: Page, kept: tuple[Path, Review]) -> None:
    store, before = kept
    line = max(before.report.instances, key=lambda each: each.area)
    x = sum(point[0] for point in line.polygon) / len(line.polygon) / before.report.width
    y = sum(point[1] for point in line.polygon) / len(line.polygon) / before.report.height
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        page.reload()
        page.get_by_text("4×", exact=True).wait_for()
        settle(page)
        dark = page.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).colorScheme") == "dark"
        assert dark == (scheme == "dark") and low_contrast(page, 21.01) and not low_contrast(page)
    tap(picture(page), x, y)
    heading = page.get_by_role("heading", name=f"Number {line.id}")
    heading.wait_for()
    page.get_by_text("4×", exact=True).click()
    settle(page)
    # Zoomed in around what was picked, the middle of the picture is the same product.
    tap(picture(page), 0.5, 0.5)
    settle(page)
    heading.wait_for()
    page.get_by_text("Split: several products in one").click()
    along = ((0.5, 0.15), (0.5, 0.85)) if line.box[3] > line.box[2] else ((0.15, 0.5), (0.85, 0.5))
    for mark in along:
        crop = picture(page, 1)
        crop.scroll_into_view_if_needed()
        box = crop.bounding_box()
        assert box is not None and box["x"] + box["width"] <= 390
        tap(crop, *mark)
        page.get_by_role("button", name="Start again").wait_for()
        settle(page)
    page.get_by_role("button", name="Split into 2").click()
    page.get_by_text(f"split {line.id} into").first.wait_for()
    with Matcher.open(store) as found:
        assert review.open_review(found, 1).line(line.id) is None
