"""Each annotation format by itself: values checked by hand, and every fault by its sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retail_seg.errors import AnnotationError
from retail_seg.segmentation.annotations import convert, load_annotations, recognise
from retail_seg.segmentation.boxes import IGNORE
from retail_seg.segmentation.formats import rle
from retail_seg.segmentation.formats.base import fill_rings, outlines

HEIGHT, WIDTH = 60, 80


def save_photo(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (WIDTH, HEIGHT), (90, 120, 60)).save(path)
    return path


class TestRunLengths:
    def test_column_order_beginning_with_zeros(self) -> None:
        mask = np.array([[0, 1, 0], [1, 1, 0]], bool)
        assert rle.mask_to_runs(mask) == [1, 3, 2]
        assert rle.mask_to_runs(np.ones((2, 2), bool)) == [0, 4]
        assert rle.mask_to_runs(np.zeros((2, 2), bool)) == [4]
        assert np.array_equal(rle.runs_to_mask([1, 3, 2], 2, 3), mask)

    def test_packed_text_by_hand(self) -> None:
        """1 ► '1'; 31 ► 0b11111 needs a second group, since bit 5 is the sign: 'o', '0'; -1 of 4-5 ► 'O'."""
        assert rle.pack_runs([1, 3, 2]) == "132"
        assert rle.pack_runs([31]) == "o0"
        assert rle.pack_runs([5, 5, 7, 4]) == "557O"
        assert rle.unpack_runs("557O") == [5, 5, 7, 4]
        assert rle.unpack_runs("o0") == [31]

    def test_packed_text_of_the_coco_api(self) -> None:
        """A ring of 40 × 30 pixels, as pycocotools 2.0 packs it."""
        yy, xx = np.mgrid[:30, :40]
        ring = ((yy - 14) ** 2 + (xx - 19) ** 2 < 130) & ~((yy - 14) ** 2 + (xx - 19) ** 2 < 20)
        text = "l75f06L2M4N0O2N2ODJ06NN011O00O20N020N020N1001OO022J06<1N2N102L3N4JU8"
        assert rle.pack_runs(rle.mask_to_runs(ring)) == text
        assert np.array_equal(rle.runs_to_mask(rle.unpack_runs(text), 30, 40), ring)

    def test_packing_is_its_own_inverse(self) -> None:
        rng = np.random.default_rng(0)
        for size in ((7, 5), (64, 33), (200, 300)):
            mask = rng.random(size) < rng.random()
            runs = rle.mask_to_runs(mask)
            assert rle.unpack_runs(rle.pack_runs(runs)) == runs
            assert np.array_equal(rle.runs_to_mask(runs, *size), mask)

    def test_faults(self) -> None:
        with pytest.raises(AnnotationError, match="do not fill"):
            rle.runs_to_mask([3], 2, 3)
        with pytest.raises(AnnotationError, match="cut off"):
            rle.unpack_runs("o")
        with pytest.raises(AnnotationError, match="character"):
            rle.unpack_runs("\x7f\x80")


class TestPolygons:
    def test_a_pixel_belongs_by_its_centre(self) -> None:
        region = fill_rings([np.array([[1, 1], [4, 1], [4, 3], [1, 3.0]])], 10, 10)
        assert (region.top, region.left, region.mask.shape, region.mask.all()) == (1, 1, (2, 3), True)
        small = fill_rings([np.array([[1.6, 1.6], [3.4, 1.6], [3.4, 3.4], [1.6, 3.4]])], 10, 10)
        assert small.area == 1

    def test_a_bridge_fills_nothing(self) -> None:
        ring = np.array([[1, 1], [3, 1], [3, 3], [9.5, 3], [3, 3], [1, 3.0]])
        assert fill_rings([ring], 10, 12).area == 4

    def test_outlines_give_random_masks_again(self) -> None:
        rng = np.random.default_rng(1)
        for density in (0.2, 0.5, 0.8):
            mask = rng.random((20, 25)) < density
            outer, holes = outlines(mask)
            region = fill_rings(outer + holes, 20, 25)
            full = np.zeros_like(mask)
            h, w = region.mask.shape
            full[region.top : region.top + h, region.left : region.left + w] = region.mask
            assert np.array_equal(full, mask)


def coco(tmp_path: Path, entries: list[dict], images: list[dict] | None = None) -> Path:
    path = tmp_path / "coco.json"
    images = images or [{"id": 7, "file_name": "sub/a.jpg", "width": WIDTH, "height": HEIGHT}]
    listed = [
        {"id": 100 + i, "image_id": 7, "category_id": 3, "iscrowd": 0, **entry} for i, entry in enumerate(entries)
    ]
    path.write_text(json.dumps({"images": images, "annotations": listed, "categories": [{"id": 3, "name": "tin"}]}))
    return path


class TestCoco:
    def test_polygons_plain_and_packed_runs(self, tmp_path: Path) -> None:
        photo = save_photo(tmp_path / "a.jpg")
        mask = np.zeros((HEIGHT, WIDTH), bool)
        mask[30:40, 50:60] = True
        runs = rle.mask_to_runs(mask)
        path = coco(
            tmp_path,
            [
                {"segmentation": [[2, 2, 12, 2, 12, 8, 2, 8], [20, 2, 24, 2, 24, 8, 20, 8]]},
                {"segmentation": {"size": [HEIGHT, WIDTH], "counts": runs}},
                {"segmentation": {"size": [HEIGHT, WIDTH], "counts": rle.pack_runs([0, 5, HEIGHT * WIDTH - 5])}},
            ],
        )
        (found,), problems = load_annotations([photo], path)
        assert found.ids == [1, 2, 3]
        assert ((found.labels == 1).sum(), (found.labels == 2).sum(), (found.labels == 3).sum()) == (84, 100, 5)
        assert found.labels[:5, 0].tolist() == [3] * 5
        assert found.classes == {1: "tin", 2: "tin", 3: "tin"}
        assert problems == []

    def test_a_file_of_nothing_but_crowds_has_instances(self, tmp_path: Path) -> None:
        photo = save_photo(tmp_path / "a.jpg")
        path = coco(tmp_path, [{"segmentation": [[2, 2, 12, 2, 12, 8, 2, 8]], "iscrowd": 1}])
        (found,), problems = load_annotations([photo], path)
        assert found.ids == [1] and (found.labels == IGNORE).sum() == 0
        assert len(problems) == 1 and "crowd" in problems[0]

    def test_small_one_on_a_large_one_is_kept(self, tmp_path: Path) -> None:
        photo = save_photo(tmp_path / "a.jpg")
        path = coco(
            tmp_path,
            [
                {"segmentation": [[10, 10, 14, 10, 14, 14, 10, 14]]},
                {"segmentation": [[0, 0, 40, 0, 40, 40, 0, 40]]},
            ],
        )
        (found,), problems = load_annotations([photo], path)
        assert (found.labels == 1).sum() == 16 and problems == []

    def test_faulty_instances_are_told_and_the_rest_goes_on(self, tmp_path: Path) -> None:
        photo = save_photo(tmp_path / "a.jpg")
        path = coco(
            tmp_path,
            [
                {"segmentation": [[2, 2, 12, 2, 12, 8, 2, 8]]},
                {"segmentation": [[-20, 20, 10, 20, 10, 30, -20, 30]]},
                {"segmentation": [[200, 200, 220, 200, 220, 220]]},
                {"segmentation": [[1, 1, 2, 2]]},
                {"segmentation": [[1, 1, "x", 2, 3, 4]]},
                {"segmentation": [], "bbox": [1, 1, 0, 4]},
                {"segmentation": {"size": [5, 5], "counts": [25]}},
                {"segmentation": [[2, 2, 12, 2, 12, 8, 2, 8]]},
            ],
        )
        (found,), problems = load_annotations([photo], path)
        text = "\n".join(problems)
        assert found.ids == [2, 3]  # 1 and 3 are the same square, of which the later one is seen
        for part in (
            "annotation 101 reaches outside the photo (80 × 60) and was clipped",
            "annotation 102 lies outside the photo",
            "annotation 103 has an outline of fewer than three points",
            "annotation 104 has an outline that is not a list of numbers",
            "annotation 105 has a box of 0 × 4 pixels",
            "annotation 106 has run lengths of size [5, 5]",
            "covered completely",
        ):
            assert part in text
        assert all(problem.startswith("coco.json: a.jpg: ") for problem in problems)

    def test_images_without_photo_or_entry(self, tmp_path: Path) -> None:
        photo = save_photo(tmp_path / "a.jpg")
        images = [
            {"id": 7, "file_name": "a.jpg", "width": WIDTH, "height": HEIGHT},
            {"id": 8, "file_name": "gone.jpg", "width": 10, "height": 10},
            {"id": 9},
        ]
        path = coco(tmp_path, [{"segmentation": [[2, 2, 12, 2, 12, 8]]}, {"image_id": 55}], images)
        found, problems = load_annotations([photo], path)
        text = "\n".join(problems)
        assert len(found) == 1
        assert "gone.jpg: its photo is not among those given" in text
        assert "has no id or file_name" in text and "image 55" in text

    def test_two_files_in_one_folder(self, tmp_path: Path) -> None:
        coco(tmp_path, [])
        (tmp_path / "more.json").write_text((tmp_path / "coco.json").read_text())
        with pytest.raises(AnnotationError, match="holds 2 COCO files"):
            recognise(tmp_path)


class TestLabelMe:
    def write(self, folder: Path, shapes: list[dict], **more: object) -> Path:
        folder.mkdir(exist_ok=True)
        data = {"shapes": shapes, "imagePath": "..\\pics\\a.jpg", "imageHeight": HEIGHT, "imageWidth": WIDTH}
        (folder / "a.json").write_text(json.dumps(data | more))
        return folder

    def test_shapes(self, tmp_path: Path) -> None:
        photo = save_photo(tmp_path / "a.jpg")
        square = [[2, 2], [12, 2], [12, 8], [2, 8]]
        folder = self.write(
            tmp_path / "labelme",
            [
                {"label": "tin", "points": square, "group_id": 1, "shape_type": "polygon"},
                {"label": "tin", "points": [[30, 2], [20, 8]], "group_id": 1, "shape_type": "rectangle"},
                {"label": "lid", "points": [[50, 30], [50, 40]], "shape_type": "circle"},
                {"label": "line", "points": [[1, 1], [5, 5]], "shape_type": "line"},
            ],
        )
        (found,), problems = load_annotations([photo], folder)
        assert (found.labels == 1).sum() == 60 + 60
        assert (found.labels == 2).sum() == pytest.approx(np.pi * 100, rel=0.02)
        assert found.classes == {1: "tin", 2: "lid"}
        assert problems == ["a.json: instance 3 (line) is a line, which has no area; draw a polygon; it was left out"]

    def test_damaged_file_among_good_ones(self, tmp_path: Path) -> None:
        photo = save_photo(tmp_path / "a.jpg")
        folder = self.write(tmp_path / "labelme", [{"label": "x", "points": [[2, 2], [12, 2], [12, 8]]}])
        (folder / "b.json").write_text("{")
        (folder / "c.json").write_text("{}")
        found, problems = load_annotations([photo], folder)
        assert len(found) == 1
        assert "b.json: is not readable JSON" in problems[0] and "c.json: has no list of shapes" in problems[1]


class TestYolo:
    def test_names_and_faulty_lines(self, tmp_path: Path) -> None:
        photo = save_photo(tmp_path / "a.jpg")
        folder = tmp_path / "yolo"
        (folder / "labels").mkdir(parents=True)
        (folder / "labels" / "a.txt").write_text(
            "1 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5\n0 0.5 0.5 0.2 -0.2\nx 1 1\n0 10 10 20 10 20 20\n0 .9 .9 .9 .9 .9 .9\n"
        )
        (folder / "data.yaml").write_text("path: .\nnames:  # of classes\n  0: tin\n  1: 'it''s: one'\nnc: 2\n")
        (found,), problems = load_annotations([photo], folder)
        assert (found.labels == 1).sum() == 32 * 24
        assert found.classes == {1: "it's: one"}
        text = "\n".join(problems)
        for part in (
            "line 2 has a box of 16 × -12 pixels",
            "line 3 does not begin",
            "line 4 has coordinates in pixels",
            "covers no pixel",
        ):
            assert part in text

    @pytest.mark.parametrize("names", ["names: [tin, 'lid']", "names: {0: tin, 1: lid}", "names:\n- tin\n- lid\nnc: 2"])
    def test_ways_of_naming(self, tmp_path: Path, names: str) -> None:
        photo = save_photo(tmp_path / "a.jpg")
        (tmp_path / "labels").mkdir()
        (tmp_path / "labels" / "a.txt").write_text("1 0.1 0.1 0.5 0.1 0.5 0.5")
        (tmp_path / "data.yaml").write_text(names)
        (found,), _ = load_annotations([photo], tmp_path / "labels")
        assert found.classes == {1: "lid"}


class TestVoc:
    def test_palette_void_and_classes(self, tmp_path: Path) -> None:
        from retail_seg.segmentation.formats.voc import colour_map

        photo = save_photo(tmp_path / "a.jpg")
        assert colour_map()[[1, 2, 3, 255]].tolist() == [[128, 0, 0], [0, 128, 0], [128, 128, 0], [224, 224, 192]]
        objects, classes = np.zeros((HEIGHT, WIDTH), np.uint8), np.zeros((HEIGHT, WIDTH), np.uint8)
        objects[5:15, 5:15], classes[5:15, 5:15] = 1, 5
        objects[5:15, 20:30], classes[5:15, 20:30] = 2, 5
        objects[4, 5:15] = classes[4, 5:15] = 255
        for name, values in (("SegmentationObject", objects), ("SegmentationClass", classes)):
            (tmp_path / "voc" / name).mkdir(parents=True)
            image = Image.fromarray(values)
            image.putpalette(colour_map().ravel().tolist())
            image.save(tmp_path / "voc" / name / "a.png")
        (found,), problems = load_annotations([photo], tmp_path / "voc")
        assert (recognise(tmp_path / "voc"), problems) == ("voc", [])
        assert found.classes == {1: "bottle", 2: "bottle"}
        assert ((found.labels == 1).sum(), (found.labels == 2).sum()) == (100, 100)

    def test_more_instances_than_it_can_number(self, tmp_path: Path) -> None:
        photo = save_photo(tmp_path / "photos" / "a.png")
        (tmp_path / "masks").mkdir()
        many = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH)
        Image.fromarray(many).save(tmp_path / "masks" / "a.png")
        with pytest.raises(AnnotationError, match="a: has 4799 instances"):
            convert([photo], tmp_path / "masks", "voc", tmp_path / "out")


class TestGroundTruth:
    def job(self, folder: Path, maps: list[dict[str, str]], masks: list[np.ndarray]) -> Path:
        """A job as SageMaker writes it: references into a bucket, and a confidence of .09 that means nothing."""
        lines = []
        key = "annotations/consolidated-annotation/output"
        (folder / key).mkdir(parents=True)
        for i, (colours, mask) in enumerate(zip(maps, masks, strict=True)):
            Image.fromarray(mask).save(folder / key / f"{i}_2024.png")
            entries = {"0": {"class-name": "BACKGROUND", "hex-color": "#ffffff", "confidence": 0.09}}
            for number, (name, colour) in enumerate(colours.items(), 1):
                entries[str(number)] = {"class-name": name, "hex-color": colour, "confidence": 0.09}
            lines.append(
                json.dumps(
                    {
                        "source-ref": f"s3://shop/photos/{'abc'[i]}.jpg",
                        "job-ref": f"s3://shop/out/job/{key}/{i}_2024.png",
                        "job-ref-metadata": {
                            "internal-color-map": entries,
                            "type": "groundtruth/semantic-segmentation",
                        },
                    }
                )
            )
        (folder / "output.manifest").write_text("\n".join(lines) + "\n")
        return folder

    def mask(self, *squares: tuple[int, int, tuple[int, int, int]]) -> np.ndarray:
        mask = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
        for x, y, colour in squares:
            mask[y : y + 10, x : x + 10] = colour
        return mask

    def test_colours_of_the_whole_job_and_parts_as_instances(self, tmp_path: Path) -> None:
        photos = [save_photo(tmp_path / "photos" / f"{n}.jpg") for n in "ab"]
        red, blue = (255, 0, 0), (0, 0, 255)
        folder = self.job(
            tmp_path / "job",
            [{"tin": "#ff0000"}, {"box": "#0000ff"}],
            [self.mask((5, 5, red), (30, 5, red), (50, 5, blue)), self.mask((5, 5, red))],
        )
        (a, b), problems = load_annotations(photos, folder)
        assert recognise(folder) == "groundtruth"
        assert sorted(a.classes.values()) == ["box", "tin", "tin"] and b.classes == {1: "tin"}
        assert len(a.ids) == 3 and all((a.labels == i).sum() == 100 for i in a.ids)
        assert len(problems) == 1 and "semantic" in problems[0]

    def test_unknown_colour_failed_line_and_lost_mask(self, tmp_path: Path) -> None:
        photos = [save_photo(tmp_path / "photos" / f"{n}.jpg") for n in "abc"]
        good, odd = self.mask((5, 5, (255, 0, 0))), self.mask((5, 5, (1, 2, 3)))
        folder = self.job(tmp_path / "job", [{"tin": "#ff0000"}] * 3, [good, odd, good])
        next(folder.rglob("2_2024.png")).unlink()
        with (folder / "output.manifest").open("a") as lines:
            lines.write('{"source-ref": "s3://shop/d.jpg", "job-ref-metadata": {"failure-reason": "x"}}\nnot json\n')
        found, problems = load_annotations(photos, folder)
        text = "\n".join(problems)
        assert [photo.name for photo in found] == ["a"]
        assert "line 2 (b.jpg): has 100 pixels of #010203, which no colour map of the job names" in text
        assert "line 3 (c.jpg): its mask 2_2024.png is not beside the manifest" in text
        assert "line 4: names no photo or no mask" in text and "line 5: is not JSON" in text

    def test_one_colour_for_two_classes(self, tmp_path: Path) -> None:
        photos = [save_photo(tmp_path / "photos" / f"{n}.jpg") for n in "ab"]
        mask = self.mask((5, 5, (255, 0, 0)))
        folder = self.job(tmp_path / "job", [{"tin": "#ff0000"}, {"box": "#ff0000"}], [mask, mask])
        _, problems = load_annotations(photos, folder)
        assert "#ff0000 stands for 'tin' and for 'box'" in problems[0]


class TestDamagedFiles:
    """Whatever stands in a file in the place of what should: a sentence, never another exception."""

    ODD = (None, -1, 0, 1e9, "x", "", [], {}, [1], {"a": 1}, True, float("nan"))

    @pytest.mark.parametrize("name", ["coco", "labelme", "groundtruth", "supervisely"])
    def test_every_value_replaced_by_odd_ones(self, tmp_path: Path, name: str) -> None:
        photo = save_photo(tmp_path / "photos" / "a.jpg")
        labels = np.zeros((HEIGHT, WIDTH), np.uint8)
        labels[5:15, 5:15], labels[8:10, 8:10], labels[20:30, 20:40] = 1, 0, 2
        (tmp_path / "masks").mkdir()
        Image.fromarray(labels).save(tmp_path / "masks" / "a.png")
        convert([photo], tmp_path / "masks", name, tmp_path / "out")
        file = next(p for p in sorted((tmp_path / "out").rglob("*")) if p.is_file() and p.suffix != ".png")
        whole = file.read_text()
        seen = 0
        for *way, last in places(json.loads(whole)):
            for odd in self.ODD:
                damaged = json.loads(whole)
                inner = damaged
                for step in way:
                    inner = inner[step]
                inner[last] = odd
                file.write_text(json.dumps(damaged))
                try:
                    _, problems = load_annotations([photo], tmp_path / "out")
                except AnnotationError as error:
                    problems = [str(error)]
                seen += bool(problems)
        assert seen > 50


def places(value: object, way: tuple = ()) -> list[tuple]:
    """The ways to all values in a JSON value, of lists only to the first four."""
    inner: list[tuple] = list(value.items()) if isinstance(value, dict) else []
    if isinstance(value, list):
        inner = list(enumerate(value))[:4]
    return [p for step, part in inner for p in [(*way, step), *places(part, (*way, step))]]
