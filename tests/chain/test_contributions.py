"""What a shop adds goes to the centre, a manager takes it or leaves it, and it comes back as the centre's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from chain_helpers import enrol, fill, held, new_store, signing
from click.testing import CliRunner
from crash_workers import open_matcher

from catalogue import Catalogue
from retail_seg.chain import centre, contributions
from retail_seg.chain.contributions import Contribution, contribute, open_contributions
from retail_seg.chain.following import follow
from retail_seg.chain.packing import chunk_of, pack
from retail_seg.chain.publishing import publish
from retail_seg.cli import cli
from retail_seg.errors import ChainError
from retail_seg.people.roles import NotAllowed, Person, acting_as
from retail_seg.store.opening import CATALOGUE


class Chain:
    """A centre and a shop that has added something to it."""

    def __init__(self, folder: Path) -> None:
        self.centre, self.shop, self.place = new_store(folder / "centre"), new_store(folder / "shop"), folder / "place"
        self.key = signing(folder)
        fill(self.centre, 3)
        self.bring()
        enrol(self.shop, "p1", "p1 seen", "p1 seen twice")
        enrol(self.shop, "local", *(f"local {n}" for n in range(20)), name="Local lemonade")

    def bring(self) -> None:
        publish(self.centre, str(self.place), self.key)
        follow(self.shop, str(self.place))

    def send(self) -> int:
        with Catalogue.open(self.shop / CATALOGUE) as catalogue:
            return contribute(catalogue, shop="Shop 12")

    def waiting(self, left: bool = False) -> list[Contribution | str]:
        with Catalogue.open(self.centre / CATALOGUE) as catalogue:
            return list(open_contributions(catalogue, str(self.place), left=left))

    def take(self, one: Contribution) -> None:
        with open_matcher(self.centre) as matcher:
            assert contributions.take(matcher, one) == []


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    return Chain(tmp_path)


def by_sku(found: list[Contribution | str]) -> dict[str, list[Contribution]]:
    groups: dict[str, list[Contribution]] = {}
    for one in found:
        assert isinstance(one, Contribution)
        groups.setdefault(one.product.sku, []).append(one)
    return groups


def test_sent_taken_and_back_as_the_centres(chain: Chain) -> None:
    assert chain.send() == 3 and chain.send() == 0
    found = by_sku(chain.waiting())
    assert sorted(len(one.pictures) for one in found["local"]) == [4, 16] and len(found["p1"]) == 1
    assert found["local"][0].new and not found["p1"][0].new and found["p1"][0].shop == "Shop 12"
    for one in (*found["local"], *found["p1"]):
        chain.take(one)
    assert chain.waiting() == [] and chain.waiting(left=True) == []
    assert held(chain.centre)["local"][0] == "Local lemonade"
    assert held(chain.centre) == held(chain.shop)
    chain.bring()
    assert held(chain.centre) == held(chain.shop)
    with Catalogue.open(chain.shop / CATALOGUE) as mine, Catalogue.open(chain.centre / CATALOGUE) as theirs:
        assert list(mine.iter_vectors()) == list(theirs.iter_vectors())  # none of its own is left
    assert chain.send() == 0


def test_left_and_taken_after_all(chain: Chain) -> None:
    chain.send()
    before = held(chain.centre)
    (one,) = by_sku(chain.waiting())["p1"]
    with Catalogue.open(chain.centre / CATALOGUE) as catalogue:
        contributions.leave(catalogue, one)
        assert contributions.find(catalogue, str(chain.place), one.name[:12]) == one
    assert "p1" not in by_sku(chain.waiting()) and chain.waiting(left=True) == [one]
    assert held(chain.centre) == before
    chain.take(one)
    assert chain.waiting(left=True) == [] and len(held(chain.centre)["p1"][1]) == 4


def test_what_the_centre_says_of_its_product_stays(chain: Chain) -> None:
    enrol(chain.centre, "local", name="Named by the centre")
    chain.send()
    chain.take(by_sku(chain.waiting())["local"][0])
    assert held(chain.centre)["local"][0] == "Named by the centre"


def test_what_nobody_sent_honestly(chain: Chain) -> None:
    chain.send()
    folder = chain.place / "contributions"
    honest = folder / by_sku(chain.waiting())["p1"][0].name
    about = {"shop": "x", "sku": "p1", "name": "", "brand": "", "category": "", "gtin": "", "attributes": {}}
    bad = [
        b"", b"RSEGPART1\n[1]\n", b"RSEGPART1\n{}\n", pack([]), pack([{**about, "sku": ""}]), pack([{"shop": "x"}]),
        pack([about, {"content_hash": "../x", "source": "", "mask": None, "picture": b"x"}]),
        pack([about, {"content_hash": "0" * 64, "source": "", "mask": None}]),
        b'RSEGPART1\n[{"picture":9},{"picture":-9}]\n',
    ]  # fmt: skip
    for data in bad:
        (folder / chunk_of(data).name).write_bytes(data)
    (folder / "letter").write_bytes(honest.read_bytes())
    honest.write_bytes(honest.read_bytes()[:-1] + b"?")
    found = chain.waiting()
    assert sum("was passed over" in one for one in found if isinstance(one, str)) == len(bad) + 2
    assert [one.product.sku for one in found if isinstance(one, Contribution)] == ["local", "local"]


def test_a_picture_that_is_none_is_named_and_the_rest_taken(chain: Chain) -> None:
    about = {"shop": "x", "sku": "p1", "name": "", "brand": "", "category": "", "gtin": "", "attributes": {}}
    data = pack([about, {"content_hash": "0" * 64, "source": "a", "mask": None, "picture": b"no picture"}])
    (chain.place / "contributions").mkdir()
    (chain.place / "contributions" / chunk_of(data).name).write_bytes(data)
    (one,) = by_sku(chain.waiting())["p1"]
    before = held(chain.centre)
    with open_matcher(chain.centre) as matcher:
        (refused,) = contributions.take(matcher, one)
    assert refused.name == "a of x" and held(chain.centre) == before


def test_who_may(chain: Chain) -> None:
    chain.send()
    (one,) = by_sku(chain.waiting())["p1"]
    with acting_as(Person("stan", "staff")), open_matcher(chain.centre) as matcher:
        for change in (lambda: contributions.take(matcher, one), lambda: contributions.leave(matcher.catalogue, one)):
            with pytest.raises(NotAllowed):
                change()
    with Catalogue.open(chain.centre / CATALOGUE) as catalogue, pytest.raises(ChainError, match="follows nobody"):
        contribute(catalogue)


def test_two_managers_decide_on_one(chain: Chain) -> None:
    chain.send()
    with open_matcher(chain.centre) as matcher:
        assert centre.count_waiting(matcher, str(chain.place)) == 3
        found = [centre.waiting(matcher, str(chain.place), start=at, most=1)[0] for at in range(3)]
        one = by_sku(found)["p1"][0]
        assert len(centre.pictures(one)) == 2 and centre.take(matcher, one) == []
        for change in (centre.take, centre.leave):
            with pytest.raises(ChainError, match="was taken by somebody else meanwhile"):
                change(matcher, one)
        assert centre.count_waiting(matcher, str(chain.place)) == 2


def test_the_commands(chain: Chain, tmp_path: Path) -> None:
    def run(*words: object) -> tuple[int, str, str]:
        found = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False, standalone_mode=False)
        return int(found.return_value or 0), found.stdout, found.stderr

    assert "3 contributions sent" in run("contributions", "send", "--store", chain.shop)[2]
    words = ("contributions", "list", chain.place, "--store", chain.centre)
    lines = [json.loads(line) for line in run(*words, "--out", tmp_path / "look")[1].splitlines()]
    assert sorted(line["pictures"] for line in lines) == [2, 4, 16] and len(list((tmp_path / "look").iterdir())) == 22
    name = next(line["contribution"] for line in lines if line["sku"] == "p1")
    assert run("contributions", "leave", chain.place, name, "none", "--store", chain.centre)[0] == 1
    assert [json.loads(line)["sku"] for line in run(*words, "--left")[1].splitlines()] == ["p1"]
