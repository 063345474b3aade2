"""Words and files from outside: searches of any length, JSON of any depth, outlines of any size end in a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from catalogue import Catalogue, Product, listing, scans
from catalogue.listing import count_search, search
from catalogue.records import WORDS, typed_words
from catalogue.tables import BadLine, read_table
from retail_seg.errors import AnnotationError
from retail_seg.segmentation.formats import coco, ground_truth, labelme, rle
from retail_seg.segmentation.formats.base import check_ring, fill_rings, read_json


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    found = Catalogue.create(tmp_path / "catalogue.db", embedder="e", dim=4)
    found.enrol(Product("1", "Cola"), [])
    found.enrol(Product("2", " ".join(f"w{i}" for i in range(20))), [])
    return found


@pytest.mark.parametrize("words", [200, 1_100, 20_000])
def test_a_search_of_many_words_finds_nothing_and_raises_nothing(catalogue: Catalogue, words: int) -> None:
    text = " ".join(f"word{i}" for i in range(words))
    assert search(catalogue, text) == [] and count_search(catalogue, text) == 0


@pytest.mark.parametrize("text", [" ".join(f"word{i}" for i in range(1_100)), "x" * 100_000, "- " * 3_000])
def test_lists_of_products_and_scans_are_searched_by_as_many(catalogue: Catalogue, text: str) -> None:
    assert scans.latest(catalogue, text) == [] and scans.count(catalogue, text) == 0
    for removed in (False, True):
        assert listing.count(catalogue, listing.Filter(text=text, removed=removed)) == 0


def test_words_are_taken_once_in_their_order() -> None:
    assert typed_words("Tea  of tea OF Assam") == ["Tea", "of", "Assam"]
    assert len(typed_words(" ".join(map(str, range(5_000))))) == WORDS


def test_a_word_said_a_thousand_times_is_one_word(catalogue: Catalogue) -> None:
    for text in ("cola " * 1_100, "cola Cola COLA " * 700):
        assert [product.sku for product in search(catalogue, text)] == ["1"] and count_search(catalogue, text) == 1


def test_a_long_name_is_found_by_all_its_words_and_words_past_the_limit_are_not_looked_at(catalogue: Catalogue) -> None:
    name = " ".join(f"w{i}" for i in range(20))
    assert [product.sku for product in search(catalogue, name)] == ["2"]
    assert search(catalogue, f"{name} other") == []
    padded = " ".join([name, *(f"w1{'0' * i}" for i in range(1, WORDS))])
    assert search(catalogue, padded) == []


def test_one_word_of_a_million_letters_is_a_search_as_any(catalogue: Catalogue) -> None:
    assert search(catalogue, "x" * 1_000_000) == [] and count_search(catalogue, "x" * 1_000_000) == 0


NESTED = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize("text", [NESTED, '{"shapes": ' + NESTED + "}", "[" + "9" * 10_000 + "]"])
def test_json_that_python_cannot_hold_is_not_readable(tmp_path: Path, text: str) -> None:
    path = tmp_path / "annotations.json"
    path.write_text(text)
    with pytest.raises(AnnotationError, match=r"annotations\.json: is not readable JSON"):
        read_json(path)
    assert not coco.recognises(path) and not labelme.recognises(path)


def test_an_annotation_file_is_measured_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "annotations.json"
    with path.open("wb") as file:
        file.truncate(2 * 2**30)  # takes no room on the disk
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: pytest.fail("the file was read"))
    with pytest.raises(AnnotationError, match=r"is larger than 1024 MB; split it"):
        read_json(path)


def test_a_line_of_a_manifest_that_is_nested_too_deeply_is_told(tmp_path: Path) -> None:
    path = tmp_path / "output.manifest"
    path.write_text(f'{{"source-ref": "a.jpg", "x": {NESTED}}}\n')
    (found,) = ground_truth.read(path)
    assert isinstance(found, AnnotationError) and "line 1: is not JSON" in str(found)


def test_a_line_of_a_table_that_is_nested_too_deeply_is_a_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "products.jsonl"
    deep = "[" * 600 + "1" + "]" * 600
    path.write_text('{"sku": "1", "name": "Cola"}\n{"sku": "2", "name": ' + deep + "}\n")
    rows = list(read_table(lambda: path.open("rb"), "products.jsonl", lambda row: []).rows)
    assert rows[0] == (1, {"sku": "1", "name": "Cola"})
    assert isinstance(rows[1], BadLine) and "not JSON" in rows[1].reason


def test_run_lengths_that_wrap_round_do_not_fill_a_picture() -> None:
    for runs in ([2**62, 2**62, 2**62, 2**62 + 16], [2**70], [float("inf")]):
        with pytest.raises(AnnotationError, match="run lengths"):
            coco._rle_region({"size": [4, 4], "counts": runs}, "annotation 1", 4, 4)
    with pytest.raises(AnnotationError, match="run lengths"):
        rle.unpack_runs("o" * 100_000)


def test_an_outline_far_outside_of_any_photo_is_refused() -> None:
    for far in (1e308, -1e308, 1e12):
        with pytest.raises(AnnotationError, match="far outside"):
            check_ring([[0, 0], [far, 5], [5, far]], "annotation 1")


def test_an_outline_that_crosses_every_row_too_often_is_refused() -> None:
    ring = np.zeros((20_000, 2))
    ring[::2, 1] = 10_000
    ring[:, 0] = np.arange(20_000)
    with pytest.raises(AnnotationError, match="too long"):
        fill_rings([ring], 10_000, 10_000)


@pytest.mark.parametrize("point", [[1e999, 0], [0, -1e999]])
def test_a_mask_laid_at_infinity_has_no_readable_data(point: list[float]) -> None:
    shape = {"shape_type": "mask", "label": "a", "points": [point, [3, 3]], "mask": "AAAA"}
    drawing = labelme._draw({"shapes": [shape]}, 4, 4)
    assert "without readable data" in drawing.problems[0]


@pytest.mark.parametrize("up", ["absolute", "above", "encoded"])
def test_a_manifest_reads_no_picture_outside_of_its_job(tmp_path: Path, up: str) -> None:
    job = tmp_path / "a" / "b" / "c" / "job"
    job.mkdir(parents=True)
    secret = tmp_path / "secret" / "mask.png"
    secret.parent.mkdir()
    secret.write_bytes(b"")
    reference = {"absolute": str(secret), "above": "../../../../secret/mask.png",
                 "encoded": "s3://bucket/..%2F..%2F..%2F..%2Fsecret%2Fmask.png"}[up]  # fmt: skip
    with pytest.raises(AnnotationError, match="is not beside the manifest"):
        ground_truth._locate(job, reference)
    (job / "mask.png").write_bytes(b"")
    assert ground_truth._locate(job, reference) == job / "mask.png"


def test_a_manifest_in_a_zip_looks_nowhere_outside_of_what_was_unpacked() -> None:
    from retail_seg.teaching import imports

    assert len(Path(imports.UNPACKED).parts) > 3


def test_the_names_of_a_yolo_set_are_measured_before_they_are_read(tmp_path: Path) -> None:
    from retail_seg.segmentation.formats import yolo

    with (tmp_path / "data.yaml").open("wb") as file:
        file.truncate(2 * 2**30)
    (tmp_path / "a.txt").write_text("0 0 0 1 0 1 1\n")
    with pytest.raises(AnnotationError, match=r"data\.yaml: is larger than"):
        list(yolo.read(tmp_path))


def test_json_dumps_is_what_the_tests_above_build_on() -> None:
    with pytest.raises(RecursionError):
        json.loads(NESTED)
