"""Whole checks on a small store: photos of drawn shelves, plans kept and in files, boxes of another detector."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from catalogue import scans
from catalogue.errors import PlanConflict, UnknownPlan
from retail_seg import Matcher
from retail_seg.bench.shelf_check.rendered import DrawnCheck, drawn_checks, made_assortment, make_store
from retail_seg.cli import cli
from retail_seg.errors import AnnotationError, PhotoError, PlanError
from retail_seg.scans.keeping import keep
from retail_seg.segmentation.instances.instances import Instances
from retail_seg.shelf import keeping, planning
from retail_seg.shelf.checking import CANDIDATES, check, check_reports, check_scanned
from retail_seg.shelf.drawing import draw_check
from retail_seg.shelf.plan_files import read_plan, write_csv
from retail_seg.shelf.results import CSV_COLUMNS, STATUSES
from retail_seg.store.given_boxes import GivenBoxes

if TYPE_CHECKING:
    from retail_seg.segmentation.segmenter import Segmenter

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DrawnCheck]:
    """A folder with a store and the photo of a shelf on which all is well, its boxes and its plan."""
    folder = tmp_path_factory.mktemp("shelf")
    assortment = made_assortment(4, families=9)
    make_store(folder / "store", assortment)
    (drawn,) = drawn_checks(folder, assortment, 1, seed=2)
    (folder / "bay.csv").write_text(write_csv(drawn.stocked.plan), encoding="utf-8")
    return folder, drawn


@pytest.fixture
def folder(made: tuple[Path, DrawnCheck], tmp_path: Path) -> Path:
    return Path(shutil.copytree(made[0], tmp_path / "shop"))


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(folder)
    monkeypatch.delenv("RETAIL_SEG_STORE", raising=False)

    def invoke(*words: str) -> Result:
        result = CliRunner().invoke(cli, list(words), standalone_mode=False)
        assert result.exception is None or not isinstance(result.exception, AssertionError)
        return result

    return invoke


PHOTO = "check-000-0.jpg"


def checked(run: Run, *words: str) -> dict[str, Any]:
    result = run("check", *words, "--json", "out.json")
    assert result.exception is None, result.exception
    (line,) = Path("out.json").read_text(encoding="utf-8").splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def test_a_full_shelf_is_well_by_a_plan_in_a_file_and_by_a_kept_one(run: Run, folder: Path) -> None:
    first = checked(run, PHOTO, "--plan", "bay.csv", "--boxes", "boxes.csv", "--csv", "out.csv", "--overlay", "shown")
    keys = {"fixture", "shelf", "position", "sku", "status", "probability", "found", "instances"}
    assert first["positions"] and all(keys <= set(one) for one in first["positions"])
    well = [one for one in first["positions"] if one["status"] == "ok"]
    assert len(well) >= 0.9 * len(first["positions"])
    assert all(one["found"] >= one["min_facings"] and one["instances"] for one in well)
    assert {one["status"] for one in first["positions"]} <= set(STATUSES)
    assert first["summary"]["positions"] == len(first["positions"]) and first["summary"]["ok"] == len(well)
    rows = list(csv.reader((folder / "out.csv").open(encoding="utf-8")))
    assert tuple(rows[0]) == CSV_COLUMNS and len(rows) == 1 + len(first["positions"])
    assert (folder / "shown" / "check-000-0.png").stat().st_size > 10_000

    assert run("plan", "import", "bay.csv", "--name", "aisle 3").return_value == 0
    second = checked(run, PHOTO, "--plan", "aisle 3", "--boxes", "boxes.csv")
    assert [one["status"] for one in second["positions"]] == [one["status"] for one in first["positions"]]
    assert (second["plan"], second["plan_version"]) == ("aisle 3", 1)


def test_what_is_taken_off_the_shelf_is_missing_and_mended_when_it_is_back(run: Run, folder: Path) -> None:
    full = checked(run, PHOTO, "--plan", "bay.csv", "--boxes", "boxes.csv")
    gone = next(one for one in full["positions"] if one["status"] == "ok" and one["position"] == 2)
    boxes = {one["id"]: one["box"] for one in full["instances"]}
    lost = {tuple(boxes[number]) for number in gone["instances"]}
    with (folder / "boxes.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    kept = [row for row in rows if tuple(int(v) for v in row[1:]) not in lost]
    with (folder / "fewer.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *kept])
    (folder / "stock.csv").write_text(f"sku,on_hand,backroom\n{gone['sku']},4,4\n")

    run("plan", "import", "bay.csv", "--name", "aisle 3")
    found = checked(run, PHOTO, "--plan", "aisle 3", "--boxes", "fewer.csv", "--stock", "stock.csv", "--keep")
    status = {(one["shelf"], one["position"]): one["status"] for one in found["positions"]}
    assert status[gone["shelf"], gone["position"]] == "empty"
    finding = next(
        one for one in found["findings"] if (one["shelf"], one["position"]) == (gone["shelf"], gone["position"])
    )
    assert (finding["cause"], finding["action"]) == ("in the back room", "refill") and finding["gap"] > 0.5
    again = checked(run, PHOTO, "--plan", "aisle 3", "--boxes", "boxes.csv", "--keep")
    assert len(again["tasks_mended"]) >= 1
    with Matcher.open(folder / "store") as matcher:
        ended = keeping.load_task(matcher, again["tasks_mended"][0])
        assert ended.state == "done" and len(keeping.list_checks(matcher, "made")) == 2
        kept_check, result = keeping.load_check(matcher, again["check"])
        assert kept_check.plan == "aisle 3" and result["summary"] == again["summary"]


def test_plans_are_listed_shown_exported_taken_out_and_brought_back(run: Run, folder: Path) -> None:
    assert run("plan", "import", "bay.csv").return_value == 0
    run("plan", "list", "--json", "plans.json")
    (line,) = Path("plans.json").read_text().splitlines()
    assert json.loads(line)["name"] == "bay"
    run("plan", "show", "bay", "--json", "places.json")
    assert len(Path("places.json").read_text().splitlines()) == json.loads(line)["positions"]
    run("plan", "export", "bay", "--out", "again.csv")
    assert Path("again.csv").read_text() == Path("bay.csv").read_text()
    run("plan", "export", "bay", "--format", "azure", "--out", "azure.json")
    assert json.loads(Path("azure.json").read_text())["planogram"]["positions"]
    with pytest.raises(PlanConflict):
        raise run("plan", "import", "again.csv").exception or AssertionError("a second plan of the fixture was kept")
    run("plan", "remove", "bay")
    with pytest.raises(UnknownPlan):
        raise run("plan", "show", "bay").exception or AssertionError("the plan is still there")
    with Matcher.open(folder / "store") as matcher:
        number = next(iter(planning.changes(matcher))).id
    run("plan", "undo", str(number))
    assert run("plan", "show", "bay", "--json", "places.json").exception is None


def test_corners_and_labels_are_asked_for_and_cost_nothing_else(run: Run, folder: Path) -> None:
    plain = checked(run, PHOTO, "--plan", "bay.csv", "--boxes", "boxes.csv")
    height, width = cast(np.ndarray, cv2.imread(str(folder / PHOTO))).shape[:2]
    whole = f"0,0,{width},0,{width},{height},0,{height}"
    framed = checked(run, PHOTO, "--plan", "bay.csv", "--boxes", "boxes.csv", "--corners", whole)
    assert framed["positions"] == plain["positions"] and "labels" not in plain
    alone = checked(run, PHOTO, "--boxes", "boxes.csv", "--labels")
    assert alone["positions"] == [] and isinstance(alone["labels"], list) and alone["plan"] == ""
    both = checked(run, PHOTO, "--plan", "bay.csv", "--boxes", "boxes.csv", "--labels")
    assert both["positions"] == plain["positions"] and both["labels"] is not None
    for words in ((), ("--labels", "--keep"), ("--plan", "bay.csv", "--corners", whole, "--corners", whole)):
        assert isinstance(run("check", PHOTO, "--boxes", "boxes.csv", *words).exception, click.UsageError)
    assert isinstance(run("check", PHOTO, "--plan", "bay.csv", "--corners", "1,2").exception, PlanError)


def test_bad_lines_are_said_and_the_exit_code_tells(run: Run, folder: Path) -> None:
    text = (folder / "bay.csv").read_text()
    (folder / "bay.csv").write_text(text + "made,1,1,nothing,1,1,,,\nmade,99,1,nothing,1,1,,,\n")
    result = run("check", PHOTO, "none.jpg", "--plan", "bay.csv", "--boxes", "boxes.csv", "--json", "out.json")
    assert result.return_value == 1
    assert "is there already" in result.stderr and "SKU nothing is not in the catalogue" in result.stderr
    assert "none.jpg" in result.stderr
    found = json.loads((folder / "out.json").read_text())
    assert len(found["photos"]) == 1 and any(one["sku"] == "nothing" for one in found["positions"])
    assert isinstance(run("check", PHOTO, "--plan", "nowhere").exception, UnknownPlan)
    assert isinstance(run("check", "none.jpg", "--plan", "bay.csv", "--boxes", "boxes.csv").exception, PhotoError)


def test_a_confirmed_scan_becomes_the_plan_of_the_shelf_as_it_was(made: tuple[Path, DrawnCheck], folder: Path) -> None:
    boxes = GivenBoxes.read(folder / "boxes.csv").as_segmenter()
    with Matcher.open(folder / "store", segmenter=boxes) as matcher:
        scanned = matcher.look(folder / PHOTO)
        number = keep(matcher, scanned)
        unsure = [line.id for line in scanned.report.instances if line.sku is None]
        likely = {line.id: line.best_sku or "" for line in scanned.report.instances}
        for one in unsure:
            scans.decide(matcher.catalogue, number, [one], likely[one], "confirmed", by="stan")
        plan, version, _ = planning.plan_from_scan(matcher, number, "as it was")
        assert version == 1 and sum(one.facings for one in plan.positions) >= 0.8 * len(scanned.report.instances)
        found = check(matcher, [folder / PHOTO], plan).result
        assert {one.status for one in found.positions} == {"ok"}
        picture = draw_check(scanned.seen.picture, found, 0)
        assert picture.shape == scanned.seen.picture.shape and (picture != scanned.seen.picture).any()


class Forgetful:
    """A segmenter that finds all things but those of one place."""

    name, fingerprint = "forgetful", "0"

    def __init__(self, given: GivenBoxes, lost: list[list[int]]) -> None:
        self.given, self.lost = given, lost

    def segment(self, picture: np.ndarray, side: int | None = None) -> Instances:
        found = self.given.instances(PHOTO, picture, (picture.shape[1], picture.shape[0]))
        labels = found.labels.copy()
        for number, box in enumerate(found.boxes.tolist(), 1):
            labels[(labels == number) & (box in self.lost)] = 0
        return Instances.from_labels(labels)


def test_what_the_segmenter_missed_is_looked_for_again(folder: Path) -> None:
    given = GivenBoxes.read(folder / "boxes.csv")
    plan = read_plan(folder / "bay.csv").plan
    with Matcher.open(folder / "store", segmenter=given.as_segmenter()) as matcher:
        full = check(matcher, [folder / PHOTO], plan).result
    boxes = {one.id: list(one.area.box) for one in full.instances}
    sure = {one.id for one in full.instances if one.probability > 0.99}
    lost = next(one for one in full.positions if one.status == "ok" and one.position > 1 and sure >= set(one.instances))
    forgetful = Forgetful(given, [boxes[number] for number in lost.instances])
    with Matcher.open(folder / "store", segmenter=cast("Segmenter", forgetful)) as matcher:
        seen = matcher.look(folder / PHOTO, top=CANDIDATES)
        without = {one.spot: one.status for one in check_reports(matcher, [seen.report], plan).positions}
        again = {one.spot: one.status for one in check_scanned(matcher, [seen], plan).positions}
    assert without[lost.spot] == "empty" and again[lost.spot] == "ok"


# -- boxes of another detector


def boxes_of(tmp_path: Path, text: str) -> GivenBoxes:
    path = tmp_path / "boxes.csv"
    path.write_text(text, encoding="utf-8")
    return GivenBoxes.read(path)


def test_given_boxes_are_the_instances_at_whatever_size_the_photo_was_decoded(tmp_path: Path) -> None:
    given = boxes_of(tmp_path, "image,x,y,w,h\naisle/a.jpg,10,20,40,60\na.jpg,100,20,40,60\nb.jpg,,,,\n")
    picture = np.zeros((200, 400, 3), np.uint8)
    found = given.instances("photos/a.jpg", picture, (400, 200))
    assert found.boxes.tolist() == [[10, 20, 40, 60], [100, 20, 40, 60]] and found.areas.tolist() == [2400, 2400]
    half = given.instances("a.jpg", cv2.resize(picture, (200, 100)), (400, 200))
    assert half.boxes.tolist() == [[5, 10, 20, 30], [50, 10, 20, 30]]
    assert len(given.instances("b.jpg", picture, (400, 200))) == 0
    with pytest.raises(PhotoError, match=r"c\.jpg: boxes\.csv has no box of it"):
        given.instances("c.jpg", picture, (400, 200))


def test_boxes_that_overlap_reach_beyond_the_photo_or_are_given_twice(tmp_path: Path) -> None:
    given = boxes_of(
        tmp_path, "image,x,y,w,h\na.jpg,-10,-10,60,60\na.jpg,20,20,10,10\na.jpg,20,20,10,10\na.jpg,900,0,9,9\n"
    )
    found = given.instances("a.jpg", np.zeros((100, 100, 3), np.uint8), (100, 100))
    assert found.boxes.tolist() == [[0, 0, 50, 50], [20, 20, 10, 10]]
    assert found.areas.tolist() == [2400, 100]


def test_lines_that_are_no_box_are_told_and_a_file_without_columns_is_refused(tmp_path: Path) -> None:
    given = boxes_of(
        tmp_path,
        "image,x,y,w,h,label\na.jpg,1,2,3,x,\na.jpg,1,2,0,4,\n,1,2,3,4,\na.jpg,1,2,3,4,ignore\na.jpg,1,2,3,4,\n",
    )
    assert given.boxes == {"a.jpg": ((1.0, 2.0, 3.0, 4.0),)}
    assert [said in one for said, one in zip(("line 2", "above 0", "image is empty"), given.problems, strict=True)] == [
        True
    ] * 3
    with pytest.raises(AnnotationError, match="no column w and h"):
        boxes_of(tmp_path, "image,x,y\na.jpg,1,2\n")
    with pytest.raises(AnnotationError, match="cannot be read"):
        GivenBoxes.read(tmp_path / "none.csv")
