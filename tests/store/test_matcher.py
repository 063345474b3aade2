"""Matcher and gallery: enrol, answer, remove, heal after a crash, follow other processes, refuse foreign vectors."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from catalogue import Catalogue, Product, UnknownProduct, UnknownReference
from index.vgg import VGG16Net
from retail_seg import Matcher
from retail_seg.errors import PhotoError, StoreError
from retail_seg.rendering.assortment import articles, demo_photos, references
from retail_seg.segmentation.instances.instances import Instances
from retail_seg.store.enrolment import Upload, as_upload, embed_prepared, prepare

ARTICLES = articles()[:6]


@pytest.fixture(scope="module")
def pictures() -> dict[str, list[Upload]]:
    return {
        article.sku: [
            Upload(picture, f"{article.sku} {n}", mask) for n, (picture, mask) in enumerate(references(article))
        ]
        for article in ARTICLES
    }


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, pictures: dict[str, list[Upload]]) -> Path:
    folder = tmp_path_factory.mktemp("original") / "store"
    with Matcher.create(folder) as matcher:
        for sku, uploads in pictures.items():
            matcher.enrol(Product(sku, f"Name of {sku}"), uploads[:2])
    return folder


@pytest.fixture
def store(tmp_path: Path, original: Path) -> Path:
    """A copy for each test, which may change it."""
    return shutil.copytree(original, tmp_path / "store")


def best(matcher: Matcher, upload: Upload) -> str:
    assert isinstance(upload.source, np.ndarray)
    return matcher.match([upload.source], masks=[upload.mask])[0].matches[0].sku


def test_a_reference_finds_its_own_product(store: Path, pictures: dict[str, list[Upload]]) -> None:
    with Matcher.open(store) as matcher:
        for sku, uploads in pictures.items():
            found = matcher.match([uploads[0].source], masks=[uploads[0].mask], top=3)[0]
            assert found.matches[0].sku == sku and found.matches[0].score > 0.9
            assert found.matches[0].name == f"Name of {sku}"
            owned = {reference.id for reference in matcher.catalogue.references(sku)}
            assert found.matches[0].reference_id in owned
            assert len(found.matches) == 3 and len({match.sku for match in found.matches}) == 3
            scores = [match.score for match in found.matches]
            assert scores == sorted(scores, reverse=True)


def test_an_empty_store_knows_nothing(tmp_path: Path, pictures: dict[str, list[Upload]]) -> None:
    with Matcher.create(tmp_path / "empty") as matcher:
        found = matcher.match([pictures[ARTICLES[0].sku][0].source])[0]
    assert found.decision == "unknown" and found.sku is None and found.matches == ()


def test_a_sliver_is_unknown_with_its_reason_and_stops_nothing(store: Path, pictures: dict[str, list[Upload]]) -> None:
    upload = pictures[ARTICLES[0].sku][0]
    assert isinstance(upload.source, np.ndarray)
    height, width = upload.source.shape[:2]
    ids = np.zeros((height, width + 9), np.int32)
    ids[:, :width] = 1
    ids[5:65, width + 4 : width + 6] = 2
    photo = np.pad(upload.source, ((0, 0), (0, 9), (0, 0)), mode="edge")
    with Matcher.open(store) as matcher:
        whole, sliver = matcher.report(photo, Instances.from_labels(ids), "shelf").instances
        alone = matcher.match([photo[:3, :50], photo[:, :width]])
    assert whole.matches and not whole.identification.reason
    assert (sliver.decision, sliver.sku, sliver.matches) == ("unknown", None, ())
    assert sliver.to_dict()["reason"] == "2 × 60 pixels are too few to recognise anything"
    assert "50 × 3" in alone[0].reason and alone[1].matches


def test_no_crops_give_no_answers(store: Path) -> None:
    with Matcher.open(store) as matcher:
        assert matcher.match([]) == []


def test_the_same_picture_is_kept_once(store: Path, pictures: dict[str, list[Upload]]) -> None:
    sku = ARTICLES[0].sku
    with Matcher.open(store) as matcher:
        before = matcher.catalogue.count_references()
        matcher.enrol(matcher.catalogue.product(sku), [*pictures[sku][:3], pictures[sku][2]])
        assert matcher.catalogue.count_references() == before + 1


def test_many_products_at_once_are_found_and_one_bad_picture_loses_only_its_own(
    tmp_path: Path, pictures: dict[str, list[Upload]]
) -> None:
    wanted = [(Product(sku), uploads[:1]) for sku, uploads in pictures.items()]
    wanted[3] = (wanted[3][0], [b"no picture"])
    with Matcher.create(tmp_path / "store") as matcher:
        with pytest.raises(PhotoError):
            matcher.enrol_all(wanted)
        assert [product.sku for product in matcher.catalogue.products()] == sorted(p.sku for p, _ in wanted[:3])
        assert best(matcher, pictures[wanted[0][0].sku][0]) == wanted[0][0].sku


def test_a_bad_picture_leaves_the_store_as_it_was(
    store: Path, pictures: dict[str, list[Upload]], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    with Matcher.open(store) as matcher:
        revision = matcher.revision
        with pytest.raises(PhotoError, match=r"bad\.jpg"):
            matcher.enrol(Product("new"), [pictures[ARTICLES[0].sku][0], bad])
        assert matcher.revision == revision
        with pytest.raises(UnknownProduct):
            matcher.catalogue.product("new")


def test_removed_products_and_references_are_no_longer_found(store: Path, pictures: dict[str, list[Upload]]) -> None:
    first, second = ARTICLES[0].sku, ARTICLES[1].sku
    with Matcher.open(store) as matcher:
        matcher.remove(first)
        assert best(matcher, pictures[first][0]) != first
        gone = matcher.catalogue.references(second)[0].id
        with pytest.raises(UnknownReference, match=str(gone)):
            matcher.remove(ARTICLES[2].sku, [gone])
        assert matcher.remove(second, [gone]) == [gone]
        everything = matcher.match([pictures[second][0].source], top=100)[0].matches
        assert gone not in {match.reference_id for match in everything}
        with pytest.raises(UnknownProduct):
            matcher.remove("never was")


def test_a_row_without_its_vector_in_the_index_heals(store: Path, pictures: dict[str, list[Upload]]) -> None:
    """A crash between the row and the index: the row is committed, the snapshot is of before."""
    sku = ARTICLES[0].sku
    with Matcher.open(store) as matcher:
        (fresh,) = embed_prepared(matcher.embedder, [prepare(as_upload(pictures[sku][3]))])
    with Catalogue.open(store / "catalogue.db") as catalogue:
        (added,) = catalogue.enrol(Product("after the crash"), [fresh])
    with Matcher.open(store) as matcher:
        found = matcher.match([pictures[sku][3].source], masks=[pictures[sku][3].mask])[0]
        assert found.matches[0].reference_id == added and found.matches[0].sku == "after the crash"


@pytest.mark.parametrize("damage", ["missing", "cut off", "foreign"])
def test_the_index_is_a_cache(store: Path, pictures: dict[str, list[Upload]], damage: str) -> None:
    snapshot = store / "index.faiss"
    assert snapshot.exists()
    if damage == "missing":
        snapshot.unlink()
    elif damage == "cut off":
        snapshot.write_bytes(snapshot.read_bytes()[:100])
    else:
        snapshot.write_bytes(b"something else" * 1000)
    with Matcher.open(store) as matcher:
        for sku, uploads in pictures.items():
            assert best(matcher, uploads[0]) == sku


def test_a_ranker_of_another_version_is_no_obstacle(
    store: Path, pictures: dict[str, list[Upload]], caplog: pytest.LogCaptureFixture
) -> None:
    sku, uploads = next(iter(pictures.items()))
    with Matcher.open(store) as matcher:
        matcher.catalogue.set_settings({"ranker": '{"weights": [1, 2]}', "ranker_id": "old"})
        assert best(matcher, uploads[0]) == sku
    assert "reindex" in caplog.text
    caplog.clear()
    with Matcher.open(store) as matcher:
        matcher.reindex()
    with Matcher.open(store) as matcher:
        caplog.clear()
        assert best(matcher, uploads[0]) == sku
    assert not caplog.text


def test_two_open_stores_follow_each_other(store: Path, pictures: dict[str, list[Upload]]) -> None:
    sku = ARTICLES[0].sku
    with Matcher.open(store) as one, Matcher.open(store) as other:
        one.remove(sku)
        assert best(other, pictures[sku][0]) != sku
        other.enrol(Product(sku), pictures[sku][:1])
        assert best(one, pictures[sku][0]) == sku
        one.reindex()
        assert best(other, pictures[sku][0]) == sku


def test_readers_go_on_while_a_writer_adds(store: Path, pictures: dict[str, list[Upload]]) -> None:
    errors: list[BaseException] = []
    done = threading.Event()
    with Matcher.open(store) as matcher:

        def read() -> None:
            try:
                while not done.is_set():
                    assert best(matcher, pictures[ARTICLES[1].sku][0]) == ARTICLES[1].sku
            except BaseException as error:  # noqa: BLE001 - carried to the main thread
                errors.append(error)

        readers = [threading.Thread(target=read) for _ in range(2)]
        for reader in readers:
            reader.start()
        for n in range(6):
            matcher.enrol(Product(f"extra {n}"), [pictures[ARTICLES[0].sku][2]])
            matcher.remove(f"extra {n}")
        done.set()
        for reader in readers:
            reader.join()
    assert not errors, errors


def test_a_report_counts_names_and_locates(store: Path) -> None:
    scene = demo_photos(1)[0].scene
    instances = Instances.from_labels(scene.labels)
    with Matcher.open(store) as matcher:
        report = matcher.report(scene.photo, instances, "shelf.jpg")
    answers = sum(report.counts.values()) + sum(report.likely.values()) + report.unknown
    assert len(report.instances) == len(instances) == answers
    assert (report.width, report.height) == (scene.photo.shape[1], scene.photo.shape[0])
    for i, line in enumerate(report.instances):
        assert line.box == tuple(instances.boxes[i]) and line.area == instances.areas[i]
    assert set(report.versions) == {"version", "segmenter", "embedder", "revision"}


def test_a_photo_without_anything_is_an_empty_report(store: Path) -> None:
    with Matcher.open(store) as matcher:
        nothing = Instances.from_labels(np.zeros((60, 80), np.int32))
        assert matcher.report(np.zeros((60, 80, 3), np.uint8), nothing, "dark.jpg").counts == {}


def test_folders_that_hold_something_else_are_refused(tmp_path: Path, store: Path) -> None:
    (tmp_path / "file.txt").touch()
    with pytest.raises(StoreError, match="not empty"):
        Matcher.create(tmp_path)
    with pytest.raises(StoreError, match="a store already"):
        Matcher.create(store)
    with pytest.raises(StoreError, match="holds no store"):
        Matcher.open(tmp_path / "nowhere")


@pytest.fixture
def vgg16_weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    torch.save(VGG16Net().state_dict(), tmp_path / "vgg16.pth")
    return tmp_path / "vgg16.pth"


def test_another_embedder_is_refused_until_the_store_is_reindexed(
    store: Path, pictures: dict[str, list[Upload]], vgg16_weights: Path
) -> None:
    with Catalogue.open(store / "catalogue.db") as catalogue:
        catalogue.set_setting("embedder_name", "vgg16")
        catalogue.set_setting("embedder_weights", str(vgg16_weights))
    with pytest.raises(StoreError, match="reindex --store"):
        Matcher.open(store)
    assert Matcher.reindex_store(store) == 2 * len(ARTICLES)
    with Matcher.open(store) as matcher:
        assert matcher.embedder.name == "vgg16" and matcher.catalogue.dim == 512
        # Random weights tell little apart: that the pictures are found at all is what is asked here.
        found = matcher.match([uploads[0].source for uploads in pictures.values()], top=1)
        assert all(each.matches[0].score > 0.9 for each in found)


def test_an_interrupted_reindex_answers_as_before_and_goes_on(
    store: Path, pictures: dict[str, list[Upload]], vgg16_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retail_seg.store.opening.EMBED_BATCH", 4)

    def breaks_off(rows, total):  # type: ignore[no-untyped-def]
        for n, row in enumerate(rows):
            if n == 6:
                raise KeyboardInterrupt
            yield row

    with pytest.raises(KeyboardInterrupt):
        Matcher.reindex_store(store, "vgg16", weights=vgg16_weights, progress=breaks_off)
    with Matcher.open(store) as matcher:
        assert matcher.embedder.name == "retail-vgg"
        assert best(matcher, pictures[ARTICLES[0].sku][0]) == ARTICLES[0].sku
    assert Matcher.reindex_store(store, "vgg16", weights=vgg16_weights) == 2 * len(ARTICLES) - 4
    with Matcher.open(store) as matcher:
        assert matcher.embedder.name == "vgg16"
