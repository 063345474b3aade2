"""Photos scanned on a cluster of three nodes, of which one dies in the middle: complete, and nothing twice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install retail-seg[ray]")

import ray_workers
from ray_workers import DeadlyPhotos

from retail_seg.errors import FleetError
from retail_seg.fleet import columns
from retail_seg.fleet.results import failures
from retail_seg.fleet.scanning import RunProgress, ScanOrder, scan_photos
from retail_seg.fleet.sources import listed
from retail_seg.matcher import Matcher
from retail_seg.photos.load import encode_picture

PHOTOS = 24


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Three nodes of one core each on this machine, entered from here."""
    import ray
    from ray.cluster_utils import Cluster

    about = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    made = Cluster(initialize_head=True, head_node_args={**about, "include_dashboard": False})
    made.added = [made.add_node(**about) for _ in range(2)]
    ray.init(address=made.address, logging_level="ERROR", log_to_driver=False)
    ray.cloudpickle.register_pickle_by_value(ray_workers)
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Photos of three shops; one that is none, one that ends its worker, one that lies there twice."""
    rng = np.random.default_rng(0)
    for number in range(PHOTOS):
        folder = tmp_path / "photos" / f"shop={number % 3}" / "day=2026-11-26"
        folder.mkdir(parents=True, exist_ok=True)
        picture = np.full((240, 320, 3), 20, np.uint8)
        y, x = rng.integers(10, 130), rng.integers(10, 200)
        picture[y : y + 90, x : x + 90] = rng.integers(90, 255, 3)
        (folder / f"{number:02}.jpg").write_bytes(encode_picture(picture))
    shop = tmp_path / "photos" / "shop=0" / "day=2026-11-26"
    (shop / "killer.jpg").write_bytes(encode_picture(np.zeros((64, 64, 3), np.uint8)))
    (shop / "none.jpg").write_bytes(b"no photo")
    (shop / "twice.jpg").write_bytes((shop / "00.jpg").read_bytes())
    return tmp_path / "photos"


def lines(out: Path) -> list[dict[str, Any]]:
    return [line for part in sorted(out.rglob("part-*.parquet")) for line in columns.read(part)]


def test_a_node_and_a_worker_die_and_every_photo_is_written_once(
    cluster: Any, photos: Path, small: Path, disc_model: Path, tmp_path: Path
) -> None:
    killed: list[int] = []

    def kill_a_node(told: RunProgress) -> None:
        if told.done >= PHOTOS // 4 and not killed:
            cluster.remove_node(cluster.added.pop(), allow_graceful=False)
            killed.append(told.done)

    asked, out = ScanOrder(small, disc_model), tmp_path / "out"
    told = scan_photos(asked, listed([str(photos)]), out, workers=3, on_told=kill_a_node, worker=DeadlyPhotos)
    assert killed and (told.done, told.known, told.failed) == (PHOTOS, 1, 2)
    found = lines(out)
    names = Counter(Path(line["image"]).name for line in found)
    assert len(names) == PHOTOS and set(names.values()) == {1} and len({line["sha256"] for line in found}) == PHOTOS
    assert {f"{number:02}.jpg" for number in range(1, PHOTOS)} <= set(names)  # the first may go by its other name
    reasons = {Path(address).name: reason for address, _, reason in failures(out)}
    assert "ended 2 workers" in reasons["killer.jpg"] and reasons["none.jpg"]
    again = scan_photos(asked, listed([str(photos)]), out, workers=2)
    assert (again.before, again.done, again.known, again.failed) == (PHOTOS + 2, 0, 1, 0)
    assert lines(out) == found
    tried = scan_photos(asked, listed([str(photos)]), out, workers=2, again=True)  # a worker that stands a killer
    assert (tried.done, tried.failed) == (1, 1) and len(lines(out)) == PHOTOS + 1


def test_the_lines_are_those_of_scan(cluster: Any, photos: Path, small: Path, disc_model: Path, tmp_path: Path) -> None:
    some = listed([str(photos / "shop=1")])[:3]
    scan_photos(ScanOrder(small, disc_model), some, tmp_path / "out", workers=2)
    scan_photos(ScanOrder(small, disc_model), some, tmp_path / "text", workers=2, form="jsonl")
    (text,) = (tmp_path / "text" / "shop=1" / "day=2026-11-26").glob("part-*.jsonl")
    written = {line["image"]: line for line in map(json.loads, text.read_text().splitlines())}
    columned = {line["image"]: line for line in lines(tmp_path / "out")}
    assert columned == written
    with Matcher.open(small, segmenter=disc_model) as matcher:
        for photo in some:
            own = matcher.scan(photo.address).to_dict()
            marks = {name: written[photo.address][name] for name in columns.MARKS}
            assert {**own, **marks} == written[photo.address] and own["instances"]


def test_the_roll_up_reads_what_a_run_wrote(
    cluster: Any, photos: Path, small: Path, disc_model: Path, tmp_path: Path
) -> None:
    pytest.importorskip("duckdb")
    from retail_seg.chain.rollup import weeks

    scan_photos(ScanOrder(small, disc_model), listed([str(photos / "shop=2")]), tmp_path / "out", workers=2)
    (row,) = weeks(tmp_path / "out")
    assert (row["shop"], row["photos"]) == ("2", PHOTOS // 3) and row["facings"] > 0


def test_a_run_that_was_broken_off_goes_on(
    cluster: Any, photos: Path, small: Path, disc_model: Path, tmp_path: Path
) -> None:
    def break_off(told: RunProgress) -> None:
        if told.done == 3:
            raise KeyboardInterrupt

    some, out = listed([str(photos / "shop=1")]), tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        scan_photos(ScanOrder(small, disc_model), some, out, workers=2, on_told=break_off)
    assert len(lines(out)) == 3
    told = scan_photos(ScanOrder(small, disc_model), some, out, workers=2)
    assert (told.before, told.done) == (3, len(some) - 3) and len(lines(out)) == len(some)


def test_a_worker_with_another_store_is_refused(
    cluster: Any, photos: Path, small: Path, disc_model: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    from retail_seg.fleet import scanning

    own = scanning.made_by
    monkeypatch.setattr(scanning, "made_by", lambda matcher: {**own(matcher), "embedder": "vgg16:0"})
    with pytest.raises(FleetError, match=r"another embedder there .*follow"):
        scan_photos(ScanOrder(small, disc_model), listed([str(photos / "shop=1")]), tmp_path / "out", workers=1)
