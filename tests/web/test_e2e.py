"""The app as people use it, in a real browser: staff scan and correct, a manager imports, an annotator teaches."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from browser import PATIENCE, chromium, log_in, new_page, no_traceback, running_app, settle
from people_helpers import add_user

from catalogue.history import log
from retail_seg.people import users
from retail_seg.people.roles import acting_as, local_person
from retail_seg.photos.load import encode_picture
from retail_seg.rendering.assortment import demo_photos
from retail_seg.runs.reading import Runs
from retail_seg.runs.record import origin_of
from retail_seg.store.opening import open_catalogue
from retail_seg.teaching import Teaching

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

PASSWORD = "correct horse"
ROLES = {"mara": "manager", "stan": "staff", "vera": "viewer"}
Visit = Callable[..., "Page"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def store(browser: Browser, demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with three users, and two finished photos of the three that a training needs."""
    found = shutil.copytree(demo_folder / "store", tmp_path_factory.mktemp("e2e") / "store")
    with pytest.MonkeyPatch.context() as patch, acting_as(local_person()):
        patch.setattr(users, "SCRYPT", {"n": 16, "r": 1, "p": 1})
        for name, role in ROLES.items():
            add_user(found, name, role, PASSWORD)
        teaching = Teaching(found)
        for photo in demo_photos(3, size=(360, 480))[1:]:
            (id_,) = teaching.add([(f"{photo.name}.jpg", encode_picture(photo.scene.photo))]).ids
            labels = photo.scene.labels
            teaching.edit(id_, lambda ids, labels=labels: labels)
            teaching.finish(id_, True)
    return found


@pytest.fixture(scope="module")
def address(store: Path) -> Iterator[str]:
    with running_app(store, log=store.parent / "app.log") as found:
        yield found


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    """Opens a page of the app as somebody; what went wrong in it must not have been a traceback."""
    pages: list[Page] = []

    def visit(name: str, path: str = "/", *, width: int = 1440) -> Page:
        page = new_page(browser, width=width)
        pages.append(page)
        log_in(page, address + path, name, PASSWORD)
        settle(page)
        return page

    yield visit
    for page in pages:
        no_traceback(page)
        page.context.close()


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "shelf.jpg"
    path.write_bytes(encode_picture(demo_photos(1)[0].scene.photo))
    return path


def choose(page: Page, label: str, number: int) -> None:
    """Take an entry of a select box by its place in the list."""
    option = page.get_by_role("option").nth(number)
    for _ in range(10):  # a run of the script that ends just now closes the list again
        settle(page)
        page.get_by_role("combobox", name=label).click()
        page.wait_for_timeout(500)
        if option.is_visible():
            break
    option.click()
    settle(page)


def press(page: Page, name: str, *, exact: bool = False) -> None:
    page.get_by_role("button", name=name, exact=exact).click()
    settle(page)


def test_staff_scan_correct_and_export(visit: Visit, address: str, store: Path, photo: Path, tmp_path: Path) -> None:
    page = visit("stan", width=390)
    page.locator("input[type=file]").first.set_input_files(photo)
    page.get_by_text("Products known").wait_for()
    settle(page)
    choose(page, "Look at", 0)
    page.get_by_text("Another product: search").click()
    page.get_by_label("Name, SKU or GTIN").fill("a")
    page.get_by_label("Name, SKU or GTIN").press("Enter")
    page.get_by_text("Found", exact=True).wait_for()
    settle(page)
    page.locator("[data-testid=stButton] button").filter(has_text="Apply").click()
    page.get_by_text("stan: ").first.wait_for()
    settle(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Counts (CSV)").click()
    rows = list(csv.DictReader(Path(download.value.path()).read_text(encoding="utf-8").splitlines()))
    assert rows and {row["image"] for row in rows} == {"shelf.jpg"}
    with open_catalogue(store) as catalogue:
        decided = catalogue.db.execute("SELECT scan_id, sku FROM instances WHERE decided_by = 'stan'").fetchall()
    assert decided and decided[0][1] in {row["sku"] for row in rows}
    # The scan has an address of its own: a reload, or another day, finds it again.
    page.goto(f"{address}/scans?scan={decided[0][0]}")
    page.get_by_text("stan: ").first.wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Everything (JSON)").click()
    assert json.loads(Path(download.value.path()).read_text(encoding="utf-8"))["image"] == "shelf.jpg"


def test_a_manager_imports_and_takes_it_back(visit: Visit, store: Path, tmp_path: Path) -> None:
    table = tmp_path / "products.csv"
    table.write_text("sku,name,brand\nE2E-1,Lemonade,Solvita\nE2E-2,=1+1,Marisol\n,No number,\n", encoding="utf-8")
    page = visit("mara", "/import")
    page.locator("input[type=file]").set_input_files(table)
    page.get_by_role("button", name="Import 2 products").click()
    page.get_by_text("2 products were added or changed").wait_for()
    page.reload()  # the address finds it again, and the login holds
    page.get_by_text("2 products were added or changed").wait_for()
    with open_catalogue(store) as catalogue:
        assert catalogue.product("E2E-2").name == "=1+1"
        assert log(catalogue, sku="E2E-1")[0].by == "mara"
    settle(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="All lines (CSV)").click()
    assert ",=1+1" not in Path(download.value.path()).read_text(encoding="utf-8")  # no formula starts a cell
    press(page, "Take this import back")
    page.get_by_role("button", name="Take it back").click()
    page.get_by_text("2 changes were taken back").wait_for()
    with open_catalogue(store) as catalogue:
        assert catalogue.find_product("E2E-1") is None and catalogue.find_product("E2E-2") is None


def test_an_annotator_annotates_trains_and_switches(visit: Visit, store: Path, tmp_path: Path) -> None:
    scene = demo_photos(1, size=(360, 480))[0].scene
    path = tmp_path / "table.jpg"
    path.write_bytes(encode_picture(scene.photo))
    page = visit("mara", "/teach")
    _annotate(page, path)
    _draw_box(page, scene.labels)
    page.get_by_text("Every thing is outlined").click()
    settle(page)
    press(page, "To the training")
    page.get_by_text("More settings").click()
    page.get_by_label("Steps instead of minutes").fill("2")
    page.get_by_label("Steps instead of minutes").press("Enter")
    settle(page)
    page.get_by_role("button", name="Start the training").click()
    page.get_by_text("A training is under way").wait_for()
    page.get_by_role("button", name="Compare with the model in use").click(timeout=4 * PATIENCE)
    settle(page)
    press(page, "Use this model from now on")
    page.get_by_text("This model is the one in use").wait_for()
    assert (store / "segmenter" / "weights.safetensors").is_file()
    origin = origin_of(store / "segmenter")  # on record like a training of the command line, which can use it, too
    assert origin is not None and Runs().find(origin.id).by == "mara"
    press(page, "Switch back to the one before")
    page.get_by_text("Switched back").wait_for()
    with open_catalogue(store) as catalogue:
        told = [(change.by, change.action.split()[:2]) for change in log(catalogue, limit=2)]
    assert told == [("mara", ["use", "model"])] * 2


def _annotate(page: Page, path: Path) -> Locator:
    """Adds a photo to the annotation set and opens it; the picture that is drawn on."""
    page.locator("input[type=file]").first.set_input_files(path)
    page.get_by_text("1 photo added").wait_for()
    press(page, "Annotate")
    stage = page.locator(".annotator .stage")
    stage.wait_for()
    settle(page)
    return stage


def _corners(page: Page, labels: np.ndarray) -> list[tuple[float, float]]:
    """Where on the page two corners of a box around the first thing of a photo lie, with some room."""
    rows, columns = (labels == labels[labels > 0].min()).nonzero()
    height, width = labels.shape
    box = page.locator(".annotator .stage").bounding_box()
    assert box is not None
    x = [box["x"] + box["width"] * min(max(c / width, 0.01), 0.99) for c in (columns.min() - 4, columns.max() + 4)]
    y = [box["y"] + box["height"] * min(max(r / height, 0.01), 0.99) for r in (rows.min() - 4, rows.max() + 4)]
    return list(zip(x, y, strict=True))


def _drawn(page: Page) -> None:
    """Waits until what was drawn has been taken."""
    page.get_by_role("button", name="Undo").and_(page.locator(":enabled")).wait_for()
    settle(page)


def _draw_box(page: Page, labels: np.ndarray) -> None:
    """A box around the first thing of a photo, as a person draws it with a mouse."""
    first, last = _corners(page, labels)
    page.mouse.move(*first)
    page.mouse.down()
    page.mouse.move(*last, steps=5)
    page.mouse.up()
    _drawn(page)


def test_a_finger_draws_on_a_phone(visit: Visit, store: Path, tmp_path: Path) -> None:
    """A drag outlines the thing and does not move the page, and a second finger changes nothing."""
    scene = demo_photos(4, size=(360, 480))[3].scene
    path = tmp_path / "phone.jpg"
    path.write_bytes(encode_picture(scene.photo))
    page = visit("mara", "/teach", width=390)
    stage = _annotate(page, path)
    stage.evaluate("stage => stage.scrollIntoView({block: 'center'})")
    before = stage.bounding_box()
    first, last = _corners(page, scene.labels)
    touch = page.context.new_cdp_session(page)

    def fingers(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", first)
    fingers("touchStart", first, last)
    for share in (0.25, 0.5, 0.75, 1.0):
        there = [a + share * (b - a) for a, b in zip(first, last, strict=True)]
        fingers("touchMove", (there[0], there[1]), first)
    fingers("touchEnd")
    _drawn(page)
    assert stage.bounding_box() == before, "the page stays where it is"
    teaching = Teaching(store)
    drawn = teaching.labels(next(photo for photo in teaching.photos() if photo.name == path.name))
    thing = scene.labels == scene.labels[scene.labels > 0].min()
    found = drawn > 0
    assert (thing & found).sum() / (thing | found).sum() > 0.5


def test_a_viewer_looks_and_is_refused(visit: Visit, address: str) -> None:
    page = visit("vera")
    page.get_by_text("You are viewer").wait_for()
    assert page.locator("input[type=file]").count() == 0
    page.goto(f"{address}/import")
    page.get_by_text("This page is for the role manager").wait_for()
    assert page.locator("input[type=file]").count() == 0
    page.goto(f"{address}/products")
    page.get_by_label("Search").wait_for()
    assert page.get_by_role("button", name="New product").count() == 0
    page.goto(f"{address}/settings")
    page.get_by_role("tab", name="Matching").click()
    page.get_by_text("A manager can change this").wait_for()
    press(page, "Log out")
    page.get_by_role("heading", name="Log in").wait_for()
    page.reload()
    page.get_by_role("heading", name="Log in").wait_for()


def test_nobody_gets_in_without_the_password(browser: Browser, address: str) -> None:
    page = new_page(browser)
    page.goto(f"{address}/products")
    page.get_by_label("Name", exact=True).fill("mara")
    page.get_by_label("Password", exact=True).fill("wrong horse")
    page.get_by_role("button", name="Log in", exact=True).click()
    page.get_by_text("Name and password do not fit").wait_for()
    assert page.get_by_role("link", name="Products").count() == 0
    page.context.close()


def test_open_to_all_addresses_without_a_login_shows_nothing(
    browser: Browser, demo_folder: Path, tmp_path: Path
) -> None:
    with running_app(demo_folder / "store", bare=True, log=tmp_path / "bare.log") as address:
        page = new_page(browser)
        page.goto(address)
        page.get_by_text("nobody has to log in").wait_for()
        assert page.locator("input[type=file]").count() == 0
        page.context.close()
