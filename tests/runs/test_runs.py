"""Trainings on record: what is kept, found again, compared and used; and that nothing of it can stop a training."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from discs import write_discs

from retail_seg.bench.comparison.job import Job, PhotoSet
from retail_seg.bench.comparison.manifests import whole_manifest
from retail_seg.cli import cli
from retail_seg.errors import ManifestError, MissingExtraError, ModelError, RecordError
from retail_seg.matcher import Matcher
from retail_seg.runs import reading, record, tracking
from retail_seg.runs.reading import Runs, compare
from retail_seg.runs.record import Origin, Record, origin_of, recorded
from retail_seg.runs.training import data_tags
from retail_seg.segmentation.instances.grouping import Thresholds
from retail_seg.segmentation.network.unet import UNet
from retail_seg.segmentation.segmenter import Segmenter, SegmenterConfig
from retail_seg.segmentation.training import train as training
from retail_seg.segmentation.training.manifest import read_manifest
from retail_seg.segmentation.training.train import Progress
from retail_seg.store.active_model import switch_back, use_model
from retail_seg.system.code_version import code_version
from retail_seg.system.settings import settings

ROOT = Path(__file__).resolve().parents[2]


#: A training that takes a second: a small network, one scene a step, one scene to check.
TINY = training.Recipe(
    batch=1, canvas=(64, 64), evaluations=2, composed_checks=1, tuning_scenes=1,
    config=SegmenterConfig(widths=(8, 8), block=1, side=64),
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def tiny() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "Recipe", lambda: TINY)
        yield


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """photos/ with eight photos of two discs, masks/, a manifest of them and model/, a small network to start from."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("world")
    write_discs(folder, 8)
    torch.manual_seed(0)
    Segmenter(TINY.config, Thresholds(), UNet(TINY.config.unet)).save(folder / "start", "# card\n")
    made = call("manifest", folder / "photos", "--annotations", folder / "masks", "--out", folder / "set.json",
                "--test-share", "0.25")  # fmt: skip
    assert last_json(made)["photos"] == {"train": 5, "held-back": 1, "test": 2}
    return folder


@pytest.fixture(scope="module")
def first(world: Path) -> dict:
    """What `train --manifest` printed: the model `first`."""
    return last_json(train(world, "first", "--manifest", world / "set.json"))


@pytest.fixture(scope="module")
def second(world: Path, first: dict) -> dict:
    """What `train PHOTOS --annotations` printed: the model `second`, of another seed."""
    given = (world / "photos", "--annotations", world / "masks", "--seed", 7)
    return last_json(train(world, "second", *given))


def call(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in arguments], standalone_mode=False)


def train(world: Path, name: str, *arguments: object) -> Result:
    """Two steps from the model `start`, or from what the arguments say."""
    start = () if "--start" in arguments else ("--start", world / "start")
    return call("train", *arguments, "--model", world / name, *start, "--steps", 2, "--minutes", 0.2)


def last_json(result: Result) -> dict:
    assert result.exception is None, result.exception
    return json.loads(result.stdout.strip().splitlines()[-1])


def rows(result: Result) -> list[dict]:
    assert result.exception is None, result.exception
    return [json.loads(line) for line in result.stdout.splitlines()]


class TestTrain:
    def test_everything_of_a_training_is_kept(self, world: Path, first: dict) -> None:
        run = Runs().find(first["run"])
        assert (run.name, run.kind, run.state) == ("first", "train", "finished")
        assert {key: run.parameters[key] for key in ("steps", "seed", "recipe.batch")} == {
            "steps": "2", "seed": "0", "recipe.batch": "1"
        }  # fmt: skip
        assert run.tags["data"] == first["data"] and run.tags["code version"] == code_version()
        assert run.tags["photos"] == "5 train, 1 held-back, 2 test" and run.tags["manifest"] == str(world / "set.json")
        for group, scores in (("held-back", first["scores"]), ("scenes", first["scene_scores"]),
                              ("test", first["test_scores"])):  # fmt: skip
            assert scores and {key: run.scores[f"{group}/{key}"] for key in scores} == scores
        assert run.headline == ("test/f1_75", first["test_scores"]["f1_75"])
        kept = Runs().artifacts(run)
        model = {"README.md", "config.json", "manifest.json", "thresholds.json", "weights.safetensors"}
        assert {f"model/{name}" for name in model} | {"manifest.json"} < set(kept)
        assert len([path for path in kept if re.fullmatch(r"samples/(test|held-back|train)-p\d\.jpg", path)]) == 4

    def test_the_curves_have_a_point_a_step(self, first: dict) -> None:
        client, _ = tracking.connect()
        losses = client.get_metric_history(first["run"], "loss")
        assert [point.step for point in losses] == [1, 2] and all(point.value > 0 for point in losses)
        assert len(client.get_metric_history(first["run"], "validation score")) >= 1

    def test_the_model_keeps_the_manifest_it_was_trained_on(self, world: Path, first: dict, second: dict) -> None:
        used = read_manifest(world / "first" / "manifest.json")
        assert used.fingerprint == first["data"] == read_manifest(world / "set.json").fingerprint
        assert [path.stem for path in used.photos("held-back")] == first["held_back"]
        other = read_manifest(world / "second" / "manifest.json")
        assert other.fingerprint == second["data"] != first["data"] and other.counts()["test"] == 0
        assert [path.stem for path in other.photos("held-back")] == second["held_back"]
        assert not {path.stem for path in used.photos("test")} & set(first["photos"])

    def test_what_changed_is_noticed_before_training(self, world: Path, tmp_path: Path) -> None:
        values = json.loads((world / "set.json").read_text(encoding="utf-8"))
        values["annotations"] = str(world / "masks")
        for photo in values["photos"]:
            photo["photo"] = str(world / photo["photo"])
        values["photos"][2]["sha256"] = "0" * 64
        (tmp_path / "set.json").write_text(json.dumps(values), encoding="utf-8")
        done = train(tmp_path, "model", "--manifest", tmp_path / "set.json")
        assert isinstance(done.exception, ManifestError) and "p2.png has changed" in str(done.exception)
        assert not (tmp_path / "model").exists()

    def test_the_photos_are_given_in_one_way(self, world: Path) -> None:
        both = train(world, "none", world / "photos", "--manifest", world / "set.json")
        neither = train(world, "none", world / "photos")
        assert "takes the place of" in str(both.exception) and "PHOTOS_DIR and --annotations" in str(neither.exception)

    def test_without_a_start_it_can_be_cross_validated(self, world: Path) -> None:
        given = ("--manifest", world / "set.json", "--start", "none", "--cross-validate", "--curve")
        done = train(world, "crossed", *given)
        found = last_json(done)
        assert found["start"] == "nothing" and found["cross_validation"]["folds"] == 5
        assert [point["trained_on"] for point in found["curve"]["points"]] == [5]
        run = Runs().find(found["run"])
        assert run.scores["cross-validated/fg_iou"] == found["cross_validation"]["mean"]["fg_iou"]
        client, _ = tracking.connect()
        assert [point.step for point in client.get_metric_history(run.id, "folds/fg_iou")] == [1, 2, 3, 4, 5]
        assert [point.step for point in client.get_metric_history(run.id, "by photos/fg_iou")] == [5]


class TestReading:
    def test_the_list_is_newest_first(self, first: dict, second: dict) -> None:
        listed = [row["id"] for row in rows(call("runs"))]
        assert listed.index(second["run"]) < listed.index(first["run"])
        assert [row["id"] for row in rows(call("runs", "--last", 1))] == listed[:1]
        assert rows(call("runs", "--kind", "compare")) == []

    def test_a_run_is_found_by_id_name_or_as_the_latest(self, first: dict, second: dict) -> None:
        found = Runs()
        assert found.find(first["run"][:8]).id == first["run"] == found.find("first").id
        assert found.find("latest").id == found.all(limit=1)[0].id
        with pytest.raises(RecordError, match=r"nothing: no such run in .*runs\.db"):
            found.find("nothing")

    def test_an_id_that_is_not_clear_is_said(self, monkeypatch: pytest.MonkeyPatch, first: dict, second: dict) -> None:
        found = Runs()
        twins = [reading.Run(f"abcd{i}", "x", "train", "finished", "", None, "", {}, {}, {}, None) for i in "12"]
        monkeypatch.setattr(Runs, "_search", lambda *_: twins)
        with pytest.raises(RecordError, match="several runs begin so"):
            found.find("abcd")
        assert found.find("abcd2").id == twins[1].id

    def test_show_and_compare(self, first: dict, second: dict) -> None:
        shown = rows(call("runs", "show", "first"))[0]
        assert shown["id"] == first["run"] and "model/config.json" in shown["artifacts"]
        found = rows(call("runs", "compare", "first", second["run"][:10]))[0]
        assert found["parameters"]["seed"] == ["0", "7"] and "steps" not in found["parameters"]
        assert found["parameters"]["data"] == [first["data"], second["data"]]
        assert found["scores"]["scenes/f1_75"] == [first["scene_scores"]["f1_75"], second["scene_scores"]["f1_75"]]
        assert found["scores"]["test/f1_75"] == [first["test_scores"]["f1_75"], None]
        assert "at least two" in str(call("runs", "compare", "first").exception)

    def test_tables_for_people(self, first: dict, second: dict) -> None:
        from retail_seg.cli.runs import _line, _table, _whole

        found = Runs()
        one, other = found.find("first"), found.find("second")
        assert re.search(r"^[0-9a-f]{8}  .* train .* finished .* test/f1_75 0\.\d{3} +first$", next(_line(one)))
        table = list(_table(compare([one, other])))
        assert any(re.fullmatch(r"  seed +0 +7", line) for line in table) and "–" in "".join(table)
        assert "  samples/" in "\n".join(_whole(one, found.artifacts(one), []))


class TestUse:
    def test_a_run_s_model_becomes_the_store_s_and_is_taken_back(
        self, world: Path, first: dict, second: dict, tmp_path: Path
    ) -> None:
        store = tmp_path / "store"
        Matcher.create(store).close()
        for run in ("first", second["run"]):
            assert call("runs", "use", run, "--store", store).exception is None
        with Matcher.open(store) as matcher:
            assert matcher.segmenter.fingerprint == Segmenter.load(world / "second").fingerprint
            back = call("runs", "back", "--store", store)
            assert back.exception is None and "former segmenter again" in back.stderr
            assert matcher.segmenter.fingerprint == Segmenter.load(world / "first").fingerprint
            assert call("runs", "back", "--store", store).exception is None
            assert matcher.segmenter.fingerprint == Segmenter.load(world / "second").fingerprint
        assert (store / "segmenter" / "manifest.json").is_file()
        used = {row["name"]: row["in_use"] for row in rows(call("runs", "--store", store))}
        assert used["second"] and not used["first"] and sum(used.values()) == 1

    def test_the_model_in_use_says_of_which_run_it_is_however_it_came_there(
        self, world: Path, first: dict, second: dict, tmp_path: Path
    ) -> None:
        store = tmp_path / "store"
        Matcher.create(store).close()
        use_model(store, world / "first", by="Ada")  # as the app does
        assert origin_of(store / "segmenter") == Origin(first["run"], "first")
        (world / "second" / "run.json").unlink()  # the record knows it all the same
        assert call("runs", "use", "second", "--store", store).exception is None
        assert origin_of(store / "segmenter") == Origin(second["run"], "second")
        switch_back(store, by="Ada")
        assert origin_of(store / "segmenter") == Origin(first["run"], "first")
        (store / "segmenter" / "run.json").write_text("{}")
        with pytest.raises(ModelError, match="delete it"):
            origin_of(store / "segmenter")

    def test_a_run_without_a_model_is_said(self, tmp_path: Path) -> None:
        with recorded("compare", "bare", {}, say=print) as run:
            pass
        used = call("runs", "use", run.id, "--store", tmp_path)
        assert isinstance(used.exception, RecordError) and "keeps no model" in str(used.exception)


class TestRecord:
    def test_parts_have_runs_of_their_own(self) -> None:
        with recorded("compare", "bench", {"minutes": 1}, say=print) as run:
            for name, value in (("otsu", 0.2), ("unet", 0.9)):
                with run.child("method", name, {"k": 3}) as part:
                    part.scores({"f1_75": value})
        found = Runs()
        bench = found.find("bench")
        assert [(part.name, part.kind, part.headline) for part in found.parts_of(bench)] == [
            ("otsu", "method", ("f1_75", 0.2)), ("unet", "method", ("f1_75", 0.9))
        ]  # fmt: skip
        assert all(one.kind != "method" for one in found.all())
        assert {"otsu", "unet"} <= {one.name for one in found.all(parts=True)}

    def test_a_training_under_way_shows_its_curve(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("retail_seg.runs.record.CURVE_EVERY", 0.0)
        with recorded("train", "going on", {}, say=print) as run:
            run.hook()(Progress("train", 1, 0.75, None, 0.0, 0.0))
            found = Runs().find(run.id)
            assert (found.state, found.scores["loss"]) == ("running", 0.75)
            run.curve([("loss", 0.5, 2)])
        assert Runs().find(run.id).scores["loss"] == 0.5

    def test_long_curves_and_odd_values(self) -> None:
        with recorded("train", "long", {"text": "x" * 9000, "none": None}, say=print) as run:
            hook = run.hook()
            for step in range(2500):
                hook(Progress("train", step, float("nan") if step == 7 else 1.0, None, 0.0, 0.0))
            run.scores({"fine": 1, "nan": float("nan")}, "shop (1)")
        client, _ = tracking.connect()
        assert len(client.get_metric_history(run.id, "loss")) == 2499
        found = Runs().find("long")
        assert found.scores["shop _1_/fine"] == 1 and len(found.scores) == 2  # beside the loss
        assert len(found.parameters["text"]) == record.PARAMETER_LENGTH
        assert "none" not in found.parameters

    @pytest.mark.parametrize(("error", "state"), [(KeyboardInterrupt, "killed"), (ValueError, "failed")])
    def test_how_it_ended_and_what_was_learned_until_then(self, error: type[BaseException], state: str) -> None:
        shown: list[Progress] = []
        with pytest.raises(error), recorded("train", state, {}, say=print) as run:
            run.hook(shown.append)(Progress("train", 1, 0.5, None, 0.0, 0.0))
            raise error
        found = Runs().find(state)
        assert found.state == state and found.scores == {"loss": 0.5} and len(shown) == 1

    def test_two_processes_may_begin_the_record_at_once(self, tmp_path: Path) -> None:
        script = "from retail_seg.runs.record import recorded\nwith recorded('train', 'm', {}, say=print): pass"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "RETAIL_SEG_RUNS": str(tmp_path / "runs")}
        begun = [
            subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        assert [process.communicate()[0] for process in begun] == ["", ""]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RETAIL_SEG_RUNS", str(tmp_path / "runs"))
            assert [run.state for run in Runs().all()] == ["finished"] * 2

    def test_a_server_elsewhere_by_its_usual_variable(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'other.db'}")
        monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "shop")
        monkeypatch.chdir(tmp_path)
        with recorded("train", "elsewhere", {}, say=print) as run:
            run.picture("a b/c", np.zeros((8, 8, 3), np.uint8))
        assert (tmp_path / "other.db").is_file()
        assert [one.name for one in Runs().all()] == ["elsewhere"]
        assert Runs().artifacts(Runs().find("latest")) == ["samples/a_b_c.jpg"]
        assert os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] == "true"  # a server's address would be printed


def test_a_comparison_s_data_is_told_apart_by_content_and_use(tmp_path: Path) -> None:
    ids = (tmp_path / "ids",)
    sets = [PhotoSet(name, (tmp_path / name,), ids, (digit * 128,), (1,)) for name, digit in ("a1", "b2")]
    tags = data_tags(whole_manifest(Job(tmp_path, sets[0], (sets[1],), 1.0)))
    assert tags["photos"] == "1 train, 1 test" and re.fullmatch("[0-9a-f]{12}", tags["data"])
    assert data_tags(whole_manifest(Job(tmp_path / "x", sets[0], (sets[1],), 2.0))) == tags
    assert data_tags(whole_manifest(Job(tmp_path, sets[1], (sets[0],), 1.0)))["data"] != tags["data"]


class TestFailing:
    def test_without_the_extra_it_is_said_once_how_to_get_it(
        self, world: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tracking, "available", lambda: False)
        done = train(world, "unrecorded", "--manifest", world / "set.json")
        assert "run" not in last_json(done) and (world / "unrecorded" / "manifest.json").is_file()
        assert done.stderr.count("[record]") == 1 and "not put on record" in done.stderr
        listed = call("runs")
        assert isinstance(listed.exception, MissingExtraError) and "[record]" in str(listed.exception)

    def test_a_dead_server_is_one_sentence_without_its_password(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:secret@127.0.0.1:9")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        said: list[str] = []
        with recorded("train", "m", {"a": 1}, say=said.append) as run:
            run.scores({"f1": 1.0})
            with run.child("method", "x", {}) as part:
                part.scores({"f1": 1.0})
        assert run.id is None is part.id and len(said) == 1
        assert "127.0.0.1:9: cannot be reached" in said[0] and "secret" not in said[0] and "\n" not in said[0]
        listed = call("runs")
        assert isinstance(listed.exception, RecordError) and "secret" not in str(listed.exception)

    def test_a_record_that_breaks_off_is_one_sentence(self) -> None:
        class Failing:
            def __getattr__(self, name: str) -> object:
                raise ConnectionError(f"{name}: gone\nand more")

        said: list[str] = []
        run = Record(said.append, Failing(), "0", "1")  # type: ignore[arg-type]
        run.parameters({"a": 1})
        run.scores({"b": 1.0})
        run.end("FINISHED")
        assert len(said) == 1 and "breaks off (log_batch: gone)" in said[0] and run.id is None

    def test_nothing_leaves_this_computer(self, tmp_path: Path) -> None:
        """A run in a process of its own, without what tells MLflow that it is being tested, opens no connection."""
        script = f"""
import sys
from pathlib import Path
calls, outward = [], ("socket.connect", "socket.getaddrinfo")
sys.addaudithook(lambda name, args: calls.append((name, args)) if name in outward else None)
from retail_seg.runs.record import recorded
with recorded("train", "quiet", {{"a": 1}}, say=print) as run:
    run.scores({{"f1": 1.0}})
    run.model(Path({str(tmp_path)!r}))
from mlflow.telemetry.utils import is_telemetry_disabled
import time; time.sleep(1)
print(run.id is not None, is_telemetry_disabled(), calls)
"""
        hidden = ("PYTEST_", "CI", "GITHUB_", "GITLAB_", "JENKINS_", "BUILDKITE", "MLFLOW_", "DO_NOT_TRACK")
        environment = {key: value for key, value in os.environ.items() if not key.startswith(hidden)}
        environment["PYTHONPATH"] = str(ROOT)
        (tmp_path / "config.json").write_text("{}", encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=False, env=environment, cwd=tmp_path
        )
        assert done.stdout.splitlines()[-1:] == ["True True []"], done.stdout + done.stderr
        assert done.stderr == ""


def test_the_code_s_version_names_the_commit_of_a_checkout() -> None:
    from retail_seg import __version__

    assert re.fullmatch(rf"{re.escape(__version__)}(\+[0-9a-f]{{12}}(-dirty)?)?", code_version())


def test_a_training_is_called_as_the_folder_of_its_model() -> None:
    from retail_seg.cli.training import _name

    names = [_name(Path(path)) for path in ("shop-model", "runs/20260101-080000/model", "/model")]
    assert names == ["shop-model", "20260101-080000", "model"]


def test_where_the_record_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RETAIL_SEG_RUNS", str(tmp_path / "here"))
    assert settings().runs == tmp_path / "here"
    monkeypatch.delenv("RETAIL_SEG_RUNS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert tracking.place() == str(tmp_path / "retail-seg" / "runs" / "runs.db")
    monkeypatch.delenv("XDG_DATA_HOME")
    assert settings().runs == Path.home() / ".local" / "share" / "retail-seg" / "runs"
