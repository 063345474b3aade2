"""The benchmark's stages on little: both sides run, what they find is the same, goals stand beside the figures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from discs import annotated_discs

from retail_seg.bench.benchmark import floors, many, peers, synthetic, training, whole_scan
from retail_seg.bench.benchmark.many import benchmark_many
from retail_seg.bench.benchmark.measure import Reading, Section, faster, in_turns, machine
from retail_seg.bench.benchmark.profile import Stage, document, next_steps, profile_scan
from retail_seg.bench.benchmark.whole_scan import agree, peer_pipeline, plain_match
from retail_seg.bench.comparison.job import Comparison, ComparisonJob, Result
from retail_seg.cli.benchmark import benchmark
from retail_seg.errors import MissingExtraError
from retail_seg.matcher import Matcher
from retail_seg.segmentation.instances.instances import Instances

LABELS, REFERENCES = 60, 2


@pytest.fixture(scope="module", autouse=True)
def few_designs() -> Iterator[None]:
    """Stores and photos have ten different packs: to render and embed all forty takes as long as all else here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic, "DESIGNS", 10)
        yield


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small made-up store."""
    folder = tmp_path_factory.mktemp("benchmark")
    synthetic.store_in(folder, LABELS, REFERENCES)
    return folder


@pytest.fixture(scope="module")
def matcher(work: Path) -> Iterator[Matcher]:
    with Matcher.open(synthetic.store_in(work, LABELS, REFERENCES)) as opened:
        yield opened


def test_a_made_up_photo_knows_its_packs() -> None:
    photo = synthetic.made_photo(7, 0.5)
    assert photo.photo.shape == (*photo.labels.shape, 3) and photo.photo.dtype == np.uint8
    assert sorted(np.unique(photo.labels)) == list(range(8)) and len(photo.skus) == 7
    np.testing.assert_array_equal(photo.photo, synthetic.made_photo(7, 0.5).photo)


def test_a_made_up_store_knows_the_packs(matcher: Matcher) -> None:
    assert matcher.catalogue.count_products() == LABELS
    assert matcher.catalogue.count_references() == LABELS * REFERENCES
    photo = synthetic.made_photo(6, 1.0)
    report = matcher.report(photo.photo, Instances.from_labels(photo.labels), "photo")
    best = [line.matches[0].sku for line in report.instances]
    assert sum(a == b for a, b in zip(best, photo.skus, strict=True)) >= 5


def test_the_scan_and_plain_parts_name_the_same_products(matcher: Matcher) -> None:
    photo = synthetic.made_photo(6, 1.0)
    found = agree(matcher, photo)
    assert found.same == 1.0 and 0 <= found.right <= found.found <= 1
    assert set(plain_match(matcher, photo.photo, Instances.from_labels(photo.labels))) <= set(photo.skus)


def test_many_photos_report_floors_and_memory(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "PHOTOS", 2)
    monkeypatch.setattr(many, "_EVERY", 3)
    found = benchmark_many(work, count=5, labels=LABELS, references=REFERENCES, packs=2, megapixels=0.1, workers=2)
    data = found.to_dict()
    assert set(data["floors"]) == {"decode", "segment", "cut and outline", "embed and match", "report"}
    assert data["photos"] == 5 and len(data["memory_mb"]) == 2
    assert "<= 1.15 x" in found.table()


def test_the_profile_is_written_with_floors_and_three_next_steps(work: Path) -> None:
    few, more = (
        profile_scan(work, labels=LABELS, references=REFERENCES, packs=packs, megapixels=0.5, rounds=1)
        for packs in (2, 4)
    )
    text = document([few, more])
    assert all(f"| {stage.name} |" in text and stage.floor >= 0 for stage in few.stages)
    assert len(next_steps(few.stages)) == 3 and text.count("above its floor") == 6
    assert "Machine: " in text and "GFLOP/s" in text and "with 2 packs" in text and "with 4 packs" in text
    assert text.count("Energy: ") == 2 and text.count(" meanwhile") == 2
    once = sum(stage.floor for stage in few.stages if stage.name != "search")
    whole = few.section.rows[-1]
    assert whole.ratio == pytest.approx(few.section.data["whole_s"] / once)


def test_the_furthest_from_its_floor_is_named_first() -> None:
    stages = [Stage("decode", 1.0, 0.9, ""), Stage("group", 0.5, 0.0, ""), Stage("enlarge", 0.3, 0.1, ""),
              Stage("report", 0.05, 0.0, "")]  # fmt: skip
    assert [text.split("**")[1] for text in next_steps(stages)] == ["group", "enlarge", "decode"]


def test_trainings_are_held_against_each_other_and_what_fails_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(job: ComparisonJob, methods: list[str], show: object) -> Comparison:
        if methods == ["smp-unet"]:
            return Comparison(job, (), {"smp-unet": "needs a package"})
        scores = {"kept back": {"f1_50": 0.9, "f1_75": 0.8, "exact_count": 0.5, "fg_iou": 0.95}}
        return Comparison(job, (Result(methods[0], job.key, 1, {}, 7.0, 0.1, 0.1, 1, 1, scores),))

    monkeypatch.setattr(training, "run_all", run)
    monkeypatch.setattr(training, "rendered_scenes", annotated_discs)
    found = training.benchmark_training(tmp_path, minutes=0.1, photos=3, tests=2)
    rows = {row.name: (row.ours, row.peer) for row in found.rows}
    assert rows["F1 at IoU 0.75"] == ("0.800", "-") and rows["work of the training"] == ("7 s", "-")
    assert "smp-unet: needs a package" in found.notes and "3 photos, 0.1 minutes each, 2 photos" in found.title
    assert found.to_dict()["scores"]["retail-seg"]["f1_50"] == 0.9


def test_without_smp_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"retail-seg\[compare\]"):
        peers.smp_unet()


@pytest.mark.skipif(find_spec("segmentation_models_pytorch") is None, reason="the extra 'compare' is not installed")
def test_the_peers_take_a_photo_apart() -> None:
    photo = synthetic.made_photo(2, 0.05).photo
    labels = peers.smp_segment(peers.smp_unet())(photo)
    assert labels.shape == photo.shape[:2] and labels.dtype == np.int32


@pytest.mark.skipif(find_spec("segmentation_models_pytorch") is None, reason="the extra 'compare' is not installed")
def test_the_peer_says_the_same_crop_by_crop_and_many_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_scan, "_SEEN", (160, 128))  # its U-Net takes seconds at its own size
    made = synthetic.made_photo(3, 0.1)
    path = tmp_path / "photo.jpg"
    path.write_bytes(made.jpeg())
    many, single = (json.loads(peer_pipeline(path, made, 200, at_once)()) for at_once in (2, 1))
    assert many["count"] == single["count"] == 3
    for one, other in zip(many["instances"], single["instances"], strict=True):
        assert (one["box"], one["ids"]) == (other["box"], other["ids"]) and len(one["ids"]) == 5
        assert one["scores"] == pytest.approx(other["scores"], abs=1e-4)


def test_vgg16_gives_unit_vectors_that_tell_crops_apart() -> None:
    crops = [np.full((40, 30, 3), colour, np.uint8) for colour in (20, 200)]
    vectors = peers.vgg16_vectors(peers.vgg16(), crops)
    assert vectors.shape == (2, 512) and np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    assert vectors[0] @ vectors[1] < 0.9999


def test_operations_of_a_layer_are_counted() -> None:
    import torch
    from torch import nn

    module = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Flatten(), nn.Linear(8 * 16, 5))
    assert floors.gflop(module, torch.zeros(1, 3, 4, 4)) == pytest.approx(2e-9 * (16 * 8 * 27 + 5 * 128))


def test_rows_say_whether_a_goal_is_reached() -> None:
    rows = [faster("fast", 0.1, 1.0, 8.0), faster("slow", 0.5, 1.0, 8.0), Reading("free", "1 ms")]
    section = Section("Title", rows, ["a note"], {"x": 1.23456})
    assert [row.reached for row in rows] == [True, False, None] and rows[0].ratio == pytest.approx(10)
    assert "reached" in section.table() and "MISSED" in section.table() and "a note" in section.table()
    assert section.to_dict() == {"x": 1.2346, "goals": {"fast": True, "slow": False}}


def test_works_take_turns_after_one_call_that_does_not_count() -> None:
    calls: list[str] = []
    taken = in_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2)
    assert calls == ["a", "b"] * 3 and set(taken) == {"a", "b"}


def test_a_stage_ends_with_one_json_line_that_names_the_machine(work: Path) -> None:
    arguments = [
        "start",
        "--labels",
        str(LABELS),
        "--references",
        str(REFERENCES),
        "--rounds",
        "1",
        "--work",
        str(work),
    ]
    done = CliRunner().invoke(benchmark, arguments, standalone_mode=False)
    assert done.exception is None, done.stderr
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    scan = f"scan of 12 MP with 40 packs, {LABELS} labels"
    assert set(found["start"]["goals"]) == {"retail-seg --help", f"match of one crop, {LABELS} labels", scan}
    assert found["machine"]["cores"] == machine()["cores"] and "torch" in found["machine"]["versions"]


def test_the_stand_in_for_nms_keeps_the_best_of_what_overlaps() -> None:
    import torch

    boxes = torch.tensor([[0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30], [0, 0, 2, 2]], dtype=torch.float32)
    kept = peers._suppressed(boxes, torch.tensor([0.1, 0.9, -0.5, 0.3]), 0.5)
    assert kept.tolist() == [1, 3, 2]
    assert peers._suppressed(boxes[:0], torch.zeros(0), 0.5).tolist() == []
