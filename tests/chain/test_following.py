"""A shop stands on what the centre published: all of it, what is new of it, what came before; whoever else speaks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from chain_helpers import enrol, fill, held, new_store, signing
from crash_workers import FINGERPRINTS, Patches, open_matcher

from catalogue import Catalogue, Product, editing, history
from catalogue.errors import FollowedError, UndoError
from catalogue.following import FOLLOWING, own_references
from catalogue.listing import Filter, find
from retail_seg.chain import publishing, switching
from retail_seg.chain.following import Step, follow, go_back, stop
from retail_seg.chain.keys import PublicKey, SigningKey, read_key
from retail_seg.errors import ChainError, StoreError
from retail_seg.people.roles import NotAllowed, Person, acting_as
from retail_seg.segmentation.instances.grouping import Thresholds
from retail_seg.segmentation.network.unet import UNet
from retail_seg.segmentation.segmenter import SHIPPED, Segmenter, SegmenterConfig
from retail_seg.store import active_model
from retail_seg.store.active_model import model_in_use, use_model
from retail_seg.store.backup import back_up, bring_back
from retail_seg.store.following import CHAIN, followed_by
from retail_seg.store.opening import CATALOGUE
from retail_seg.store.settings import overview
from retail_seg.system.files import locked


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained segmenter."""
    config = SegmenterConfig(widths=(8, 8), block=1, side=64)
    folder = tmp_path_factory.mktemp("models") / "other"
    Segmenter(config, Thresholds(), UNet(config.unet), "other").save(folder, "# card\n")
    return folder


class Chain:
    """A centre, the place where it publishes, and the first of its shops."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.place = folder, folder / "place"
        self.centre, self.shop = new_store(folder / "centre"), new_store(folder / "shop")
        self.key: SigningKey = signing(folder)

    def publish(self, **how: bool) -> publishing.Published:
        return publishing.publish(self.centre, str(self.place), self.key, **how)

    def follow(self, **how: object) -> Step:
        return follow(self.shop, str(self.place), **how)  # type: ignore[arg-type]

    def both(self) -> Step:
        self.publish()
        return self.follow()


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    chain = Chain(tmp_path)
    fill(chain.centre, 150)
    chain.both()
    return chain


def standing(store: Path) -> int:
    with Catalogue.open(store / CATALOGUE) as catalogue:
        stands = followed_by(catalogue)
    return stands.number if stands else 0


def remove(store: Path, sku: str) -> None:
    with Catalogue.open(store / CATALOGUE) as catalogue:
        catalogue.remove_product(sku)


def chunks(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "chunks").rglob("*") if path.is_file())


def test_a_shop_holds_what_the_centre_holds(chain: Chain) -> None:
    assert held(chain.shop) == held(chain.centre) and len(held(chain.shop)) == 150
    with Catalogue.open(chain.shop / CATALOGUE) as mine, Catalogue.open(chain.centre / CATALOGUE) as theirs:
        assert list(mine.iter_vectors()) == list(theirs.iter_vectors())
        assert [product.sku for product in find(mine, Filter(text="p149"))] == ["p149"]
        assert history.log(mine)[0].action == "follow snapshot 1"
    assert Segmenter.load(model_in_use(chain.shop)).fingerprint == Segmenter.load(SHIPPED).fingerprint
    assert model_in_use(chain.shop) != SHIPPED


def test_only_what_is_new_goes_over_the_line(chain: Chain) -> None:
    before = len(chunks(chain.place))
    enrol(chain.centre, "p7", "p7 more")
    remove(chain.centre, "p9")
    done = chain.publish()
    # a part of products, the part of references that lost some, the part that got one, and the list of all
    assert (done.number, done.chunks) == (2, 4) and len(chunks(chain.place)) == before + 4
    step = chain.follow()
    assert step.taken is not None
    assert (step.taken.products, step.taken.references, step.taken.removed) == (1, 1, 2)
    assert held(chain.shop) == held(chain.centre) and "p9" not in held(chain.shop)


def test_nothing_new_is_no_snapshot(chain: Chain) -> None:
    assert chain.publish() == publishing.Published(1, chain.publish().name, False)
    step = chain.follow()
    assert not step.fresh and step.taken is None and step.stands.number == 1


def test_every_kind_of_change_arrives(chain: Chain) -> None:
    with Catalogue.open(chain.centre / CATALOGUE) as catalogue:
        catalogue.put_product(Product("p1", "Renamed", "Brand", attributes={"size": "1 l"}))
        catalogue.remove_references([catalogue.references("p2")[0].id])
        editing.merge(catalogue, "p3", "p4")
        catalogue.remove_product("p5")
        again = catalogue.references("p6")
        catalogue.remove_references([reference.id for reference in again])
    enrol(chain.centre, "p6", "p6 0", "p6 1")  # the same pictures under new ids
    with Catalogue.open(chain.centre / CATALOGUE) as catalogue, catalogue.change():
        for number in range(150, 700):
            catalogue.put_product(Product(f"p{number}"))
    chain.both()
    assert held(chain.shop) == held(chain.centre)
    with Catalogue.open(chain.centre / CATALOGUE) as catalogue:
        history.restore_product(catalogue, "p5")
        with catalogue.change():
            for number in range(200, 600):
                catalogue.remove_product(f"p{number}")
    chain.both()
    assert held(chain.shop) == held(chain.centre)
    with Catalogue.open(chain.shop / CATALOGUE) as mine, Catalogue.open(chain.centre / CATALOGUE) as theirs:
        assert list(mine.iter_vectors()) == list(theirs.iter_vectors())


def test_an_open_matcher_finds_what_came_and_says_which_snapshot(chain: Chain) -> None:
    with open_matcher(chain.shop) as matcher:
        before = matcher.revision
        vectors = matcher.catalogue.vectors_of([1])
        enrol(chain.centre, "new", "new 0")
        chain.both()
        assert matcher.revision == before + 1 and len(matcher._gallery.current().index) == 301
        assert str(matcher.versions()["snapshot"]).startswith("2:")
        assert matcher.catalogue.vectors_of([1]) == vectors
    with open_matcher(chain.centre) as matcher:
        assert "snapshot" not in matcher.versions()


def test_back_without_a_line_and_on_when_something_newer_comes(chain: Chain) -> None:
    first = held(chain.shop)
    enrol(chain.centre, "p1", "p1 more", name="Changed")
    remove(chain.centre, "p2")
    chain.both()
    away = chain.place.rename(chain.folder / "away")
    step = go_back(chain.shop)
    assert (step.stands.number, step.fetched) == (1, 0) and held(chain.shop) == first
    with pytest.raises(ChainError, match="nothing to go back to"):
        go_back(chain.shop)
    away.rename(chain.place)
    step = chain.follow()
    assert (step.fresh, step.waits, standing(chain.shop)) == (False, 2, 1) and held(chain.shop) == first
    assert chain.follow(again=True).stands.number == 2 and held(chain.shop) == held(chain.centre)
    go_back(chain.shop)
    enrol(chain.centre, "p3", "p3 more")
    assert chain.both().stands.number == 3 and held(chain.shop) == held(chain.centre)


def test_a_shop_that_was_away_for_long_comes_in_one_step(chain: Chain) -> None:
    for number in range(5):
        enrol(chain.centre, f"late{number}", f"late{number} 0")
        chain.publish()
    assert chain.follow().stands.number == 6 and held(chain.shop) == held(chain.centre)


def test_what_the_shop_adds_stays_its_own_until_the_centre_has_it(chain: Chain) -> None:
    ids = enrol(chain.shop, "p1", "seen here")
    enrol(chain.shop, "local", "local 0")
    with Catalogue.open(chain.shop / CATALOGUE) as catalogue:
        assert next(own_references(catalogue)) == ids[0]
    enrol(chain.centre, "p1", "elsewhere")
    assert chain.both().taken.absorbed == 0  # type: ignore[union-attr]
    assert len(held(chain.shop)["p1"][1]) == 4 and "local" in held(chain.shop)
    enrol(chain.centre, "p1", "seen here")
    enrol(chain.centre, "local", "local 1", name="Ours now")
    assert chain.both().taken.absorbed == 1  # type: ignore[union-attr]
    assert held(chain.shop)["p1"] == held(chain.centre)["p1"]
    assert held(chain.shop)["local"][0] == "Ours now" and len(held(chain.shop)["local"][1]) == 2
    remove(chain.centre, "local")
    chain.both()
    assert "local" not in held(chain.shop)


def test_what_is_the_centres_is_changed_at_the_centre(chain: Chain, tmp_path: Path) -> None:
    with Catalogue.open(chain.shop / CATALOGUE) as catalogue:
        before = held(chain.shop)
        for change in (
            lambda: catalogue.put_product(Product("p1", "Mine")),
            lambda: catalogue.remove_product("p1"),
            lambda: catalogue.remove_references([1]),
            lambda: editing.merge(catalogue, "p1", "p2"),
        ):
            with pytest.raises(FollowedError, match=r"follows a centre.*change it there"):
                change()
        with pytest.raises(UndoError, match="--back"):
            history.undo(catalogue, history.last_number(catalogue))
        assert held(chain.shop) == before
    with pytest.raises(StoreError, match="switch it there"):
        use_model(chain.shop, SHIPPED, by="")
    with pytest.raises(ChainError, match="publish from the centre"):
        publishing.publish(chain.shop, str(tmp_path / "elsewhere"), chain.key)


def test_the_segmenter_comes_and_goes_back_with_the_snapshot(chain: Chain, model: Path) -> None:
    use_model(chain.centre, model, by="")
    chain.both()
    assert Segmenter.load(model_in_use(chain.shop)).fingerprint == Segmenter.load(model).fingerprint
    go_back(chain.shop)
    assert Segmenter.load(model_in_use(chain.shop)).fingerprint == Segmenter.load(SHIPPED).fingerprint
    assert len(list((chain.shop / CHAIN / "models").iterdir())) == 1


def test_a_shop_leaves_and_keeps_what_it_has(chain: Chain, model: Path) -> None:
    use_model(chain.centre, model, by="")
    chain.both()
    before = held(chain.shop)
    stop(chain.shop)
    assert held(chain.shop) == before and standing(chain.shop) == 0
    assert model_in_use(chain.shop) == chain.shop / active_model.SEGMENTER
    remove(chain.shop, "p1")
    with pytest.raises(ChainError, match="follows nobody"):
        stop(chain.shop)
    with pytest.raises(ChainError, match="products of its own"):
        chain.follow()


def test_a_backup_of_a_shop_follows_on(chain: Chain, tmp_path: Path) -> None:
    enrol(chain.shop, "p1", "seen here")
    with Catalogue.open(chain.shop / CATALOGUE) as catalogue:
        back_up(catalogue, tmp_path / "backup")
    bring_back(tmp_path / "backup", tmp_path / "second")
    assert Segmenter.load(model_in_use(tmp_path / "second")).name
    enrol(chain.centre, "p2", "more")
    chain.publish()
    follow(tmp_path / "second")
    chain.follow()
    assert held(tmp_path / "second") == held(chain.shop)


def test_only_a_manager_may(chain: Chain) -> None:
    with acting_as(Person("stan", "staff")):
        for change in (chain.publish, chain.follow, lambda: go_back(chain.shop), lambda: stop(chain.shop)):
            with pytest.raises(NotAllowed):
                change()


def reindexed(store: Path, fingerprint: str) -> None:
    """Bring a store to another embedder."""
    from retail_seg.store.opening import embed_pending

    with Catalogue.open(store / CATALOGUE) as catalogue:
        embed_pending(catalogue, Patches(fingerprint))
        catalogue.set_embedder(fingerprint, Patches(fingerprint).dim)


def test_the_centre_changes_its_embedder(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """References that the shop has added are embedded beforehand; without that embedder here nothing is taken."""
    enrol(chain.shop, "p1", "seen here")
    reindexed(chain.centre, FINGERPRINTS[1])
    chain.publish()
    monkeypatch.setattr(switching, "load_embedder", lambda name, weights: Patches(FINGERPRINTS[0]))
    refused(chain, f"is of embedder retail-vgg:{FINGERPRINTS[1]}, the program here has .*update retail-seg")
    monkeypatch.setattr(switching, "load_embedder", lambda name, weights: Patches(FINGERPRINTS[1]))
    chain.follow()
    assert len(held(chain.shop)["p1"][1]) == 3
    with Catalogue.open(chain.shop / CATALOGUE) as mine, Catalogue.open(chain.centre / CATALOGUE) as theirs:
        assert (mine.embedder, mine.dim) == (FINGERPRINTS[1], Patches(FINGERPRINTS[1]).dim)
        assert list(mine.iter_vectors())[:-1] == list(theirs.iter_vectors())
        assert mine.count_pending(mine.embedder) == 0
        with pytest.raises(FollowedError, match="its embedder is of the centre"):
            reindexed(chain.shop, FINGERPRINTS[0])
    with open_matcher(chain.shop) as matcher:
        assert len(matcher._gallery.current().index) == 301


def test_one_at_a_time(chain: Chain) -> None:
    with locked(chain.shop / CHAIN / "locks" / "follow"):
        refused(chain, "is brought to a snapshot just now")
    with locked(chain.centre / CHAIN / "locks" / "publish"), pytest.raises(ChainError, match="being published"):
        chain.publish()


def test_the_settings_say_whom_a_store_follows(chain: Chain) -> None:
    with open_matcher(chain.shop) as matcher:
        facts = dict(overview(matcher).facts["Store"])
        assert dict(overview(matcher).facts["Segmenter"])["From"] == "the centre"
    assert facts["Follows"].endswith("/place") and facts["Stands on"].startswith("snapshot 1:")


# -- what must not be taken


def refused(chain: Chain, match: str, **how: object) -> None:
    before, number = held(chain.shop), standing(chain.shop)
    with pytest.raises(ChainError, match=match) as error:
        chain.follow(**how)
    assert "\n" not in str(error.value)
    assert (held(chain.shop), standing(chain.shop)) == (before, number)


def test_one_bit_of_any_chunk_changed(chain: Chain) -> None:
    known = set(chunks(chain.place))
    enrol(chain.centre, "p7", "p7 more")
    chain.publish()
    fresh = [path for path in chunks(chain.place) if path not in known]
    assert len(fresh) == 2  # the part of references that got one, and the list of all parts
    for path in fresh:
        data = path.read_bytes()
        for at in (0, 1, len(data) // 2, len(data) - 1):
            path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            refused(chain, "is damaged or was changed on its way")
        path.write_bytes(data[:-1])
        refused(chain, "is damaged or was changed on its way")
        path.unlink()
        refused(chain, "is missing there")
        path.write_bytes(data)
    assert chain.follow().stands.number == 2 and held(chain.shop) == held(chain.centre)


def test_one_bit_of_the_head_changed(chain: Chain) -> None:
    enrol(chain.centre, "p7", "p7 more")
    chain.publish()
    head = chain.place / "head.json"
    data = head.read_bytes()
    for at in range(0, len(data), 13):
        head.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        if json_or_none(head.read_bytes()) == json.loads(data):
            continue  # a blank became another one: the same words
        refused(chain, "head|signed by another centre|form")
    head.write_bytes(b"x" * 70_000)
    refused(chain, "is none of ours")


def json_or_none(data: bytes) -> object:
    try:
        return json.loads(data)
    except ValueError:
        return None


def test_an_old_signature_is_no_news(chain: Chain) -> None:
    old = (chain.place / "head.json").read_bytes()
    enrol(chain.centre, "p7", "p7 more")
    chain.both()
    (chain.place / "head.json").write_bytes(old)
    refused(chain, r"offers snapshot 1, older than 2.*goes on with snapshot 2")
    go_back(chain.shop)
    refused(chain, "offers snapshot 1, older than 2")


def test_where_nothing_is_or_listens(chain: Chain, tmp_path: Path) -> None:
    with pytest.raises(ChainError, match="no snapshot is published there"):
        follow(tmp_path / "other", str(tmp_path / "nowhere"))
    assert not (tmp_path / "other").exists()
    chain.place.rename(tmp_path / "away")
    refused(chain, "no snapshot is published there.*goes on with snapshot 1")
    with pytest.raises(ChainError, match="give the address"):
        follow(tmp_path / "other")
    with pytest.raises(ChainError, match="cannot be reached"):
        follow(tmp_path / "other", "nonsense://x")


def test_another_centres_key(chain: Chain, tmp_path: Path) -> None:
    other = new_store(tmp_path / "other")
    enrol(other, "q", "q 0")
    stranger = signing(tmp_path, "stranger.key")
    with pytest.raises(ChainError, match="signed by another centre"):
        publishing.publish(other, str(chain.place), stranger)
    publishing.publish(other, str(tmp_path / "elsewhere"), stranger)
    with pytest.raises(ChainError, match=r"signed by another centre.*goes on with snapshot 1"):
        follow(chain.shop, str(tmp_path / "elsewhere"))
    refused(chain, "follows the centre with key", key=stranger.public)
    with pytest.raises(ChainError, match="signed by another centre"):
        follow(tmp_path / "second", str(chain.place), key=stranger.public)
    assert not (tmp_path / "second").exists() and standing(chain.shop) == 1


def test_two_centres_with_one_key(chain: Chain, tmp_path: Path) -> None:
    second = tmp_path / "second"
    shutil.copytree(chain.centre, second)  # the same store on another computer
    enrol(second, "theirs", "theirs 0")
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(chain.place, elsewhere)
    enrol(chain.centre, "ours", "ours 0")
    chain.both()
    publishing.publish(second, str(elsewhere), chain.key, take_over=True)
    with pytest.raises(ChainError, match="snapshot 2 is another than the one taken here: two centres"):
        follow(chain.shop, str(elsewhere))
    enrol(second, "more", "more 0")
    publishing.publish(second, str(elsewhere), chain.key)
    with pytest.raises(ChainError, match="snapshot 2 is another than the one taken here: two centres"):
        follow(chain.shop, str(elsewhere))
    with pytest.raises(ChainError, match=r"which this store did not publish.*--take-over"):
        publishing.publish(second, str(chain.place), chain.key)
    assert publishing.publish(second, str(chain.place), chain.key, take_over=True).number == 3
    with pytest.raises(ChainError, match="which this store did not publish"):
        chain.publish()
    assert chain.follow().stands.number == 3 and held(chain.shop) == held(second)


def test_a_store_of_another_embedder(chain: Chain, tmp_path: Path) -> None:
    other = new_store(tmp_path / "other", FINGERPRINTS[1])
    with pytest.raises(ChainError, match=f"another embedder .{FINGERPRINTS[1]}. than the snapshot"):
        follow(other, str(chain.place))
    assert held(other) == {} and standing(other) == 0 and not (other / CHAIN / "chunks").exists()


def test_a_store_with_products_and_a_folder_that_is_none(chain: Chain, tmp_path: Path) -> None:
    own = new_store(tmp_path / "own")
    enrol(own, "mine", "mine 0")
    with pytest.raises(ChainError, match="products of its own; follow into a new folder"):
        follow(own, str(chain.place))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter").touch()
    with pytest.raises(StoreError, match="is not empty and no store"):
        follow(tmp_path / "full", str(chain.place))
    with pytest.raises(StoreError, match="is no folder"):
        follow(tmp_path / "full" / "letter", str(chain.place))


def test_damage_at_the_place_is_mended_by_publishing_again(chain: Chain, tmp_path: Path) -> None:
    for path in chunks(chain.place):
        path.write_bytes(b"\0 damaged")
    with pytest.raises(ChainError, match="damaged"):
        chain.publish()
    assert chain.publish(again=True).number == 2
    other = new_store(tmp_path / "other")
    follow(other, str(chain.place))
    assert held(other) == held(chain.centre)


def test_a_place_that_is_no_folder(chain: Chain, tmp_path: Path) -> None:
    """fsspec's store in memory stands for an object store: no folders, each object written whole."""
    place = f"memory://{tmp_path.name}"
    publishing.publish(chain.centre, place, chain.key)
    other = new_store(tmp_path / "other")
    assert follow(other, place).stands.source == f"memory:///{tmp_path.name}" and held(other) == held(chain.centre)
    enrol(chain.centre, "p1", "p1 more")
    assert publishing.publish(chain.centre, place, chain.key).chunks == 2
    assert follow(other).taken.references == 1  # type: ignore[union-attr]


# -- keys


def test_a_key_lies_in_a_file_of_its_owner(tmp_path: Path) -> None:
    key = signing(tmp_path)
    file = tmp_path / "centre.key"
    assert file.stat().st_mode & 0o777 == 0o600
    line = (tmp_path / "centre.key.pub").read_text()
    assert PublicKey.read(str(tmp_path / "centre.key.pub")) == PublicKey.read(line) == key.public
    with pytest.raises(ChainError, match="never overwritten"):
        signing(tmp_path)
    file.chmod(0o644)
    with pytest.raises(ChainError, match="chmod 600"):
        read_key(file)
    for text in ("retail-seg:short", str(file), str(tmp_path / "none")):
        with pytest.raises(ChainError, match="public key"):
            PublicKey.read(text)


def test_a_key_with_a_passphrase(tmp_path: Path) -> None:
    from retail_seg.chain.keys import make_key

    public = make_key(tmp_path / "key", "open sesame")
    assert read_key(tmp_path / "key", lambda: "open sesame").public == public
    for wrong in ("", "sesame"):
        with pytest.raises(ChainError, match="passphrase is wrong"):
            read_key(tmp_path / "key", lambda: wrong)  # noqa: B023
    (tmp_path / "text").write_text("no key")
    (tmp_path / "text").chmod(0o600)
    with pytest.raises(ChainError, match="is no key"):
        read_key(tmp_path / "text")


def test_the_first_key_is_kept(chain: Chain) -> None:
    with Catalogue.open(chain.shop / CATALOGUE) as catalogue:
        assert json.loads(catalogue.get_setting(FOLLOWING) or "")["key"] == str(chain.key.public)
