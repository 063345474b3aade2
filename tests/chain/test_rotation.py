"""A centre changes its key: for a time both are good, then the old one is not; a shop that was away is told how."""

from __future__ import annotations

from pathlib import Path

import pytest
from chain_helpers import enrol, fill, held, new_store, signing
from click.testing import CliRunner

from catalogue import Catalogue, following
from retail_seg.chain.following import Step, follow, go_back
from retail_seg.chain.keys import Keys, SigningKey
from retail_seg.chain.publishing import Published, publish
from retail_seg.chain.rotation import add_key, keys_of, retire_key
from retail_seg.chain.snapshot import Head, read_head
from retail_seg.cli import cli
from retail_seg.errors import ChainError
from retail_seg.people.roles import NotAllowed, Person, acting_as
from retail_seg.store.following import followed_by
from retail_seg.store.opening import CATALOGUE


class Chain:
    """A centre with an old key and a new one, and a shop that stands on what the old one signed."""

    def __init__(self, folder: Path) -> None:
        self.centre, self.shop, self.place = new_store(folder / "centre"), new_store(folder / "shop"), folder / "place"
        self.old, self.new = signing(folder, "old.key"), signing(folder, "new.key")
        fill(self.centre, 3)
        self.publish(self.old)
        self.follow()

    def publish(self, key: SigningKey) -> Published:
        return publish(self.centre, str(self.place), key)

    def follow(self) -> Step:
        return follow(self.shop, str(self.place))

    def forge(self, key: SigningKey, keys: Keys | None = None) -> None:
        """A head that is newer than any and names today's snapshot, signed by whoever has a key."""
        head = self.head()
        forged = Head(head.number + 100, head.snapshot, head.made, keys or Keys((str(key.public),)))
        (self.place / "head.json").write_bytes(forged.signed(key))

    def head(self) -> Head:
        return read_head((self.place / "head.json").read_bytes(), "here", None)[0]


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    return Chain(tmp_path)


def lines(*keys: SigningKey) -> tuple[str, ...]:
    return tuple(str(key.public) for key in keys)


def test_the_new_key_is_told_by_the_old_and_then_takes_over(chain: Chain) -> None:
    assert not chain.publish(chain.old).fresh
    add_key(chain.centre, chain.new.public)
    assert chain.publish(chain.old).fresh, "the keys are news, too"
    assert chain.follow().fresh and keys_of(chain.shop) == Keys(lines(chain.old, chain.new))
    enrol(chain.centre, "fresh", "fresh 0")
    chain.publish(chain.new)
    assert chain.follow().stands.key == str(chain.new.public) and held(chain.shop) == held(chain.centre)
    enrol(chain.centre, "more", "more 0")
    chain.publish(chain.old)
    assert chain.follow().stands.number == 4, "for a time both are taken"
    retire_key(chain.centre, chain.old.public)
    chain.publish(chain.new)
    assert chain.follow().stands.number == 5
    assert keys_of(chain.shop) == keys_of(chain.centre) == Keys(lines(chain.new), lines(chain.old))
    assert not chain.publish(chain.new).fresh and not chain.follow().fresh


def retired(chain: Chain) -> None:
    add_key(chain.centre, chain.new.public)
    chain.publish(chain.old)
    chain.follow()
    retire_key(chain.centre, chain.old.public)
    chain.publish(chain.new)
    chain.follow()


def test_the_old_key_is_refused_after_its_end_and_cannot_come_back(chain: Chain) -> None:
    retired(chain)
    before = held(chain.shop)
    chain.forge(chain.old)
    with pytest.raises(
        ChainError, match=r"which the centre has retired: an old copy.*goes on with snapshot 3"
    ) as error:
        chain.follow()
    assert "\n" not in str(error.value) and held(chain.shop) == before
    for store in (chain.shop, chain.centre):
        with pytest.raises(ChainError, match="was retired; make another"):
            add_key(store, chain.old.public)
    with pytest.raises(ChainError, match=r"was retired, and shops refuse it; sign with a newer one"):
        chain.publish(chain.old)
    assert go_back(chain.shop).stands.trusted == lines(chain.new), "nor by the way back"
    with pytest.raises(ChainError, match="which the centre has retired"):
        chain.follow()


def test_a_shop_that_was_away_adds_the_key_itself(chain: Chain, tmp_path: Path) -> None:
    away = new_store(tmp_path / "away")
    follow(away, str(chain.place))
    retired(chain)
    with pytest.raises(ChainError, match=r"signed by another centre .* `retail-seg key add` trusts it"):
        follow(away)
    add_key(away, chain.new.public)
    assert follow(away).fresh and keys_of(away) == Keys(lines(chain.new), lines(chain.old))


def test_who_is_not_trusted_tells_nothing(chain: Chain, tmp_path: Path) -> None:
    stranger = signing(tmp_path, "stranger.key")
    chain.forge(stranger, Keys(lines(stranger), lines(chain.old)))
    with pytest.raises(ChainError, match="signed by another centre"):
        chain.follow()
    assert keys_of(chain.shop) == Keys(lines(chain.old))
    with pytest.raises(ChainError, match="signed by another centre"):
        chain.publish(chain.old)
    with pytest.raises(ChainError, match="follows the centre with key"):
        follow(chain.shop, key=stranger.public)


def test_a_centre_that_was_never_told_of_a_key_does_not_change_to_it(chain: Chain) -> None:
    with pytest.raises(ChainError, match=r"shops were not told of it; add it with `retail-seg key add`"):
        chain.publish(chain.new)
    assert chain.head().keys == Keys(lines(chain.old))


def test_a_store_of_before_keeps_its_key(chain: Chain) -> None:
    with Catalogue.open(chain.shop / CATALOGUE) as catalogue:
        stands = followed_by(catalogue)
        assert stands is not None
        kept = {name: value for name, value in stands.to_json().items() if name not in ("keys", "retired")}
        following.note(catalogue, kept)
    assert keys_of(chain.shop) == Keys(lines(chain.old)) and not chain.follow().fresh


def test_what_cannot_be_retired(chain: Chain) -> None:
    for store in (chain.centre, chain.shop):
        with pytest.raises(ChainError, match="is its only one; add the next"):
            retire_key(store, chain.old.public)
        with pytest.raises(ChainError, match="is not among its keys"):
            retire_key(store, chain.new.public)
        with acting_as(Person("stan", "staff")), pytest.raises(NotAllowed):
            add_key(store, chain.new.public)


def test_the_commands(chain: Chain, tmp_path: Path) -> None:
    def run(*words: object) -> str:
        found = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False, standalone_mode=False)
        return found.stdout + found.stderr

    store = ("--store", chain.shop)
    assert "is one of its keys now" in run("key", "add", tmp_path / "new.key.pub", *store)
    assert "is retired" in run("key", "retire", chain.old.public, *store)
    assert run("key", "list", *store).splitlines() == [f"{chain.new.public} trusted", f"{chain.old.public} retired"]
