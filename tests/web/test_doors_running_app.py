"""The app that runs on: a store that was reindexed beside it, and what ended jobs still hold."""

from __future__ import annotations

import gc
import io
import os
import zipfile
from pathlib import Path

import pytest
from crash_workers import FINGERPRINTS, Patches, picture
from page_helpers import fill, quick_store

from catalogue import Product
from retail_seg.matcher import Matcher
from retail_seg.photos.load import load_photo
from retail_seg.products import uploads
from retail_seg.scans.review import Held, ScanBatch
from retail_seg.store import opening
from retail_seg.system.jobs import Jobs
from retail_seg.web import scan as scan_page
from retail_seg.web import shared


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = quick_store(tmp_path / "store", monkeypatch)
    with fill(folder) as matcher:
        matcher.enrol(Product("A", "Milk"), [picture("a")])
    return folder


def reindexed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `retail-seg reindex` does in a process of its own."""
    other = Patches(FINGERPRINTS[1])
    monkeypatch.setattr(opening, "load_embedder", lambda name, weights=None: other)
    Matcher.reindex_store(folder, "other")


def test_the_app_answers_on_after_a_reindex_to_another_embedder(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crop = load_photo(picture("a"))
    before = shared.matcher(store)
    assert before.match([crop])[0].matches[0].sku == "A" and not before.outdated
    reindexed(store, monkeypatch)
    assert before.outdated
    now = shared.matcher(store)
    assert now.match([crop])[0].matches[0].sku == "A" and now.embedder.fingerprint == FINGERPRINTS[1]
    assert shared.matcher(store) is now


def test_a_reindex_to_the_same_embedder_opens_nothing_anew(store: Path) -> None:
    before = shared.matcher(store)
    Matcher.reindex_store(store)
    assert shared.matcher(store) is before


def open_files(folder: Path) -> list[str]:
    links = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            links.append(os.readlink(link))
        except FileNotFoundError:  # of a file that was closed meanwhile
            continue
    return [link for link in links if str(folder) in link]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="asks Linux which files are open")
@pytest.mark.parametrize("how", ["imported", "dropped"])
def test_a_kept_job_holds_no_zip_open_once_its_upload_is_done_with(store: Path, how: str) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr("products.csv", "sku,name,image\nB,Tea,b.png\n")
        packed.writestr("b.png", picture("b"))
    out.seek(0)
    with fill(store) as matcher:
        upload = uploads.receive("goods.zip", out)
        job = Jobs().start("check", "Check", lambda job: uploads.check(matcher, upload, job.report))
        assert job.wait(60) and job.result is upload and open_files(upload.path.parent)
        if how == "imported":
            uploads.run(matcher, upload, uploads.ImportRun("goods.zip", False), lambda share, text: None)
        else:
            upload.drop()
    assert not open_files(upload.path.parent) and not upload.kept
    assert upload.file is not None and upload.file.title and len(upload.lines) == 1


def test_photos_held_back_are_kept_for_the_newest_scans_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_page, "HELD_BYTES", 2_500)
    jobs = Jobs()
    ended = []
    for _ in range(4):
        result = ScanBatch(done=(7,), held=(Held("a.jpg", bytes(1_000), (), b"small"),), failed=("b.jpg: is empty",))
        job = jobs.start("scan", "Scan", lambda job, result=result: result)
        assert job.wait(10)
        ended.append(job)
        scan_page.release(jobs)
    assert [len(job.result.held[0].data) for job in ended] == [0, 0, 1_000, 1_000]
    assert all(job.result.done == (7,) and job.result.held[0].preview == b"small" for job in ended)


def test_the_work_of_an_ended_job_is_let_go() -> None:
    class Upload:
        alive = 0

        def __init__(self) -> None:
            Upload.alive += 1

        def __del__(self) -> None:
            Upload.alive -= 1

    def start() -> None:
        upload = Upload()
        assert jobs.start("work", "Work", lambda job: upload and None).wait(10)

    jobs = Jobs()
    start()
    import threading

    for thread in threading.enumerate():
        if thread.name == "job-work":
            thread.join(10)
    gc.collect()
    assert Upload.alive == 0
