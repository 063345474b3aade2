"""`evaluate retrieval` on drawn labels: lists, scores by hand, table, JSON and plots."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from index.calibration import ONE_REFERENCE
from index.embedder import Embedder
from retail_seg.cli.evaluate import evaluate
from retail_seg.errors import LabelledCropsError
from retail_seg.evaluation.plots import plot_recall, plot_reliability, plot_risk_coverage
from retail_seg.evaluation.retrieval import Answers, evaluate_retrieval, within_reach
from retail_seg.store.crop_lists import load_crops, read_labelled_crops

PRODUCTS, EACH = 9, 4


class Colours(Embedder):
    """The mean colour of each of 4 x 4 fields."""

    name, dim, fingerprint = "colours", 48, "colours-1"

    def _embed_batch(self, crops: list[np.ndarray], masks: list[np.ndarray | None]) -> np.ndarray:
        small = [cv2.resize(crop, (4, 4), interpolation=cv2.INTER_AREA) for crop in crops]
        return np.stack(small).reshape(len(crops), -1).astype(np.float32) + 1


def photo(product: int, take: int) -> np.ndarray:
    """A pack on grey: fields in the product's colours, under another light each time."""
    fields = np.random.default_rng(product).integers(40, 200, (4, 4, 3)).astype(np.uint8)
    pack = cv2.resize(fields, (96, 96), interpolation=cv2.INTER_NEAREST)
    cv2.putText(pack, f"SKU{product}", (4, 56), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255, 255, 255), 2, cv2.LINE_AA)
    picture = np.full((160, 200, 3), 128, np.uint8)
    picture[30:126, 50:146] = np.clip(pack.astype(float) * (1 + 0.1 * take), 0, 255)
    return picture


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("crops")
    gallery, queries = folder / "gallery.csv", folder / "queries.csv"
    rows: dict[Path, list[list[object]]] = {gallery: [], queries: []}
    for product in range(PRODUCTS):
        for take in range(EACH + 2):
            name = f"{product}-{take}.png"
            Image.fromarray(photo(product, take)).save(folder / name)
            rows[gallery if take < EACH else queries].append([name, f"label {product}", 50, 30, 96, 96])
    for path, listed in rows.items():
        write_list(path, listed)
    return gallery, queries


def write_list(path: Path, rows: list[list[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["image", "label", "x", "y", "w", "h"], *rows])


def test_scores_and_plots(lists: tuple[Path, Path], tmp_path: Path) -> None:
    gallery, queries = (read_labelled_crops(path) for path in lists)
    result, errors = evaluate_retrieval(gallery, queries, Colours())
    assert not errors
    assert (result.products, result.references, result.queries) == (PRODUCTS, PRODUCTS * EACH, 2 * PRODUCTS)
    assert [row.references for row in result.rows] == [1, 2, 4]
    assert all(row.top1 <= row.top5 and row.top1 <= row.map <= 1 for row in result.rows)
    assert result.rows[-1].top1 > 0.9
    assert result.strangers is not None and result.strangers.queries_left_out == 2 * PRODUCTS
    assert result.rows[-1].sure_right > 0.5 and 0 <= result.strangers.called_sure <= 1
    assert 0.95 <= result.rows[-1].precision <= 1
    assert "9 products, 36 references, 18 queries" in result.table() and ONE_REFERENCE not in result.table()
    plot_reliability(result, tmp_path / "plots" / "reliability.png")
    plot_recall([result], tmp_path / "plots" / "recall.png")
    plot_risk_coverage(result, tmp_path / "plots" / "risk-coverage.png")
    for name in ("reliability", "recall", "risk-coverage"):
        drawn = np.asarray(Image.open(tmp_path / "plots" / f"{name}.png"))
        assert drawn.shape == (640, 960, 3)
        assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 20


def test_what_is_within_reach_and_the_curve_by_hand() -> None:
    probability, right = np.array([0.9, 0.8, 0.7, 0.6, 0.5]), np.array([True, True, False, True, False])
    assert within_reach(probability, right, 1.0) == 0.4
    assert within_reach(probability, right, 0.75) == 0.6
    assert within_reach(probability, ~right, 0.99) == 0.0
    answered, share = Answers(probability, right, np.array([1, 1, 2, 1, 0])).coverage()
    np.testing.assert_allclose(answered, [0.2, 0.4, 0.8, 1, 1])
    np.testing.assert_allclose(share, [1, 1, 0.5, 0.6, 0.6])


def test_ranks_by_hand(lists: tuple[Path, Path], tmp_path: Path) -> None:
    """One reference each, one of them under the wrong label: that label's queries, and only they, miss."""
    folder = lists[0].parent
    names = [(f"{product}-0.png", f"label {product}") for product in range(PRODUCTS - 1)]
    write_list(folder / "swapped.csv", [[*names[0]], *[[*pair] for pair in names[1:]], ["0-1.png", "label 8"]])
    gallery, queries = read_labelled_crops(folder / "swapped.csv"), read_labelled_crops(lists[1])
    result, _ = evaluate_retrieval(gallery, [row for row in queries if row.label == "label 8"], Colours())
    assert result.rows[-1].top1 == result.rows[-1].plain_top1 == 0
    assert 0 < result.rows[-1].map <= 0.5
    assert ONE_REFERENCE in result.table()


def test_products_that_the_embedder_learned_from_are_scored_apart(lists: tuple[Path, Path]) -> None:
    gallery, queries = (read_labelled_crops(path) for path in lists)
    result, _ = evaluate_retrieval(gallery, queries, Colours(), seen=["label 0", "label 1", "label 2", "unheard of"])
    seen, unseen, alone = result.apart.values()
    assert (3 * seen.top1 + 6 * unseen.top1) / 9 == pytest.approx(result.rows[-1].top1)
    assert alone.top1 >= unseen.top1 > 0.8
    assert "never seen" in result.table() and "products seen in training" in result.to_dict()["apart"]
    everything, _ = evaluate_retrieval(gallery, queries, Colours(), seen=[f"label {n}" for n in range(PRODUCTS)])
    assert everything.apart == {}


def test_the_command_prints_one_json_line(
    lists: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("index.open_embedder", lambda name, weights=None: Colours(), raising=False)
    (tmp_path / "seen").mkdir()
    (tmp_path / "seen" / "labels.txt").write_text("label 1\nlabel 2\n")
    plots = tmp_path / "plots"
    arguments = ["retrieval", *map(str, lists), "--plot", str(plots), "--seen", str(tmp_path / "seen" / "labels.txt")]
    arguments += ["--precision", "0.9", "--strangers", "0.2"]
    done = CliRunner().invoke(evaluate, arguments, standalone_mode=False)
    assert done.exception is None and done.return_value == 0
    (found,) = json.loads(done.stdout)
    assert found["embedder"] == "colours"
    assert [row["references"] for row in found["by_references"]] == [1, 2, 4]
    assert {"precision", "called_sure", "sure_right"} < set(found["left_out"])
    assert found["stated"] == {"precision": 0.9, "likely": 0.5, "strangers": 0.2, "ceiling": None}
    assert "plain top-1" in done.stderr
    assert "products never seen" in found["apart"]
    assert sorted(path.name for path in plots.iterdir()) == [
        "recall.png",
        "reliability-retail-vgg.png",
        "risk-coverage-retail-vgg.png",
    ]


def test_a_bad_picture_is_reported_and_the_rest_scored(lists: tuple[Path, Path]) -> None:
    folder = lists[0].parent
    (folder / "broken.jpg").write_bytes(b"no picture")
    write_list(
        folder / "mixed.csv", [["0-4.png", "label 0"], ["broken.jpg", "label 1"], ["1-4.png", "label 1", 500, 0, 9, 9]]
    )
    result, errors = evaluate_retrieval(
        read_labelled_crops(lists[0]), read_labelled_crops(folder / "mixed.csv"), Colours()
    )
    assert result.queries == 1
    assert [part in str(error) for part, error in zip(("broken.jpg", "lies outside"), errors, strict=True)] == [
        True
    ] * 2


def test_boxes_cut_and_an_empty_box_is_the_whole_picture(lists: tuple[Path, Path]) -> None:
    folder = lists[0].parent
    write_list(folder / "boxes.csv", [["0-0.png", "a", 50, 30, 96, 96], ["0-0.png", "a", "", "", "", ""]])
    (_, cut), (_, whole) = load_crops(read_labelled_crops(folder / "boxes.csv"), 1024)
    np.testing.assert_array_equal(cut, photo(0, 0)[30:126, 50:146])
    np.testing.assert_array_equal(whole, photo(0, 0))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("picture,label\na.png,x\n", "no column image"),
        ("image,label\n", "lists no pictures"),
        ("image,label,x,y,w,h\na.png,b,1,2,,4\n", "line 2.*is no box"),
        ("image,label\n,b\n", "line 2.*empty"),
        (None, "cannot be read"),
    ],
)
def test_bad_lists_are_one_error(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "list.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(LabelledCropsError, match=said):
        read_labelled_crops(path)


def test_lists_without_a_common_label_are_refused(lists: tuple[Path, Path]) -> None:
    folder = lists[0].parent
    write_list(folder / "others.csv", [["0-0.png", "someone else"]])
    with pytest.raises(LabelledCropsError, match="No label of the queries"):
        evaluate_retrieval(read_labelled_crops(lists[0]), read_labelled_crops(folder / "others.csv"), Colours())
