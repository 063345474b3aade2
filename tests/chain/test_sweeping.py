"""Old snapshots are taken away: nothing that a kept one needs, nothing that a shop may be fetching, killed or not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from chain_helpers import enrol, fill, held, new_store, signing
from click.testing import CliRunner
from test_killed import workers as workers  # the program that forks and dies at a step

from catalogue import Catalogue
from retail_seg.chain import sweeping
from retail_seg.chain.following import follow
from retail_seg.chain.packing import Chunk
from retail_seg.chain.publishing import Published, publish
from retail_seg.chain.remote import Remote
from retail_seg.chain.snapshot import Snapshot, read_head
from retail_seg.chain.sweeping import Swept
from retail_seg.cli import cli
from retail_seg.errors import ChainError
from retail_seg.store.opening import CATALOGUE


class Chain:
    """A centre that has published five snapshots, each with a product more and one fewer."""

    def __init__(self, folder: Path) -> None:
        self.centre, self.place = new_store(folder / "centre"), folder / "place"
        self.file, self.key = folder / "centre.key", signing(folder)
        fill(self.centre, 70)
        self.names = [self.publish().name]
        self.names += [self.change(number) for number in range(4)]

    def change(self, number: int, **how: Any) -> str:
        enrol(self.centre, f"fresh{number}", f"fresh {number}")
        with Catalogue.open(self.centre / CATALOGUE) as catalogue:
            catalogue.remove_product(f"p{number}")
        return self.publish(**how).name

    def publish(self, **how: Any) -> Published:
        return publish(self.centre, str(self.place), self.key, **how)

    def swept(self, keep: int, grace: float) -> Swept:
        found = self.publish(keep=keep, grace=grace).swept
        assert found is not None
        return found

    def snapshot(self, name: str) -> Snapshot | None:
        """A snapshot of which every chunk lies there, whole; None where one is missing."""
        remote = Remote(self.place)
        try:
            snapshot = Snapshot.from_bytes(remote.named(name, 10**6))
            return snapshot if len(list(remote.chunks(set(snapshot.chunks())))) else None
        except ChainError:
            return None

    def whole(self) -> list[bool]:
        return [self.snapshot(name) is not None for name in self.names]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    return Chain(tmp_path_factory.mktemp("chain"))


@pytest.fixture
def chain(made: Chain, tmp_path: Path) -> Chain:
    """A copy; its notes name the place where the copy lies."""
    copy = object.__new__(Chain)
    copy.file, copy.key, copy.names = made.file, made.key, list(made.names)
    copy.centre, copy.place = tmp_path / "centre", tmp_path / "place"
    shutil.copytree(made.centre, copy.centre)
    shutil.copytree(made.place, copy.place)
    with Catalogue.open(copy.centre / CATALOGUE) as catalogue:
        (note,) = json.loads(catalogue.get_setting("published") or "").values()
        catalogue.set_setting("published", json.dumps({f"file://{copy.place}": note}))
    return copy


def test_the_last_ones_are_kept_and_the_rest_goes(chain: Chain, tmp_path: Path) -> None:
    before = Remote(chain.place).stored()
    found = chain.swept(keep=2, grace=0)
    after = Remote(chain.place).stored()
    assert found.removed == len(before) - len(after) > 6 and found.waiting == 0
    assert found.freed == sum(before.values()) - sum(after.values())
    assert chain.whole() == [False, False, False, True, True]
    assert chain.swept(keep=2, grace=0) == Swept(0, 0, 0)
    assert chain.swept(keep=200, grace=0).removed == 0, "what is gone already is not missed"
    follow(new_store(tmp_path / "shop"), str(chain.place))
    assert held(tmp_path / "shop") == held(chain.centre)


def test_a_shop_that_has_read_the_old_head_fetches_in_peace(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = new_store(tmp_path / "shop")
    fetch = Remote.chunks

    def overtaken(self: Remote, wanted: Any) -> Any:
        monkeypatch.setattr(Remote, "chunks", fetch)
        chain.change(7, keep=1)
        return fetch(self, wanted)

    monkeypatch.setattr(Remote, "chunks", overtaken)
    old = held(chain.centre)
    assert follow(shop, str(chain.place)).stands.number == 5 and held(shop) == old != held(chain.centre)
    assert follow(shop, str(chain.place)).stands.number == 6 and held(shop) == held(chain.centre)


def test_the_time_counts_from_when_it_was_seen_first(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(sweeping.time, "time", lambda: clock[0])
    first = chain.swept(keep=2, grace=60)
    clock[0] += 59
    chain.names.append(chain.change(8))
    second = chain.swept(keep=2, grace=60)
    assert first.removed == second.removed == 0 < first.waiting < second.waiting
    clock[0] += 1
    third = chain.swept(keep=2, grace=60)
    assert (third.removed, third.waiting) == (first.waiting, second.waiting - first.waiting)
    assert chain.whole()[-2:] == [True, True] and not any(chain.whole()[:3])
    clock[0] += 60
    assert chain.swept(keep=2, grace=60).waiting == 0 and chain.whole() == [False] * 4 + [True, True]


def test_what_is_needed_again_is_struck_off(chain: Chain) -> None:
    waiting = chain.swept(keep=1, grace=60).waiting
    assert waiting > 0 and chain.swept(keep=5, grace=60).waiting == 0
    (chain.place / sweeping.UNNEEDED).write_text("[1, {")
    assert chain.swept(keep=1, grace=60).waiting == waiting and all(chain.whole())


def test_a_damaged_one_that_is_to_be_kept(chain: Chain) -> None:
    name = chain.names[2]
    (chain.place / "chunks" / name[:2] / name).write_bytes(b"\0{}")
    before = Remote(chain.place).stored()
    with pytest.raises(ChainError, match=r"snapshot 3 is to be kept and is damaged .* keep fewer with --keep"):
        chain.swept(keep=4, grace=0)
    assert Remote(chain.place).stored() == before
    assert chain.swept(keep=2, grace=0).removed and chain.whole() == [False] * 3 + [True, True]


def test_another_centre_publishes_meanwhile(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    before, stored = Remote(chain.place).stored(), Remote.stored

    def overtaken(self: Remote) -> dict[str, int]:
        head, _ = read_head((chain.place / "head.json").read_bytes(), "here", None)
        self.write_head(type(head)(head.number + 1, Chunk("0" * 64, 1), head.made).signed(chain.key))
        return stored(self)

    monkeypatch.setattr(Remote, "stored", overtaken)
    with pytest.raises(ChainError, match="another centre has published there just now; nothing was taken away"):
        chain.publish(keep=1, grace=0)
    monkeypatch.undo()
    assert Remote(chain.place).stored() == before


def test_killed_at_any_moment(chain: Chain, tmp_path: Path, workers: Any) -> None:
    place = chain.place
    start = shutil.copytree(place, tmp_path / "start")
    order = {"what": "publish", "store": chain.centre, "place": place, "key": chain.file}
    how = {"keep": 2, "grace": 0}
    steps = int(workers(**order, how=how, at=0)["steps"])
    done, gone = Remote(place).stored(), set()
    for at in range(steps - 18, steps + 1, 6):  # where chunks are taken away, and the list is written
        shutil.rmtree(place)
        shutil.copytree(start, place)
        assert workers(**order, how=how, at=at)["signal"] == 9
        assert chain.whole()[-2:] == [True, True], f"killed at step {at} of {steps}"
        gone.add(len(Remote(place).stored()))
        assert workers(**order, how=how, at=0)["code"] == 0
        assert Remote(place).stored() == done
    assert len(gone) > 1, "it was killed between one chunk and the next"


def test_the_command(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETAIL_SEG_KEY", str(chain.file))
    words = ["publish", str(chain.place), "--store", str(chain.centre), "--keep", "2"]
    found = CliRunner().invoke(cli, words, catch_exceptions=False, standalone_mode=False)
    assert "0 chunks (0 bytes) of old snapshots taken away" in found.stderr and "for 24 hours" in found.stderr
    found = CliRunner().invoke(cli, [*words, "--grace", "0"], catch_exceptions=False, standalone_mode=False)
    assert "nothing is new since snapshot 5" in found.stderr and ", 0 wait until" in found.stderr
