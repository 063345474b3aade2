"""References embedded by workers of Ray: what is in the store afterwards is what one process would have put there."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("ray", reason="Ray is not installed: pip install retail-seg[ray]")

from api_helpers import ARTICLES, picture_of
from ray_workers import deadly, of_another

from catalogue.importing import LoadedPicture
from retail_seg.cli import cli
from retail_seg.errors import FleetError
from retail_seg.fleet.embedding import PictureEmbedder, Portion, embedding_on_ray, reindex_on_ray
from retail_seg.fleet.pool import Pool, TaskDone
from retail_seg.fleet.progress import RunProgress
from retail_seg.matcher import Matcher
from retail_seg.photos.load import encode_picture, load_photo
from retail_seg.store import importing


@pytest.fixture
def older(small: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of eight references whose vectors are of other weights; two are embedded together."""
    monkeypatch.setattr("retail_seg.store.opening.EMBED_BATCH", 2)
    make_older(small)
    return small


def make_older(store: Path) -> None:
    with sqlite3.connect(store / "catalogue.db") as db:
        db.execute("UPDATE settings SET value = 'older' WHERE key = 'embedder'")
        db.execute("UPDATE ref_vectors SET embedder = 'older', vectors = zeroblob(length(vectors))")
    db.close()


def rows(store: Path, sql: str = "SELECT * FROM ref_vectors ORDER BY reference_id, embedder") -> list[tuple[Any, ...]]:
    db = sqlite3.connect(store / "catalogue.db")
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def same_vectors(here: list[tuple[Any, ...]], there: list[tuple[Any, ...]]) -> bool:
    """Whether rows hold the same, their vectors to the digits that hang on what is embedded together."""
    return len(here) == len(there) and all(
        one[:-2] + one[-1:] == other[:-2] + other[-1:]
        and np.allclose(*(np.frombuffer(value, np.float32) for value in (one[-2], other[-2])), atol=1e-6)
        for one, other in zip(here, there, strict=True)
    )


def test_a_reindex_gives_the_vectors_of_one_process_though_workers_die(ray: Any, older: Path, tmp_path: Path) -> None:
    alone = shutil.copytree(older, tmp_path / "alone")
    assert Matcher.reindex_store(alone) == 8
    told: list[RunProgress] = []
    once = tmp_path / "died"
    worker = deadly(lambda row: row[0] == 3 or (row[0] == 5 and not once.exists() and not once.touch()))
    with pytest.raises(FleetError, match=r"1 of 8 references could not be embedded.*\(reference 3: ended a worker"):
        reindex_on_ray(older, workers=2, on_told=told.append, worker=worker)
    assert once.exists() and (told[-1].done, told[-1].failed) == (7, 1)
    fresh = [row for row in rows(older) if row[1] != "older"]
    own = [row for row in rows(alone) if row[0] != 3]
    assert same_vectors(fresh, own) and np.frombuffer(own[0][-2], np.float32).any()
    assert [fresh[at] for at in (0, 1, 5, 6)] == [own[at] for at in (0, 1, 5, 6)]  # whose batches were whole
    assert reindex_on_ray(older, workers=1) == 1 and same_vectors(rows(older), rows(alone))
    with Matcher.open(older) as matcher:
        assert matcher.match([load_photo(picture_of(0))])[0].matches[0].sku == ARTICLES[0].sku


def test_a_reindex_that_was_broken_off_goes_on_wherever_it_is_called(ray: Any, older: Path) -> None:
    def break_off(told: RunProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reindex_on_ray(older, workers=1, on_told=break_off)
    assert len(rows(older)) == 8 + 2
    assert Matcher.reindex_store(older) == 6


def test_workers_with_another_program_or_embedder_are_refused(ray: Any, older: Path) -> None:
    with pytest.raises(FleetError, match=r"another embedder there .*install the same weights of retail-vgg"):
        reindex_on_ray(older, workers=1, worker=of_another(fingerprint="other"))
    with pytest.raises(FleetError, match=r"another program there .*not 0\.0"):
        reindex_on_ray(older, workers=1, worker=of_another(version="0.0"))
    assert len(rows(older)) == 8


def test_an_import_brings_what_it_brings_in_one_process(
    ray: Any, small: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("retail_seg.store.enrolment.PORTION", 2)
    goods = tmp_path / "goods"
    for number, article in enumerate(ARTICLES):
        (goods / f"new-{article.sku}").mkdir(parents=True)
        for which in (2, 3):
            (goods / f"new-{article.sku}" / f"{which}.jpg").write_bytes(picture_of(number, which))
    (goods / f"new-{ARTICLES[0].sku}" / "none.jpg").write_bytes(b"no picture")
    (goods / f"new-{ARTICLES[1].sku}" / "killer.jpg").write_bytes(encode_picture(np.zeros((64, 64, 3), np.uint8)))
    alone = shutil.copytree(small, tmp_path / "alone")
    worker = deadly(lambda picture: picture.name.endswith("killer.jpg"))
    with Matcher.open(small) as matcher, embedding_on_ray(matcher, workers=1, worker=worker) as elsewhere:
        found = list(importing.apply_to(matcher, importing.read(matcher.catalogue, goods), elsewhere=elsewhere))
    reasons = {refusal.what: refusal.reason for one in found for refusal in one.refused}
    assert {Path(name).name for name in reasons} == {"none.jpg", "killer.jpg"}
    assert "ended a worker" in next(reason for name, reason in reasons.items() if name.endswith("killer.jpg"))
    (goods / f"new-{ARTICLES[1].sku}" / "killer.jpg").unlink()
    with Matcher.open(alone) as matcher:
        own = list(importing.apply_to(matcher, importing.read(matcher.catalogue, goods)))
    told = [(one.sku, one.status, one.pictures) for one in own]
    assert [(one.sku, one.status, one.pictures) for one in found] == told
    kept = "SELECT content_hash, width, height, source FROM refs ORDER BY id"
    assert rows(small, kept) == rows(alone, kept) and len(rows(small, kept)) == 16
    assert same_vectors(rows(small), rows(alone))  # batches differ by what was refused


def test_large_pictures_travel_in_smaller_company() -> None:
    taken: list[list[str]] = []

    class Counting:
        def run(self, portions: Iterator[Portion]) -> Iterator[TaskDone[Portion]]:
            for portion in reversed(list(portions)):
                taken.append([picture.name for picture in portion.pictures])
                yield TaskDone(portion, [picture.name for picture in portion.pictures])

    sizes = [1] * 17 + [5 * 2**20, 2**20, 5 * 2**20, 9 * 2**20, 1]
    pictures = [LoadedPicture(bytes(size), str(at), "", 0) for at, size in enumerate(sizes)]
    embed = PictureEmbedder(cast("Pool[Portion]", Counting()))
    for _ in range(2):
        assert embed(pictures) == [str(at) for at in range(len(sizes))]
    assert [len(names) for names in taken[:5]] == [1, 1, 1, 3, 16]


def test_a_dead_address_is_one_sentence_and_nothing_is_changed(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    (tmp_path / "goods.csv").write_text("sku,name\nNEW,New\n")
    nowhere = ["--engine", "ray", "--address", "127.0.0.1:1", "--store", str(small)]

    def says(*words: str) -> str:
        return str(CliRunner().invoke(cli, [*words, *nowhere], standalone_mode=False).exception)

    assert "no Ray listens there" in says("import", str(tmp_path / "goods.csv"))
    make_older(small)
    before = rows(small)
    assert "no Ray listens there" in says("reindex")
    assert rows(small) == before and not rows(small, "SELECT sku FROM products WHERE sku = 'NEW'")
