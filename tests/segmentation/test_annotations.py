"""Annotations in and out: instances and classes kept through every format, masks that do not fit their photo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retail_seg.errors import AnnotationError
from retail_seg.segmentation import annotations
from retail_seg.segmentation.annotations import FORMATS, convert, load_annotations, recognise

HEIGHT, WIDTH = 60, 80


def save_photo(path: Path, size: tuple[int, int] = (WIDTH, HEIGHT), orientation: int | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if orientation:
        exif[274] = orientation
    Image.new("RGB", size, (90, 120, 60)).save(path, exif=exif)
    return path


def hard_labels() -> np.ndarray:
    """Touching instances of one class, one with a hole, one in two parts, one inside the hole, one at the edge."""
    labels = np.zeros((HEIGHT, WIDTH), np.int32)
    labels[5:25, 5:25] = 1
    labels[10:20, 10:20] = 0
    labels[13:17, 13:17] = 2
    labels[5:25, 25:40] = 3
    labels[30:36, 5:20] = 4
    labels[40:46, 8:30] = 4
    yy, xx = np.mgrid[:HEIGHT, :WIDTH]
    labels[(yy - 45) ** 2 + (xx - 60) ** 2 < 144] = 5
    labels[50:, 76:] = 6
    labels[0, 79] = 7
    return labels


CLASSES = {1: "ring", 2: "dot", 3: "ring", 4: "pair: two", 5: "disc", 6: "it's", 7: "disc"}


def write_png_source(folder: Path, names: tuple[str, ...] = ("a.jpg", "b c.png")) -> tuple[list[Path], Path]:
    photos = [save_photo(folder / "photos" / name) for name in names]
    masks = folder / "masks"
    masks.mkdir()
    rows = ["image,instance,label"]
    for turn, photo in enumerate(photos):
        labels = hard_labels() if turn == 0 else hard_labels()[::-1]
        Image.fromarray(np.ascontiguousarray(labels).astype(np.uint16)).save(masks / f"{photo.stem}.png")
        rows += [f'{photo.name},{i},"{label}"' for i, label in CLASSES.items()]
    (masks / "labels.csv").write_text("\n".join(rows) + "\n")
    return photos, masks


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"csv", "vocxml"}))
def test_round_trip_keeps_every_instance_and_class(tmp_path: Path, name: str) -> None:
    photos, masks = write_png_source(tmp_path)
    loaded = convert(photos, masks, name, tmp_path / "out")
    assert (loaded.format, loaded.read, loaded.problems, loaded.missing) == ("png", 2, [], [])
    assert recognise(tmp_path / "out") == name
    back, problems = load_annotations(photos, tmp_path / "out")
    assert problems == []
    assert [photo.name for photo in back] == ["a", "b c"]
    for photo, true in zip(back, (hard_labels(), hard_labels()[::-1]), strict=True):
        assert len(photo.ids) == 7
        for i in range(1, 8):
            found = np.unique(photo.labels[true == i])
            assert len(found) == 1
            assert np.array_equal(photo.labels == found[0], true == i)
            assert photo.classes[int(found[0])] == CLASSES[i]


def test_png_ids_survive_as_they_are(tmp_path: Path) -> None:
    photos, masks = write_png_source(tmp_path, ("a.jpg",))
    sparse = np.where(hard_labels() > 0, hard_labels() * 1000, 0)
    Image.fromarray(sparse.astype(np.uint16)).save(masks / "a.png")
    (photo,), _ = load_annotations(photos, masks)
    assert photo.ids == [1000 * i for i in range(1, 8)]
    assert photo.labels.dtype == np.int32


class TestFaultyMasks:
    def test_each_is_one_sentence(self, tmp_path: Path) -> None:
        names = ("good", "small", "empty", "rgb", "cut", "bare", "broken")
        photos = [save_photo(tmp_path / "photos" / f"{name}.jpg") for name in names]
        photos[-1].write_bytes(b"no photo")
        masks = tmp_path / "masks"
        masks.mkdir()
        good = hard_labels().astype(np.uint16)
        for name in ("good", "cut", "broken", "stray"):
            Image.fromarray(good).save(masks / f"{name}.png")
        (masks / "cut.png").write_bytes((masks / "cut.png").read_bytes()[:60])
        Image.fromarray(good[:30]).save(masks / "small.png")
        Image.fromarray(good * 0).save(masks / "empty.png")
        Image.new("RGB", (WIDTH, HEIGHT), "red").save(masks / "rgb.png")
        found, problems = load_annotations(photos, masks)
        text = "\n".join(problems)
        assert [photo.name for photo in found] == ["good"]
        for part in (
            "small.png: is 80 × 30 pixels, its upright photo 80 × 60",
            "empty.png: is empty",
            "rgb.png: is a colour picture (RGB)",
            "cut.png: is damaged",
            "stray.png: its photo is not among those given",
            "bare.jpg: has no annotation",
            "broken.jpg: is not a picture",
        ):
            assert part in text
        assert len(problems) == 7

    def test_photos_of_one_stem(self, tmp_path: Path) -> None:
        photos = [save_photo(tmp_path / "photos" / name) for name in ("a.jpg", "a.png")]
        (tmp_path / "masks").mkdir()
        Image.fromarray(hard_labels().astype(np.uint8)).save(tmp_path / "masks" / "a.png")
        found, problems = load_annotations(photos, tmp_path / "masks")
        assert found == [] and "several photos are called a" in problems[0]


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_mask_of_the_photo_as_stored_is_turned_upright(tmp_path: Path, orientation: int) -> None:
    """The photo itself, read upright, says where its bright corner went."""
    from retail_seg.photos.load import load_photo

    stored = np.zeros((HEIGHT, WIDTH), np.uint8)
    stored[:20, :30] = 255
    exif = Image.Exif()
    exif[274] = orientation
    (tmp_path / "masks").mkdir()
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    Image.fromarray((stored > 0).astype(np.uint8)).save(tmp_path / "masks" / "a.png")
    (found,), problems = load_annotations([tmp_path / "a.png"], tmp_path / "masks")
    assert found.labels.shape == (WIDTH, HEIGHT)
    assert np.array_equal(found.labels > 0, load_photo(tmp_path / "a.png")[:, :, 0] > 0)
    assert len(problems) == 1 and "was turned upright" in problems[0]


def test_a_mask_of_the_upright_photo_stays(tmp_path: Path) -> None:
    photo = save_photo(tmp_path / "a.jpg", orientation=6)
    (tmp_path / "masks").mkdir()
    labels = np.ascontiguousarray(hard_labels().T).astype(np.uint8)
    Image.fromarray(labels).save(tmp_path / "masks" / "a.png")
    (found,), problems = load_annotations([photo], tmp_path / "masks")
    assert np.array_equal(found.labels, labels) and problems == []


def test_a_mask_on_its_side_without_exif_is_refused(tmp_path: Path) -> None:
    photo = save_photo(tmp_path / "a.jpg")
    (tmp_path / "masks").mkdir()
    Image.fromarray(np.ascontiguousarray(hard_labels().T).astype(np.uint8)).save(tmp_path / "masks" / "a.png")
    found, problems = load_annotations([photo], tmp_path / "masks")
    assert found == [] and "lies on its side" in problems[0]


def test_unknown_paths_and_formats(tmp_path: Path) -> None:
    photo = save_photo(tmp_path / "photos" / "a.png")
    with pytest.raises(AnnotationError, match="no such file or folder"):
        recognise(tmp_path / "none")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "odd.json").write_text("[1, 2]")
    for path in (tmp_path, tmp_path / "notes.txt", tmp_path / "odd.json"):
        with pytest.raises(AnnotationError, match="is no annotation format that is known"):
            recognise(path)
    (tmp_path / "masks").mkdir()
    Image.fromarray(hard_labels().astype(np.uint8)).save(tmp_path / "masks" / "a.png")
    with pytest.raises(AnnotationError, match="no such format; one of"):
        convert([photo], tmp_path / "masks", "pascal", tmp_path / "out")
    with pytest.raises(AnnotationError, match=r"holds the photo a\.png"):
        convert([photo], tmp_path / "masks", "png", tmp_path / "photos")
    with pytest.raises(AnnotationError, match="holds the annotations that are read"):
        convert([photo], tmp_path / "masks", "png", tmp_path / "masks")
    with pytest.raises(AnnotationError, match="no photo has a usable annotation"):
        convert([save_photo(tmp_path / "other" / "z.png")], tmp_path / "masks", "coco", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_titles_name_every_format() -> None:
    assert {annotations.title(name) for name in FORMATS} >= {"COCO JSON", "LabelMe JSON", "instance-id PNG"}
