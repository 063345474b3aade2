"""The page Teach in each of its states, run by Streamlit's own test client; drawing itself is tried in a browser."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from retail_seg import Matcher
from retail_seg.people.roles import Person
from retail_seg.photos.load import encode_picture
from retail_seg.teaching import DONE, Teaching, automatic
from retail_seg.teaching.editor import Editor
from retail_seg.teaching.trainings import Training, Trainings


@pytest.fixture(autouse=True)
def fresh_cache() -> None:
    st.cache_resource.clear()
    st.cache_data.clear()


def script() -> None:
    """The page alone; who acts is the person in the session, as the app sees to."""
    import streamlit

    from retail_seg.people.roles import acting, acting_as
    from retail_seg.web import teach

    with acting_as(streamlit.session_state.get("somebody") or acting()):
        teach.page()


@pytest.fixture
def teaching(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Teaching:
    Matcher.create(tmp_path / "store").close()
    monkeypatch.setenv("RETAIL_SEG_STORE", str(tmp_path / "store"))
    return Teaching(tmp_path / "store")


def opened(role: str = "manager", **address: str) -> AppTest:
    app = AppTest.from_function(script, default_timeout=120)
    app.session_state["somebody"] = Person("Ada", role)
    for name, value in address.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def jpeg(seed: int) -> bytes:
    picture = np.full((96, 128, 3), 40 + seed, np.uint8)
    cv2.circle(picture, (64, 48), 24, (230, 200, 60), -1)
    return encode_picture(picture)


def finished(teaching: Teaching, count: int) -> list[str]:
    """So many photos with a thing each."""
    ids = list(teaching.add([(f"p{seed}.jpg", jpeg(seed)) for seed in range(count)]).ids)
    for id_ in ids:
        Editor(teaching, Matcher).stroke(id_, np.array([[64.0, 48.0]]), 48, None)  # type: ignore[arg-type]
        teaching.finish(id_, True)
    return ids


def shown(text: str) -> str:
    """What is seen of a text in which a name was kept from being read as Markdown."""
    return text.replace("\\", "")


def labels_of(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


def test_an_empty_set_says_what_to_do_first(teaching: Teaching) -> None:
    app = opened()
    assert "Nothing here yet" in app.info[0].value
    assert "no photos yet" in opened(part="annotate").info[0].value
    train = opened(part="train")
    assert "there are 0" in train.info[0].value and train.button[0].disabled
    assert "No training has ended yet" in opened(part="models").info[0].value


def test_uploads_are_kept_and_a_bad_one_is_a_sentence(teaching: Teaching) -> None:
    app = opened()
    app.file_uploader[0].set_value([("a.jpg", jpeg(0), "image/jpeg"), ("b.jpg", b"nothing", "image/jpeg")]).run()
    assert not app.exception
    assert "1 photo added" in app.success[0].value and "b.jpg" in shown(app.warning[0].value)
    assert [photo.name for photo in teaching.photos()] == ["a.jpg"]
    assert "Annotate" in labels_of(app)


def test_annotations_are_imported_in_the_background(teaching: Teaching) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("photos/a.jpg", jpeg(0))
        mask = np.zeros((96, 128), np.uint8)
        mask[30:60, 40:90] = 1
        file.writestr("masks/a.png", cv2.imencode(".png", mask)[1].tobytes())
    app = opened()
    app.file_uploader[1].set_value(("masks.zip", buffer.getvalue(), "application/zip")).run()
    next(button for button in app.button if button.label == "Import").click().run()
    from retail_seg.web.shared import jobs

    job = jobs().latest("annotations")
    assert job is not None and job.wait(60) and job.error == ""
    app.run()
    assert "1 photo with 1 thing came" in app.success[0].value
    assert [photo.state for photo in teaching.photos()] == [DONE]


def test_a_photo_is_annotated_undone_and_finished(teaching: Teaching) -> None:
    (id_,) = teaching.add([("a.jpg", jpeg(0))]).ids
    Editor(teaching, Matcher).stroke(id_, np.array([[64.0, 48.0]]), 40, None)  # type: ignore[arg-type]
    app = opened(part="annotate", photo=id_)
    assert app.selectbox(key="teach-photo").value == id_
    thing = app.selectbox(key=f"teach-number-{id_}")
    assert thing.options == ["a new one", "number 1"]
    thing.set_value(1).run()
    app.toggle(key=f"teach-done-{id_}").set_value(True).run()
    assert teaching.photo(id_).state == DONE
    next(button for button in app.button if button.label == "Undo").click().run()
    assert teaching.photo(id_).instances == 0 and app.selectbox(key=f"teach-number-{id_}").value == 0
    next(button for button in app.button if button.label == "Redo").click().run()
    assert teaching.photo(id_).instances == 1
    app.selectbox(key=f"teach-number-{id_}").set_value(1).run()
    next(button for button in app.button if button.label == "Delete").click().run()
    assert not app.exception and teaching.photo(id_).instances == 0


@pytest.mark.parametrize("tool", ["box", "boxes", "click", "brush", "outline", "pick"])
def test_every_tool_says_what_it_is_for(teaching: Teaching, tool: str) -> None:
    (id_,) = finished(teaching, 1)
    app = opened(part="annotate", photo=id_)
    app.segmented_control(key="teach-tool").set_value(tool).run()
    app.selectbox(key=f"teach-number-{id_}").set_value(1).run()
    assert not app.exception and any(len(caption.value) > 20 for caption in app.caption)
    if tool == "outline":
        next(button for button in app.button if button.label == "Change its points").click().run()
        assert len(teaching.photo(id_).outline) > 3
        next(button for button in app.button if button.label == "Make it number 1").click().run()
        assert teaching.photo(id_).outline == () and teaching.photo(id_).instances == 1
    if tool == "brush":
        app.select_slider(key="teach-zoom").set_value(4).run()
        assert not app.exception and "Move" in str(app.segmented_control(key="teach-tool").options)


def test_a_photo_is_removed_after_a_question(teaching: Teaching) -> None:
    (id_,) = teaching.add([("a.jpg", jpeg(0))]).ids
    app = opened(part="annotate", photo=id_)
    next(button for button in app.button if button.label == "Remove it").click().run()
    assert not app.exception and teaching.photos() == [] and "a.jpg was removed" in shown(app.success[0].value)


def test_the_page_opens_neither_matcher_nor_index(teaching: Teaching, monkeypatch: pytest.MonkeyPatch) -> None:
    finished(teaching, 1)
    teaching.add([("new.jpg", jpeg(9))])
    monkeypatch.setattr(Matcher, "open", lambda *_: pytest.fail("the whole store was opened"))
    for part in ("photos", "annotate", "train", "models"):
        opened(part=part)


def test_a_viewer_looks_and_is_refused(teaching: Teaching) -> None:
    (id_,) = finished(teaching, 1)
    assert not opened("viewer").file_uploader
    assert labels_of(opened("viewer", part="annotate", photo=id_)) == []
    assert "Start the training" not in labels_of(opened("viewer", part="train"))


def test_a_training_is_started_with_what_was_asked_for(teaching: Teaching, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = finished(teaching, 5)
    automatic.turn(teaching, False)
    asked: dict[str, object] = {}

    def start(self: Trainings, **settings: object) -> Training:
        asked.update(settings)
        return Training("20260101-000000", "2026-01-01T00:00:00", "Ada", tuple(ids), (), 8)

    monkeypatch.setattr(Trainings, "start", start)
    app = opened("staff", part="train")
    assert "**4 finished photos** to train on. **1** more is kept" in app.markdown[0].value
    app.checkbox(key="teach-folded").set_value(True).run()
    app.number_input(key="teach-minutes").set_value(2.0).run()
    assert "12 minutes at most" in app.caption[-1].value
    app.number_input(key="teach-steps").set_value(7).run()
    next(button for button in app.button if button.label == "Start the training").click().run()
    assert asked == {"minutes": 2.0, "steps": 7, "cross_validate": True, "start": None}
    assert "has begun" in app.success[0].value


class TestTrainings:
    """What the page shows of trainings; their files are laid out as a training leaves them."""

    RESULT = (
        '{"thresholds": {}, "steps": 9, "seconds": 12.0, "photos": ["a", "b", "c"], "instances": 6, "start": "shipped",'
        ' "stopped_early": false, "scores": {}, "scene_scores": {"fg_iou": 0.9, "f1_50": 0.8, "f1_75": 0.7,'
        ' "exact_count": 0.5}, "cross_validation": {"folds": 4, "mean": {"fg_iou": 0.91, "f1_50": 0.8, "f1_75": 0.6,'
        ' "exact_count": 0.4}, "spread": {"fg_iou": 0.01, "f1_50": 0.02, "f1_75": 0.03, "exact_count": 0.04}}}\n'
    )
    LINES = "".join(
        f'{{"part": "training", "phase": "train", "step": {i}, "loss": {2 - i / 10}, "score": null, "seconds": {i},'
        f' "share": {i / 10}}}\n' for i in range(1, 10)
    )  # fmt: skip

    @pytest.fixture
    def run(self, teaching: Teaching) -> Training:
        import json
        from dataclasses import asdict

        ids = finished(teaching, 4)
        run = Training("20260101-120000", "2026-01-01T12:00:00", "Ada", tuple(ids[1:]), (ids[0],), 8)
        folder = Trainings(teaching).path(run.id)
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps(asdict(run)))
        (folder / "progress.jsonl").write_text(self.LINES)
        return run

    def test_under_way(self, teaching: Teaching, run: Training) -> None:
        from retail_seg.system.files import locked

        lock = teaching.folder / "locks" / "training"
        with locked(lock):
            lock.write_text(run.id)
            app = opened(part="train")
            progress = app.get("progress")[0]
            assert "under way" in app.subheader[0].value and "90%" in progress.proto.text, dir(progress)
            assert "Cancel" in labels_of(app) and "Start the training" not in labels_of(app)
        assert "Start the training" in labels_of(opened(part="train"))

    def test_broken_off_can_be_resumed_and_deleted(self, teaching: Teaching, run: Training) -> None:
        (Trainings(teaching).path(run.id) / "log.txt").write_text("reading\nError: no space on the disk\n")
        app = opened(part="train")
        assert "no space on the disk" in app.warning[0].value and "Resume" in labels_of(app)
        next(button for button in app.button if button.label == "Delete it").click().run()
        assert not app.exception and Trainings(teaching).all() == []

    def test_done_it_is_compared_and_switched_to_and_back(self, teaching: Teaching, run: Training) -> None:
        from retail_seg.segmentation.segmenter import SHIPPED, Segmenter
        from retail_seg.store.active_model import model_in_use
        from retail_seg.web.shared import jobs

        folder = Trainings(teaching).path(run.id)
        (folder / "result.jsonl").write_text(self.RESULT)
        model = Segmenter.load(SHIPPED)
        model.name = "taught"
        model.thresholds = type(model.thresholds)(**{**model.thresholds.to_json(), "min_confidence": 0.3})
        Segmenter(model.config, model.thresholds, model.net, "taught").save(folder / "model", "# taught\n")
        app = opened(part="train")
        table = app.dataframe[0].value
        assert list(table["Cross-validated, 4 folds"])[2] == "0.600 ± 0.030" and len(table) == 4
        app = opened(part="models")
        next(button for button in app.button if button.label == "Compare them").click().run()
        job = jobs().latest("compare")
        assert job is not None and job.wait(120) and job.error == ""
        app.run()
        assert "photos kept for the comparison" in str([m.value for m in app.markdown])
        assert len(app.get("image")) == 2 and len(app.dataframe[0].value) == 4
        next(button for button in app.button if button.label == "Use this model from now on").click().run()
        assert not app.exception and "Switched" in app.success[0].value, [w.value for w in app.warning]
        assert Segmenter.load(model_in_use(teaching.store)).name == "taught"
        app.run()
        assert "is the one in use" in app.success[0].value
        next(button for button in app.button if button.label == "Switch back to the one before").click().run()
        assert not app.exception and model_in_use(teaching.store) == SHIPPED
        staff = opened("staff", part="models")
        assert "Use this model from now on" not in labels_of(staff)

    def test_one_that_began_on_its_own_says_what_it_would_bring(self, teaching: Teaching, run: Training) -> None:
        import json
        from dataclasses import asdict, replace

        from retail_seg.segmentation.segmenter import SHIPPED, Segmenter
        from retail_seg.store.active_model import model_in_use
        from retail_seg.web.shared import jobs

        folder = Trainings(teaching).path(run.id)
        (folder / "run.json").write_text(json.dumps(asdict(replace(run, automatic=True))))
        (folder / "result.jsonl").write_text(self.RESULT)
        model = Segmenter.load(SHIPPED)
        model.thresholds = type(model.thresholds)(**{**model.thresholds.to_json(), "min_confidence": 0.3})
        Segmenter(model.config, model.thresholds, model.net, "taught").save(folder / "model", "# taught\n")
        assert "Switch" not in labels_of(opened("viewer"))
        app = opened()
        job = jobs().latest("compare on its own")
        assert job is not None and job.wait(120) and job.error == ""
        app.run()
        told = next(one.value for one in app.markdown if "New segmenter trained on your 3 photos: F1" in one.value)
        assert "on 1 photo it did not see" in told
        assert "Switch" not in labels_of(opened("staff")) and "Switch" in labels_of(app)
        next(button for button in app.button if button.label == "Keep").click().run()
        assert not app.exception and "Switch" not in labels_of(app) and model_in_use(teaching.store) == SHIPPED
        Trainings(teaching).decide(run.id, "")
        app = opened()
        next(button for button in app.button if button.label == "Switch").click().run()
        assert not app.exception and "Switched" in app.success[0].value
        assert Segmenter.load(model_in_use(teaching.store)).name == "taught" and "Switch" not in labels_of(app)


def test_five_finished_photos_begin_a_training_unless_it_is_turned_off(
    teaching: Teaching, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[dict[str, object]] = []

    def start(self: Trainings, **settings: object) -> Training:
        begun.append(settings)
        return Training("20260101-000000", "2026-01-01T00:00:00", "Ada", (), (), 8)

    monkeypatch.setattr(Trainings, "start", start)
    finished(teaching, 4)
    assert "1 more photo and the next training begins." in [one.value for one in opened(part="train").caption]
    finished(teaching, 5)
    app = opened(part="train")
    app.toggle[0].set_value(False).run()
    assert len(begun) == 1 and begun[0]["automatic"] and not automatic.is_on(teaching)
    finished(teaching, 12)
    assert len(begun) == 1 and opened("viewer").title
    automatic.turn(teaching, True)
    opened()
    opened()
    assert len(begun) == 2
