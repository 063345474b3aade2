"""Which segmenter a store uses: switched, switched back, refused, and noticed by a Matcher that is open."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from catalogue import Catalogue
from catalogue.errors import UndoError
from catalogue.history import log, undo
from retail_seg.errors import ModelError, StoreError
from retail_seg.matcher import Matcher
from retail_seg.people.roles import NotAllowed, Person, acting_as
from retail_seg.segmentation.instances.grouping import Thresholds
from retail_seg.segmentation.network.unet import UNet
from retail_seg.segmentation.segmenter import SHIPPED, Segmenter, SegmenterConfig
from retail_seg.store import active_model
from retail_seg.store.active_model import PREVIOUS, SEGMENTER, model_in_use, previous_model, switch_back, use_model
from retail_seg.store.backup import back_up, bring_back
from retail_seg.store.opening import CATALOGUE


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    Matcher.create(folder).close()
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three untrained models, one with the checkpoint of another training beside its files."""
    folder = tmp_path_factory.mktemp("models")
    config = SegmenterConfig(widths=(8, 8), block=1, side=64)
    for i in range(3):
        torch.manual_seed(i)
        Segmenter(config, Thresholds(), UNet(config.unet), f"m{i}").save(folder / f"m{i}", "# card\n")
    (folder / "m0" / "training").mkdir()
    (folder / "m0" / "training" / "checkpoint.pt").write_bytes(b"0")
    return [folder / f"m{i}" for i in range(3)]


def in_use(store: Path) -> str:
    return Segmenter.load(store / SEGMENTER).name if (store / SEGMENTER).is_dir() else "shipped"


def lines(store: Path) -> list[tuple[str, str]]:
    with Catalogue.open(store / CATALOGUE) as catalogue:
        return [(change.action.split(":")[0], change.by) for change in log(catalogue)]


def test_switched_and_back_and_forth(store: Path, models: list[Path]) -> None:
    assert previous_model(store) is None and in_use(store) == "shipped"
    use_model(store, models[0], by="ann")
    assert in_use(store) == "m0" and previous_model(store) == SHIPPED
    assert not (store / SEGMENTER / "training").exists()
    use_model(store, models[1], by="bob")
    use_model(store, models[1], by="bob")  # the second call changes nothing: m0 stays the previous one
    found = previous_model(store)
    assert in_use(store) == "m1" and found is not None and Segmenter.load(found).name == "m0"
    switch_back(store, by="cem")
    assert in_use(store) == "m0"
    switch_back(store, by="cem")
    assert in_use(store) == "m1"
    use_model(store, store / PREVIOUS, by="dan")
    assert in_use(store) == "m0"
    assert lines(store) == [
        ("use model m0", "dan"), ("use model m1", "cem"), ("use model m0", "cem"), ("use model m1", "bob"),
        ("use model m0", "ann"),
    ]  # fmt: skip
    assert {p.name for p in store.iterdir() if p.name.startswith(("segmenter", ".segmenter"))} == {SEGMENTER, PREVIOUS}


def test_back_to_the_shipped_model_and_to_ones_own_again(store: Path, models: list[Path]) -> None:
    use_model(store, models[0], by="")
    switch_back(store, by="")
    assert in_use(store) == "shipped" and previous_model(store) == store / PREVIOUS
    switch_back(store, by="")
    assert in_use(store) == "m0" and previous_model(store) == SHIPPED


def test_a_model_that_was_put_there_by_hand_is_kept(store: Path, models: list[Path]) -> None:
    shutil.copytree(models[2], store / SEGMENTER)
    with pytest.raises(StoreError, match="no earlier model"):
        switch_back(store, by="")
    use_model(store, models[0], by="")
    switch_back(store, by="")
    assert in_use(store) == "m2"


def test_what_cannot_be_used_changes_nothing(store: Path, models: list[Path], tmp_path: Path) -> None:
    use_model(store, models[0], by="")
    damaged = shutil.copytree(models[1], tmp_path / "damaged")
    (damaged / "weights.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="cannot be read"):
        use_model(store, damaged, by="")
    with pytest.raises(StoreError, match="holds no store"):
        use_model(tmp_path / "elsewhere", models[1], by="")
    with acting_as(Person("eve", "staff")):
        for change in (lambda: use_model(store, models[1], by="ann"), lambda: switch_back(store, by="ann")):
            with pytest.raises(NotAllowed, match="manager"):
                change()
    assert in_use(store) == "m0" and previous_model(store) == SHIPPED and len(lines(store)) == 1


def test_a_swap_that_fails_leaves_no_line_in_the_log(
    store: Path, models: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_model(store, models[0], by="")

    def refuse(own: Path, previous: Path, aside: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(active_model, "_swap", refuse)
    with pytest.raises(StoreError, match="cannot be switched"):
        use_model(store, models[1], by="")
    assert in_use(store) == "m0" and len(lines(store)) == 1


class Died(BaseException):
    """The process ends: nothing after it is done, no handler of errors either."""


def break_off(store: Path, change: Callable[[], None], steps: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Do a switch whose process dies before its exchange's step of this number; False where it has fewer."""
    done: list[str] = []

    def stepwise(step: Callable[..., Any]) -> Callable[..., Any]:
        def taken(*given: Any) -> Any:
            if len(done) == steps:
                raise Died
            done.append(step.__name__)
            return step(*given)

        return taken

    swap = active_model._swap

    def dying(*folders: Path) -> None:
        with monkeypatch.context() as patch:
            patch.setattr("os.rename", stepwise(os.rename))
            patch.setattr(Path, "mkdir", stepwise(Path.mkdir))
            patch.setattr(Path, "rmdir", stepwise(Path.rmdir))
            swap(*folders)

    with monkeypatch.context() as patch:
        patch.setattr(active_model, "_swap", dying)
        try:
            change()
        except Died:
            return True
    return False


def former(store: Path) -> str:
    found = previous_model(store)
    return "none" if found is None else "shipped" if found == SHIPPED else Segmenter.load(found).name


def named(store: Path) -> str:
    return "shipped" if model_in_use(store) == SHIPPED else Segmenter.load(model_in_use(store)).name


@pytest.mark.parametrize("steps", [0, 1, 2])
@pytest.mark.parametrize("before", [("shipped", "m0"), ("m0", "shipped"), ("m0", "m1")])
def test_a_process_that_dies_amid_a_switch_leaves_the_store_as_it_was(
    store: Path, models: list[Path], before: tuple[str, str], steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_model(store, models[0], by="")
    if before[0] == "shipped":
        switch_back(store, by="")
    elif before[1] == "m1":
        use_model(store, models[1], by="")
        switch_back(store, by="")
    log_before, stamp_before = lines(store), active_model.stamp(store)
    assert break_off(store, lambda: switch_back(store, by="eve"), steps, monkeypatch)
    assert (named(store), former(store)) == before and active_model.stamp(store) == stamp_before
    assert lines(store) == log_before
    active_model.settle(store)
    assert (in_use(store), former(store)) == before
    assert not break_off(store, lambda: switch_back(store, by="eve"), 3, monkeypatch)
    assert (in_use(store), former(store)) == before[::-1]


def test_after_a_switch_that_broke_off_the_next_one_is_done_whole(
    store: Path, models: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_model(store, models[0], by="")
    assert break_off(store, lambda: use_model(store, models[1], by=""), 2, monkeypatch)
    with Matcher.open(store) as matcher:
        assert matcher.segmenter.name == "m0"
        back_up(matcher.catalogue, tmp_path / "backup.db")
    bring_back(tmp_path / "backup.db", tmp_path / "again")
    assert in_use(tmp_path / "again") == "m0"
    use_model(store, models[2], by="")
    assert (in_use(store), former(store)) == ("m2", "m0")
    assert {p.name for p in store.iterdir() if "segmenter" in p.name and not p.name.startswith(".segmenter-")} == {
        SEGMENTER, PREVIOUS
    }  # fmt: skip


def test_an_open_matcher_takes_up_the_switch(store: Path, models: list[Path]) -> None:
    with Matcher.open(store) as matcher, Matcher.open(store, segmenter=models[2]) as given:
        shipped = matcher.segmenter.fingerprint
        assert shipped == Segmenter.load().fingerprint and matcher.segmenter is matcher.segmenter
        use_model(store, models[0], by="")
        assert matcher.segmenter.name == "m0" and given.segmenter.name == "m2"
        switch_back(store, by="")
        assert matcher.segmenter.fingerprint == shipped


def test_the_log_s_undo_points_to_the_switch(store: Path, models: list[Path]) -> None:
    use_model(store, models[0], by="")
    with Catalogue.open(store / CATALOGUE) as catalogue, pytest.raises(UndoError, match="runs back"):
        undo(catalogue, 1)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_reader_that_meets_a_switch_reads_again(
    store: Path, models: list[Path], steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_model(store, models[0], by="")
    use_model(store, models[1], by="")
    met: list[Path] = []

    def load(folder: Path) -> Segmenter:
        met.append(folder)
        if len(met) == 1:  # another process begins to switch while this one is about to read
            break_off(store, lambda: switch_back(store, by="eve"), steps, monkeypatch)
        return Segmenter.load(folder)

    found = active_model.load_in_use(store, load)
    assert found[1].name == named(store) and found[0] == active_model.stamp(store)
    assert len(met) > 1 or steps == 0


def test_a_model_that_is_damaged_stays_an_error(store: Path, models: list[Path]) -> None:
    use_model(store, models[0], by="")
    (store / SEGMENTER / "config.json").write_text("{")
    with pytest.raises(ModelError):
        active_model.load_in_use(store, Segmenter.load)


def test_a_switch_that_ends_between_two_looks_is_no_error(
    store: Path, models: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_model(store, models[0], by="")
    use_model(store, models[1], by="")
    assert break_off(store, lambda: switch_back(store, by="eve"), 2, monkeypatch)
    listed = Path.iterdir

    def ends(folder: Path) -> Iterator[Path]:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "iterdir", listed)
            active_model.settle(store)
        return listed(folder)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "iterdir", ends)
        assert active_model.own_model(store) == store / SEGMENTER
