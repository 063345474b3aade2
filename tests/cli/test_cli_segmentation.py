"""The commands around segmentation, called as a user calls them, with a small network trained here."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from discs import write_discs

from retail_seg.cli import cli
from retail_seg.errors import RetailSegError
from retail_seg.segmentation.annotations import load_annotations
from retail_seg.segmentation.segmenter import Segmenter


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, disc_model: Path) -> Path:
    """photos/ with six photos of two discs, masks/ with their instances, model/ that knows such discs."""
    torch.set_num_threads(1)  # so small a network only waits for a second thread, long where the cores are busy
    folder = tmp_path_factory.mktemp("world")
    write_discs(folder, 6)
    assert load_annotations(sorted((folder / "photos").iterdir()), folder / "masks")[1] == []
    shutil.copytree(disc_model, folder / "model")
    return folder


def call(*arguments: object) -> Result:
    """Run a command; a RetailSegError, which `main` turns into one line and exit code 2, comes back as exception."""
    return CliRunner().invoke(cli, [str(a) for a in arguments], standalone_mode=False)


def code(result: Result) -> int:
    return 2 if result.exception else int(result.return_value or 0)


def last_json(result: Result) -> dict:
    return json.loads(result.stdout.strip().splitlines()[-1])


def world_side(world: Path) -> str:
    return str(json.loads((world / "model" / "config.json").read_text())["side"])


class TestSegment:
    def test_ids_at_the_photos_size_and_a_bad_one_among_good(self, world: Path, tmp_path: Path) -> None:
        (tmp_path / "bad.jpg").write_bytes(b"no photo")
        photos = [world / "photos" / "p0.png", tmp_path / "bad.jpg", tmp_path / "none.jpg", world / "photos" / "p1.png"]
        done = call("segment", *photos, "--out", tmp_path / "out", "--model", world / "model")
        assert code(done) == 1
        assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["p0.png", "p1.png"]
        assert "bad.jpg: is not a picture" in done.stderr and "none.jpg: no such file" in done.stderr
        mask = cv2.imread(str(tmp_path / "out" / "p0.png"), cv2.IMREAD_UNCHANGED)
        true = cv2.imread(str(world / "masks" / "p0.png"), cv2.IMREAD_UNCHANGED)
        assert mask.dtype == np.uint16 and mask.shape == true.shape
        assert ((mask > 0) & (true > 0)).sum() / ((mask > 0) | (true > 0)).sum() > 0.5

    def test_masks_never_replace_each_other_or_a_photo(self, world: Path, tmp_path: Path) -> None:
        other = tmp_path / "p0.jpg"
        cv2.imwrite(str(other), cv2.imread(str(world / "photos" / "p0.png")))
        photo = world / "photos" / "p0.png"
        twice = call("segment", photo, other, "--out", tmp_path / "out", "--model", world / "model")
        assert code(twice) == 2 and "would all be written to" in str(twice.exception)
        onto = call("segment", photo, "--out", world / "photos", "--model", world / "model")
        assert code(onto) == 2 and "would be replaced by its mask" in str(onto.exception)
        same = call("segment", photo, world / "photos", "--out", tmp_path / "out", "--model", world / "model")
        assert code(same) == 0 and len(list((tmp_path / "out").iterdir())) == 6

    def test_a_given_side_is_worked_at(self, world: Path, tmp_path: Path) -> None:
        photo = world / "photos" / "p0.png"
        for out, more in (("usual", ()), ("same", ("--side", world_side(world))), ("other", ("--side", "128"))):
            done = call("segment", photo, "--out", tmp_path / out, "--model", world / "model", *more)
            assert code(done) == 0
        usual, same, other = (cv2.imread(str(tmp_path / out / "p0.png"), -1) for out in ("usual", "same", "other"))
        assert usual.shape == same.shape == other.shape
        assert np.array_equal(usual, same) and not np.array_equal(usual, other)
        refused = call("segment", photo, "--out", tmp_path / "no", "--model", world / "model", "--side", "7")
        assert code(refused) == 2 and not (tmp_path / "no").exists()

    def test_upright_size_of_a_turned_photo(self, world: Path, tmp_path: Path) -> None:
        from PIL import Image

        exif = Image.Exif()
        exif[274] = 6
        Image.open(world / "photos" / "p0.png").save(tmp_path / "turned.jpg", exif=exif)
        assert code(call("segment", tmp_path / "turned.jpg", "--out", tmp_path, "--model", world / "model")) == 0
        assert cv2.imread(str(tmp_path / "turned.png"), cv2.IMREAD_UNCHANGED).shape == (128, 96)


class TestEvaluate:
    def test_table_and_one_line_of_json(self, world: Path) -> None:
        done = call(
            "evaluate", "segmentation", world / "photos", "--annotations", world / "masks", "--model", world / "model"
        )
        found = last_json(done)
        assert code(done) == 0
        assert {"fg_iou", "dice", "f1_50", "f1_75", "f1_90", "ap", "pq", "exact_count", "count_error"} < set(found)
        assert (found["photos"], found["fingerprint"]) == (6, Segmenter.load(world / "model").fingerprint)
        assert found["fg_iou"] > 0.5 and found["seconds_per_photo"] > 0
        assert "p5" in done.stderr and "fg IoU" in done.stderr

    def test_only_the_listed_photos_and_what_is_wrong_with_them(self, world: Path, tmp_path: Path) -> None:
        (tmp_path / "masks").mkdir()
        for name in ("p0", "p1"):
            (tmp_path / "masks" / f"{name}.png").write_bytes((world / "masks" / f"{name}.png").read_bytes())
        (tmp_path / "list.txt").write_text("p0.png  # the first\n\np2\n")
        common = ("evaluate", "segmentation", world / "photos", "--model", world / "model")
        done = call(*common, "--annotations", tmp_path / "masks", "--photos-list", tmp_path / "list.txt")
        assert code(done) == 1 and last_json(done)["photos"] == 1
        assert "p2.png: has no annotation" in done.stderr
        (tmp_path / "list.txt").write_text("p0\nnix\n")
        wrong = call(*common, "--annotations", tmp_path / "masks", "--photos-list", tmp_path / "list.txt")
        assert code(wrong) == 2 and "line 2: nix: no such photo" in str(wrong.exception)


class TestSuggest:
    def test_ranks_what_is_not_annotated(self, world: Path, tmp_path: Path) -> None:
        (tmp_path / "p0.png").write_bytes((world / "masks" / "p0.png").read_bytes())
        done = call("suggest", world / "photos", "--annotations", tmp_path, "--model", world / "model")
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert code(done) == 0
        assert [line["rank"] for line in lines] == [1, 2, 3, 4, 5]
        assert {Path(line["image"]).stem for line in lines} == {"p1", "p2", "p3", "p4", "p5"}
        values = [line["uncertainty"] for line in lines]
        assert values == sorted(values, reverse=True)


class TestConvert:
    def test_says_what_it_recognised_and_what_it_lost(self, world: Path, tmp_path: Path) -> None:
        (tmp_path / "masks").mkdir()
        (tmp_path / "masks" / "p0.png").write_bytes((world / "masks" / "p0.png").read_bytes())
        (tmp_path / "masks" / "stray.png").write_bytes((world / "masks" / "p0.png").read_bytes())
        cv2.imwrite(str(tmp_path / "masks" / "p1.png"), np.ones((5, 5), np.uint8))
        common = ("--photos", world / "photos", "--out", tmp_path / "out")
        done = call("convert", tmp_path / "masks", "--to", "coco", *common)
        assert code(done) == 1
        assert last_json(done) == {"from": "png", "to": "coco", "photos": 1, "problems": 2}
        assert "p1.png: is 5 × 5 pixels" in done.stderr
        assert "stray.png: its photo stray is not in" in done.stderr
        assert "from instance-id PNG to COCO JSON" in done.stderr
        assert code(call("convert", tmp_path / "masks", "--to", "nonsense", *common)) == 2


class TestMeasure:
    def test_millimetres_and_files(self, world: Path, tmp_path: Path) -> None:
        masks, out = world / "masks", tmp_path / "sizes.csv"
        done = call("measure", world / "photos", "--annotations", masks, "--mm-per-px", "0.5", "--csv", out)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert code(done) == 0 and len(lines) == 6
        true = cv2.imread(str(masks / "p0.png"), cv2.IMREAD_UNCHANGED)
        first = lines[0]["instances"][0]
        assert first["area_px"] == (true == 1).sum()
        assert first["diameter_mm"] == pytest.approx(0.5 * 2 * np.sqrt(first["area_px"] / np.pi), abs=1e-3)
        assert lines[0]["distribution"]["unit"] == "mm"
        assert len(list(csv.DictReader(out.open()))) == 12

    def test_with_a_model_and_wrong_calls(self, world: Path) -> None:
        photo = world / "photos" / "p0.png"
        done = call("measure", photo, "--model", world / "model")
        assert code(done) == 0 and last_json(done)["mm_per_px"] is None
        unmarked = call("measure", photo, "--model", world / "model", "--marker-mm", "20")
        assert code(unmarked) == 1 and "p0.png: no ArUco" in unmarked.stderr
        for wrong in (("--mm-per-px", "0"), ("--mm-per-px", "nan"), ("--mm-per-px", "1", "--marker-mm", "2")):
            assert code(call("measure", photo, "--model", world / "model", *wrong)) == 2


class TestTrain:
    def test_writes_a_model_and_one_line_of_json(self, world: Path, tmp_path: Path) -> None:
        (tmp_path / "list.txt").write_text("p0\np1\np2\n")
        done = call(
            "train", world / "photos", "--annotations", world / "masks", "--model", tmp_path / "model", "--steps", "1",
            "--start", world / "model", "--photos-list", tmp_path / "list.txt",
            "--progress-json", tmp_path / "progress.jsonl",
        )  # fmt: skip
        assert code(done) == 0, done.exception
        lines = [json.loads(line) for line in (tmp_path / "progress.jsonl").read_text().splitlines()]
        assert [line["phase"] for line in lines] == ["train", "tune"]
        assert lines[0]["step"] == 1 and lines[0]["loss"] > 0 and lines[0]["score"] is None
        assert 0 <= lines[-1]["score"] <= 1 and lines[-1]["part"] == "training"
        assert last_json(done)["photos"] == ["p0", "p1", "p2"]
        assert "Training on 3 photos" in done.stderr
        assert Segmenter.load(tmp_path / "model").fingerprint != Segmenter.load(world / "model").fingerprint

    def test_what_cannot_be_trained_on(self, world: Path, tmp_path: Path) -> None:
        masks = tmp_path / "masks"
        masks.mkdir()
        good = (world / "masks" / "p0.png").read_bytes()
        for name in ("p0", "p1"):
            (masks / f"{name}.png").write_bytes(good)
        cv2.imwrite(str(masks / "p2.png"), np.zeros((96, 128), np.uint8))
        cv2.imwrite(str(masks / "p3.png"), np.ones((96, 100), np.uint8))
        common = ("--model", tmp_path / "model", "--steps", "1", "--start", world / "model")
        few = call("train", world / "photos", "--annotations", masks, *common)
        assert code(few) == 2 and "training needs at least 3" in str(few.exception)
        assert "p2.png: is empty" in few.stderr and "p3.png: is 100 × 96 pixels" in few.stderr
        assert "2 photos have no annotation" in few.stderr
        for arguments in (
            (tmp_path / "nowhere", "--annotations", masks),
            (world / "photos", "--annotations", tmp_path / "nowhere"),
            (world / "photos", "--annotations", world / "model"),
        ):
            failed = call("train", *arguments, *common)
            assert code(failed) == 2 and isinstance(failed.exception, RetailSegError)
        assert not (tmp_path / "model").exists()
