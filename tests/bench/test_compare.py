from __future__ import annotations

import json
import re
import signal
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from click.testing import Result as Called
from discs import write_discs

from retail_seg.bench.comparison import methods as bench
from retail_seg.bench.comparison.job import (
    Comparison,
    ComparisonError,
    Job,
    Result,
    quality_of,
    ranked,
    read_curve,
    read_result,
)
from retail_seg.bench.comparison.manifests import change_note, changed_since, previous_job, whole_manifest
from retail_seg.bench.comparison.memory import peak_mb, reset_peak
from retail_seg.bench.comparison.methods import BenchMethod, Ready, all_methods, recipe_of, spread
from retail_seg.bench.comparison.overlays import MISSED, RIGHT, WRONG, mask_overlay
from retail_seg.bench.comparison.report import write_report
from retail_seg.bench.comparison.runner import check_folder, chosen_methods, held_out, job_of, run_all, run_apart
from retail_seg.bench.comparison.worker import main, run_method
from retail_seg.cli import cli
from retail_seg.errors import AnnotationError, ManifestError, MissingExtraError
from retail_seg.runs.reading import Runs
from retail_seg.segmentation.annotations import AnnotatedPhoto, load_annotations
from retail_seg.segmentation.instances.instances import Instances
from retail_seg.segmentation.network.config import SegmenterConfig
from retail_seg.segmentation.training.manifest import manifest_of, open_manifest, read_manifest, split, write_manifest


@pytest.fixture(autouse=True)
def _own_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETAIL_SEG_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def make_photos(folder: Path, count: int, seed: int = 0) -> tuple[Path, Path]:
    """Photos of discs in `folder`/photos, their ids in `folder`/masks, by names that tell the seed."""
    return write_discs(folder, count, seed=seed, prefix=f"p{seed}")


def annotated_in(photos: Path, masks: Path) -> list[AnnotatedPhoto]:
    return load_annotations(sorted(photos.iterdir()), masks)[0]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    some = annotated_in(*make_photos(tmp_path, 5))
    return job_of(tmp_path / "out", some[:3], [("held out", some[3:])], minutes=0.1)


def result_of(name: str, key: str, value: float, **more: object) -> Result:
    scores = {"fg_iou": value, "f1_50": value, "f1_75": value, "exact_count": value, "count_error": 1 - value}
    values = {"knobs": 1, "settings": {}, "train_seconds": 1.0, "seconds": 0.1, "work_seconds": 0.1, "train_mb": 1,
              "segment_mb": 1}  # fmt: skip
    return Result(method=name, key=key, scores={"held out": scores}, **{**values, **more})  # type: ignore[arg-type]


def thresholding(job: Job, folder: Path, report: object) -> Ready:
    def segment(photo: np.ndarray) -> Instances:
        _, labels = cv2.connectedComponents((photo.mean(2) > 80).astype(np.uint8))
        return Instances.from_labels(labels)

    return Ready(segment, 1, {"level": 80}, 0.5, "A note.", seconds=70.0)


def invoke(*words: object) -> Called:
    return CliRunner().invoke(cli, ["compare", *map(str, words)], standalone_mode=False)


def test_every_method_is_told_apart_and_stands_in_the_help() -> None:
    methods = all_methods()
    assert len(methods) == 24 and len({one.title for one in methods.values()}) == 24
    assert all(one.text and one.kind in (bench.CLASSICAL, bench.LEARNED) for one in methods.values())
    words = set(re.findall(r"[a-z0-9-]+", CliRunner().invoke(cli, ["compare", "--help"]).output))
    assert set(methods) <= words
    assert list(methods)[-1] == "ensemble"
    assert recipe_of("unet", True).config == SegmenterConfig()
    assert recipe_of("fcn", False).config.architecture == "fcn"


def test_a_job_comes_back_from_its_file_and_its_key_follows_what_matters(job: Job) -> None:
    assert Job.read(job.folder / "job.json") == job
    assert replace(job, minutes=0.2).key != job.key != replace(job, seed=1).key
    assert [one.labels.max() for one in job.train.read()] == [2, 2, 2]
    assert job.shown == (("held out", "p03"), ("held out", "p04"))


def test_a_method_is_run_scored_and_kept_with_its_pictures(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    method = BenchMethod("otsu", "A title", "A text.", bench.CLASSICAL, thresholding)
    monkeypatch.setattr("retail_seg.bench.comparison.worker.all_methods", lambda: {"otsu": method})
    reports: list[tuple[str, float]] = []
    result = run_method(job, "otsu", lambda share, what: reports.append((what, share)))
    assert result.quality == 1 and result.scores["held out"]["photos"] == 2 and result.settings == {"level": 80}
    assert result.train_seconds == 70  # with what an interrupted process had done before
    assert result.seconds > 0 and result.segment_mb >= 0 and reports[-1] == ("testing", 1.0)
    folder = job.method_folder("otsu")
    assert read_result(folder, job.key) == result and read_result(folder, "another") is None
    assert sorted(p.name for p in folder.glob("*.png")) == [
        "instances-held-out-p03.png", "instances-held-out-p04.png", "mask-held-out-p03.png", "mask-held-out-p04.png"
    ]  # fmt: skip


def test_the_worker_says_in_one_sentence_what_it_wants(
    job: Job, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wants(job: Job, folder: Path, report: object) -> Ready:
        raise MissingExtraError("it needs a package: pip install it")

    method = BenchMethod("otsu", "A title", "A text.", bench.CLASSICAL, wants)
    monkeypatch.setattr("retail_seg.bench.comparison.worker.all_methods", lambda: {"otsu": method})
    before = signal.getsignal(signal.SIGTERM)
    assert main([str(job.folder / "job.json"), "otsu"]) == 3
    assert json.loads(capsys.readouterr().out) == {"error": "it needs a package: pip install it"}
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_fails_is_one_sentence_and_the_rest_goes_on(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def apart(given: Job, name: str, show: object) -> Result:
        calls.append(name)
        if name == "fcn":
            raise MissingExtraError("needs a package")
        result_of(name, given.key, 0.5).write(given.method_folder(name))
        return result_of(name, given.key, 0.5)

    monkeypatch.setattr("retail_seg.bench.comparison.runner.run_apart", apart)
    finished: list[tuple[str, bool]] = []
    for name in ("otsu", "fcn", "mean"):
        job.method_folder(name).mkdir(parents=True)
    names = ["otsu", "fcn", "mean"]
    for _ in range(2):
        comparison = run_all(job, names, print, lambda result, before: finished.append((result.method, before)))
    assert comparison.left_out == {"fcn": "needs a package"} and len(comparison.results) == 2
    assert calls == ["otsu", "fcn", "mean", "fcn"]  # what was finished is not done again
    assert finished == [("otsu", False), ("mean", False), ("otsu", True), ("mean", True)]


def test_another_shipped_model_repeats_only_what_begins_with_it(
    job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls: list[str] = []

    def apart(given: Job, name: str, show: object) -> Result:
        calls.append(name)
        model = given.method_folder(name) / "model"
        model.mkdir(parents=True, exist_ok=True)
        (model / "weights.safetensors").write_text(f"{name} {shipped.read_text()}" if name == "retail-seg" else name)
        done = result_of(name, all_methods()[name].key(given), 0.5, validation=0.5)
        done.write(given.method_folder(name))
        return done

    shipped = tmp_path / "shipped" / "weights.safetensors"
    shipped.parent.mkdir()
    monkeypatch.setattr("retail_seg.segmentation.segmenter.SHIPPED", shipped.parent)
    monkeypatch.setattr("retail_seg.bench.comparison.runner.run_apart", apart)
    names = ["otsu", "retail-seg-shipped", "retail-seg", "unet", "ensemble"]
    for text in ("one", "one", "another"):
        shipped.write_text(text)
        run_all(job, names, print)
    assert calls == [*names, "retail-seg-shipped", "retail-seg", "ensemble"]
    run_all(job, ["unet", "smp-unet", "ensemble"], print)
    assert calls[-2:] == ["smp-unet", "ensemble"]  # a new member makes another ensemble


def test_a_method_that_dies_is_named_with_its_log(job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "python"
    script.write_text(f"#!{sys.executable}\nimport sys\nprint('not json')\nsys.exit('it broke')\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    with pytest.raises(ComparisonError, match=r"failed \(it broke\); see .*log\.txt"):
        run_apart(job, "otsu", lambda *given: None)
    script.write_text("#!/bin/sh\nkill -9 $$\n")
    with pytest.raises(ComparisonError, match="ended by signal 9"):
        run_apart(job, "otsu", lambda *given: None)


def test_an_interruption_ends_the_worker(job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script, mark = tmp_path / "python", tmp_path / "ended"
    script.write_text(
        f'#!/bin/sh\ntrap \'touch {mark}; exit 130\' TERM\necho \'{{"share": 0.5, "text": "training"}}\'\n'
        "while true; do sleep 0.1; done\n"
    )
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))

    def stop(name: str, share: float, what: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_apart(job, "otsu", stop)
    assert mark.exists()


def test_the_ranking_is_by_quality_then_outline_then_time() -> None:
    assert quality_of({"f1_50": 0.9, "f1_75": 0.6, "exact_count": 0.3}) == pytest.approx(0.6)
    slow, fast = result_of("slow", "k", 0.5, work_seconds=2.0), result_of("fast", "k", 0.5)
    assert [one.method for one in ranked([slow, result_of("best", "k", 0.9), fast])] == ["best", "fast", "slow"]


def test_the_page_needs_nothing_beside_itself(job: Job) -> None:
    results = ranked([
        result_of("otsu", job.key, 0.4, seconds=0.25), result_of("retail-seg", job.key, 0.8),
        result_of("ensemble", job.key, 0.85, settings={"members": ["retail-seg", "fcn"]}),
    ])  # fmt: skip
    page = write_report(Comparison(job, results, {"fcn": "needs <a> package"}), "a machine & a half")
    text = page.read_text(encoding="utf-8")
    assert "needs &lt;a&gt; package" in text and "a machine &amp; a half" in text
    assert text.index("id='ensemble'") < text.index("id='retail-seg'") < text.index("id='otsu'")
    assert "Against the best of them alone (retail-seg) its quality changes by +0.050" in text
    assert not re.findall(r"(?:src|href)='(?!data:|#)", text) and "<script" not in text
    assert text.count("data:image/jpeg;base64,") == 4  # the truth of both photos, mask and instances
    assert re.findall(r"<img alt='([^']*)'", text) == [
        f"{kind} of held out · {name} · 2 things: the truth"
        for name in ("p03", "p04") for kind in ("Mask", "Instances")
    ]  # fmt: skip
    assert text.count("<td>100 ms</td><td>250 ms *</td>") == 1 and text.count("<td>100 ms</td><td>100 ms</td>") == 2
    for anchor in re.findall(r"href='#([^']+)'", text):
        assert f"id='{anchor}'" in text
    numbers = json.loads((page.parent / "results.json").read_text())
    assert [row["method"] for row in numbers["ranking"]] == ["ensemble", "retail-seg", "otsu"]
    assert numbers["left_out"] == {"fcn": "needs <a> package"}


def test_the_mask_overlay_tells_right_from_wrong() -> None:
    true, found = np.zeros((30, 40), np.int32), np.zeros((30, 40), np.int32)
    true[5:15, 5:25] = 1
    found[5:15, 15:35] = 1
    picture = mask_overlay(np.full((30, 40, 3), 100, np.uint8), true, found)
    for colour, column in ((MISSED, 8), (RIGHT, 20), (WRONG, 30)):
        np.testing.assert_allclose(picture[10, column], 0.45 * 100 + 0.55 * np.array(colour), atol=1.5)
    assert (picture[25, 5] == 100).all()


def test_which_photos_are_held_out(tmp_path: Path) -> None:
    photos, masks = make_photos(tmp_path, 10)
    some = annotated_in(photos, masks)
    first, again = held_out(some, masks, 0), held_out(some, masks, 0)
    assert [one.name for one in first] == [one.name for one in again] and len(first) == 4
    with pytest.raises(ComparisonError, match="4 annotated photos are too few"):
        held_out(some[:4], masks, 0)
    with pytest.raises(ComparisonError, match=r"p00\.png: is to be learned from and tested on"):
        job_of(tmp_path / "out", some[:4], [("again", some[:2])], minutes=1)
    assert spread(10, 3) == [0, 4, 9] and spread(2, 3) == [0, 1]


def test_refusals(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ComparisonError, match="holds other files"):
        check_folder(tmp_path)
    with pytest.raises(ComparisonError, match="is a file"):
        check_folder(tmp_path / "notes.txt")
    with pytest.raises(ComparisonError, match="octopus: no such method; one of mean, otsu"):
        chosen_methods(["octopus"])
    assert chosen_methods(["fcn", "otsu"]) == ["otsu", "fcn"]


def test_memory_is_measured_and_set_back() -> None:
    before = peak_mb()
    block = np.ones(40 * 2**20, np.uint8)
    assert peak_mb() > before or before == 0
    high = peak_mb()
    del block
    reset_peak()
    assert peak_mb() <= high


def test_the_command_compares_and_resumes(tmp_path: Path) -> None:
    photos, masks = make_photos(tmp_path, 5)
    tests, truth = make_photos(tmp_path / "more", 2, seed=1)
    (tmp_path / "list.txt").write_text("p00\np01\np02\n")
    words = [photos, "--annotations", masks, "--methods", "otsu", "--minutes", "0.1", "--out", tmp_path / "out",
             "--photos-list", tmp_path / "list.txt", "--test", tests, "--test-annotations", truth]  # fmt: skip
    called = invoke(*words)
    assert called.exception is None and called.return_value == 0, called.output
    line = json.loads(called.stdout.splitlines()[-1])
    assert line["tests"] == {"held out": 2, "more": 2} and line["trained_on"] == 3
    assert line["ranking"][0]["method"] == "otsu" and line["ranking"][0]["quality"] > 0.9
    assert (tmp_path / "out" / "report.html").is_file() and "(finished before)" not in called.stderr
    assert "(finished before)" in invoke(*words).stderr


def test_the_data_of_a_comparison_is_a_manifest_beside_the_report_and_on_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def apart(job: Job, name: str, show: object) -> Result:
        result = result_of(name, job.key, 0.5)
        return replace(result, scores={one.name: result.scores["held out"] for one in job.tests})

    monkeypatch.setattr("retail_seg.bench.comparison.runner.run_apart", apart)
    photos, masks = make_photos(tmp_path, 6)
    tests, truth = make_photos(tmp_path / "more", 2, seed=1)
    made = split(manifest_of(annotated_in(photos, masks), masks), test_share=0.5)
    write_manifest(made, tmp_path / "set.json")
    words = ["--manifest", tmp_path / "set.json", "--test", tests, "--test-annotations", truth, "--methods", "otsu"]
    assert invoke(*words, "--out", tmp_path / "out").return_value == 0
    job = Job.read(tmp_path / "out" / "job.json")
    assert sorted(job.train.photos) == sorted(made.photos("train", "held-back"))
    assert {one.name: sorted(one.photos) for one in job.tests} == {
        "held out": sorted(made.photos("test")), "more": sorted(tests.iterdir())
    }  # fmt: skip
    own, further = (read_manifest(tmp_path / "out" / name) for name in ("manifest.json", "manifest-more.json"))
    assert own.counts() == {"train": 3, "held-back": 0, "test": 3} and further.counts()["test"] == 2
    assert len(open_manifest(own)) == 6 and [one.instances for one in further.entries] == [2, 2]
    runs = Runs()
    (run,) = runs.all(kind="compare", limit=5)
    assert {"manifest.json", "manifest-more.json", "report.html", "results.json"} <= set(runs.artifacts(run))
    assert run.tags["data"] == whole_manifest(job).fingerprint and run.tags["photos"] == "3 train, 5 test"
    next(photos.iterdir()).unlink()
    with pytest.raises(ManifestError, match=r"p0\d\.png is missing"):
        CliRunner().invoke(cli, ["compare", *map(str, words), "--out", str(tmp_path / "out")], standalone_mode=False,
                           catch_exceptions=False)  # fmt: skip


def test_what_has_changed_is_noticed_before_a_method_starts(job: Job, tmp_path: Path) -> None:
    assert change_note(None, job) == change_note(job, job) == "" and previous_job(job.folder) == job
    assert "(time, seed, steps or the way of measuring)" in change_note(job, replace(job, minutes=1.0))
    first, second = job.train.photos[:2]
    cv2.imwrite(str(first), cv2.imread(str(second)))
    with pytest.raises(AnnotationError, match=r"p00\.png: has changed since the comparison began"):
        job.train.read()
    some = annotated_in(first.parent, tmp_path / "masks")
    now = job_of(tmp_path / "out", some[:2], [("held out", some[3:])], minutes=0.1)
    assert changed_since(job, now) == ["p00.png has changed", "p02.png is no longer in it"]
    assert changed_since(now, job) == ["p00.png has changed", "p02.png is new"]
    some[2].path.unlink()
    assert "p00.png has changed, p02.png is missing); every method is done afresh" in change_note(job, now)
    with pytest.raises(AnnotationError, match=r"p02\.png: cannot be read any more"):
        replace(job, train=replace(job.train, **{  # type: ignore[arg-type]
            key: getattr(job.train, key)[2:] for key in ("photos", "ids", "hashes", "instances")
        })).train.read()  # fmt: skip


def test_the_command_names_what_does_not_fit(tmp_path: Path) -> None:
    photos, masks = make_photos(tmp_path, 5)
    called = invoke(photos, "--annotations", masks, "--out", tmp_path / "out", "--test", photos)
    assert "1 --test and 0 --test-annotations" in str(called.exception)
    assert "give PHOTOS_DIR and --annotations, or --manifest" in str(invoke("--out", tmp_path / "out").exception)


def test_an_ensemble_of_one_is_none(job: Job) -> None:
    with pytest.raises(ComparisonError, match="needs two trained models, and 0"):
        all_methods()["ensemble"].prepare(job, job.method_folder("ensemble"), lambda what, share: None)


def test_trained_methods_become_an_ensemble(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def tiny(architecture: str, start: bool, **shape: object) -> object:
        from retail_seg.segmentation.training.synthesis import SceneStyle
        from retail_seg.segmentation.training.train import Recipe

        config = SegmenterConfig(widths=(8, 8), block=2, side=64, architecture=architecture)
        return Recipe(batch=2, canvas=(64, 64), evaluations=1, composed_checks=1, tuning_scenes=1,
                      style=SceneStyle(things=(1, 2)), config=config)  # fmt: skip

    monkeypatch.setattr(bench, "recipe_of", tiny)
    short = replace(job, steps=2)
    for name in ("retail-seg-scratch", "unet"):
        result = run_method(short, name, lambda what, share: None)
        assert result.settings["steps"] == 2 and result.parameters > 1000 and result.validation is not None
        losses = [(value, step) for kind, value, step in read_curve(short.method_folder(name)) if kind == "loss"]
        assert [step for _, step in losses] == [1, 2] and all(value > 0 for value, _ in losses)
    joined = run_method(short, "ensemble", lambda what, share: None)
    assert sorted(joined.settings["members"]) == ["retail-seg-scratch", "unet"]
    config = json.loads((short.method_folder("ensemble") / "model" / "config.json").read_text())
    assert config["architecture"] == "ensemble" and len(config["members"]) == 2
