"""Killed at any step, a shop stands on the old snapshot or the new one, and a place names the old or the new one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chain_helpers import enrol, fill, held, new_store, signing

from catalogue import Catalogue
from catalogue.backup import integrity
from retail_seg.chain.following import follow
from retail_seg.chain.publishing import publish
from retail_seg.segmentation.instances.grouping import Thresholds
from retail_seg.segmentation.network.unet import UNet
from retail_seg.segmentation.segmenter import Segmenter, SegmenterConfig
from retail_seg.store.active_model import model_in_use, use_model
from retail_seg.store.following import followed_by
from retail_seg.store.opening import CATALOGUE

#: How many kills each test spreads over the steps of what it kills.
KILLS = 40


@pytest.fixture(scope="module")
def workers() -> Iterator[Callable[..., dict[str, Any]]]:
    """Asks the program that forks; what it is asked for comes back when it is done or dead."""
    root = Path(__file__).resolve().parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root.parent), str(root)]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(root / "chain" / "chain_workers.py")]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True, env=environment) as process:
        assert process.stdin is not None and process.stdout is not None
        to, answers = process.stdin, process.stdout

        def ask(**order: Any) -> dict[str, Any]:
            to.write(json.dumps(order, default=str) + "\n")
            to.flush()
            return dict(json.loads(answers.readline()))

        yield ask
        to.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A centre, what it published at first and then, and a shop that stands on the first."""
    folder = tmp_path_factory.mktemp("chain")
    centre, place = new_store(folder / "centre"), folder / "place"
    key = signing(folder)
    fill(centre, 70)
    publish(centre, str(place), key)
    shutil.copytree(centre, folder / "first-centre")
    shutil.copytree(place, folder / "first-place")
    follow(new_store(folder / "shop"), str(place))
    enrol(folder / "shop", "p2", "seen here")
    enrol(centre, "p1", "p1 more", name="Renamed")
    enrol(centre, "fresh", "fresh 0")
    with Catalogue.open(centre / CATALOGUE) as catalogue:
        catalogue.remove_product("p3")
    config = SegmenterConfig(widths=(8, 8), block=1, side=64)
    Segmenter(config, Thresholds(), UNet(config.unet), "other").save(folder / "other", "# card\n")
    use_model(centre, folder / "other", by="")
    publish(centre, str(place), key)
    return folder


def state(store: Path) -> tuple[int, dict[str, Any], str]:
    """Everything that a shop answers with: the snapshot's number, the catalogue, the segmenter; it must be sound."""
    with Catalogue.open(store / CATALOGUE) as catalogue:
        assert integrity(catalogue.db) == []
        stands = followed_by(catalogue)
    return stands.number if stands else 0, held(store), Segmenter.load(model_in_use(store)).fingerprint


def spread(steps: int) -> list[int]:
    """Steps to die at: each of the last ones, where the switch is, and others over all of them."""
    return sorted(
        {*range(max(steps - KILLS // 3, 1), steps + 1), *range(1, steps + 1, max(steps * 3 // (2 * KILLS), 1))}
    )


@pytest.mark.parametrize("what", ["follow", "back"])
def test_a_shop(what: str, made: Path, tmp_path: Path, workers: Callable[..., dict[str, Any]]) -> None:
    start, place = tmp_path / "start", made / "place"
    shutil.copytree(made / "shop", start)
    if what == "back":
        follow(start, str(place))
    old = state(start)
    whole = shutil.copytree(start, tmp_path / "whole")
    steps = int(workers(what=what, store=whole, place=place, at=0)["steps"])
    new = state(whole)
    assert old != new and old[0] != new[0] and steps > 100
    seen = []
    for at in spread(steps):
        shop = shutil.copytree(start, tmp_path / "shop")
        assert workers(what=what, store=shop, place=place, at=at)["signal"] == 9
        found = state(shop)
        assert found in (old, new), f"killed at step {at} of {steps}"
        seen.append(found == new)
        if found == old:
            assert workers(what=what, store=shop, place=place, at=0)["code"] == 0
        assert state(shop) == new
        shutil.rmtree(shop)
    assert seen == sorted(seen) and seen.count(True) > 2 and seen.count(False) > KILLS // 2


def test_a_shop_that_begins(made: Path, tmp_path: Path, workers: Callable[..., dict[str, Any]]) -> None:
    place = made / "place"
    whole = new_store(tmp_path / "whole")
    steps = int(workers(what="follow", store=whole, place=place, at=0)["steps"])
    new = state(whole)
    for at in spread(steps)[::3]:
        shop = new_store(tmp_path / "shop")
        assert workers(what="follow", store=shop, place=place, at=at)["signal"] == 9
        assert state(shop)[:2] in ((0, {}), new[:2]), f"killed at step {at} of {steps}"
        assert workers(what="follow", store=shop, place=place, at=0)["code"] == 0
        assert state(shop) == new
        shutil.rmtree(shop)


def test_a_place(made: Path, tmp_path: Path, workers: Callable[..., dict[str, Any]]) -> None:
    """The centre publishes once more what the second snapshot holds, at a place where the first one is."""
    old = state(made / "shop")
    whole, key = tmp_path / "place", made / "centre.key"
    start = tmp_path / "start"
    shutil.copytree(made / "centre", start)
    with Catalogue.open(start / CATALOGUE) as catalogue:  # its notes say what is published, by address
        notes = json.loads(catalogue.get_setting("published") or "")
        (note,) = notes.values()
        first = note["names"][1]
        catalogue.set_setting("published", json.dumps({f"file://{whole}": {"number": 1, "names": [first]}}))
    shutil.copytree(made / "first-place", whole)
    again = shutil.copytree(start, tmp_path / "centre")
    steps = int(workers(what="publish", store=again, place=whole, key=key, at=0)["steps"])
    seen = []
    wanted = spread(steps)
    for at in (*wanted[: -KILLS // 3 : 3], *wanted[-KILLS // 3 :]):  # each of the last: the head is written there
        for folder, origin in ((again, start), (whole, made / "first-place")):
            shutil.rmtree(folder)
            shutil.copytree(origin, folder)
        assert workers(what="publish", store=again, place=whole, key=key, at=at)["signal"] == 9
        shop = shutil.copytree(made / "shop", tmp_path / "shop")
        seen.append(follow(shop, str(whole)).fresh)
        assert (state(shop)[0] > 1) == seen[-1] and (seen[-1] or state(shop) == old)
        assert workers(what="publish", store=again, place=whole, key=key, at=0)["code"] == 0
        follow(shop, str(whole))
        # a number that may have been heard of is not given again
        assert state(shop)[0] in (2, 3) and state(shop)[1].keys() == held(again).keys()
        shutil.rmtree(shop)
    assert seen == sorted(seen) and True in seen and False in seen


def test_a_full_disk(made: Path, tmp_path: Path, workers: Callable[..., dict[str, Any]]) -> None:
    """No file may grow beyond some bytes: as a disk that is full at that moment, first for chunks, then for rows."""
    place, start = made / "place", made / "shop"
    old = state(start)
    errors = []
    for limit in (0, 40_000, 60_000, 90_000, 10_000_000):
        shop = shutil.copytree(start, tmp_path / f"shop-{limit}")
        answer = workers(what="follow", store=shop, place=place, at=0, limit=limit)
        failed = not answer["steps"].isdigit()
        assert answer["code"] == 0 and "\n" not in answer["steps"] and (state(shop) == old) == failed, answer
        errors += [answer["steps"]] if failed else []
        assert workers(what="follow", store=shop, place=place, at=0)["code"] == 0
        assert state(shop)[0] == 2
    assert len(errors) == 4, errors
    assert any("the snapshot cannot be written there" in error for error in errors), errors
    assert sum("the store is as it was" in error for error in errors) == 3, errors
