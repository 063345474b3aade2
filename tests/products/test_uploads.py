"""Uploads on their way into the catalogue: limits, hostile names, the dry run, cancelling, and taking it back."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from crash_workers import FINGERPRINTS, Patches, picture

from catalogue import Catalogue, Product
from catalogue.errors import ImportFileError
from retail_seg.matcher import Matcher
from retail_seg.people.roles import NotAllowed, Person, acting_as
from retail_seg.products import uploads
from retail_seg.products.uploads import ImportRun, UploadRefused
from retail_seg.store.opening import CATALOGUE
from retail_seg.system.jobs import JobCancelled

TABLE = """sku,name,brand,image
A,Milk,Alp,a.png
B,=Tea,Fizz,b.png
B,,,missing.png
C,Rice,,../../outside.png
,Nameless,,
"""


@pytest.fixture
def matcher(tmp_path: Path) -> Iterator[Matcher]:
    embedder = Patches(FINGERPRINTS[0])
    catalogue = Catalogue.create(tmp_path / CATALOGUE, embedder=embedder.fingerprint, dim=embedder.dim)
    with Matcher(tmp_path, catalogue, embedder) as made:
        made.enrol(Product("A", "Old milk"), [picture("old")])
        yield made


def packed(**files: bytes) -> io.BytesIO:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), data)
    out.seek(0)
    return out


def goods() -> io.BytesIO:
    return packed(products_dot_csv=TABLE.encode(), a_dot_png=picture("a"), b_dot_png=picture("b"))


def silent(share: float, text: str) -> None:
    assert 0 <= share < 1 and text


def test_a_dry_run_tells_all_and_writes_nothing(matcher: Matcher) -> None:
    upload = uploads.receive("../../etc/Goods.ZIP", goods())
    assert upload.path.name == "upload.zip" and upload.path.parent.name.startswith("retail-seg-import-")
    before = matcher.catalogue.products()
    uploads.check(matcher, upload, silent)
    assert matcher.catalogue.products() == before
    bad, a, b, c = upload.lines
    assert (bad.status, bad.line) == ("refused", 6) and "SKU" in bad.problems[0]
    assert (a.status, a.pictures, a.name) == ("changed", 1, "Milk")
    assert a.text(replace=True) == "name: Old milk → Milk; brand: (empty) → Alp"
    assert a.text(replace=False).startswith("kept as it is, not overwritten: name")
    assert (b.status, b.pictures, len(b.problems)) == ("added", 1, 1) and "missing.png" in b.problems[0]
    assert c.status == "added" and "leaves the import folder" in c.problems[0]
    assert uploads.counts(upload.lines) == {
        "added": 2,
        "changed": 1,
        "unchanged": 0,
        "refused": 1,
        "problems": 3,
        "remarks": 0,
    }
    assert uploads.portion(upload.lines, "problems", 2, 1) == ([bad], 3)
    assert (
        uploads.portion(upload.lines, "added", 0, 9) == ([b, c], 2) and uploads.portion(upload.lines, "", 0, 2)[1] == 4
    )
    assert "'=Tea" in uploads.to_csv(upload.lines, replace=False)


@pytest.mark.parametrize("replace", [False, True])
def test_an_import_is_written_found_and_taken_back(matcher: Matcher, replace: bool) -> None:
    upload = uploads.check(matcher, uploads.receive("goods.zip", goods()), silent)
    done = uploads.run(matcher, upload, ImportRun(upload.name, replace), silent)
    assert [line.status for line in done.lines] == [line.status for line in upload.lines] and not upload.kept
    assert {p.sku: p.name for p in matcher.catalogue.products()} == {
        "A": "Milk" if replace else "Old milk",
        "B": "=Tea",
        "C": "Rice",
    }
    assert len(done.changes) == 3 and uploads.take_back(matcher, done, silent).left == [] and done.taken_back == 3
    assert [p.sku for p in matcher.catalogue.products()] == ["A"]
    assert matcher.catalogue.product("A").name == "Old milk" and len(matcher.catalogue.references("A")) == 1


def test_what_rests_on_later_changes_is_not_taken_back(matcher: Matcher) -> None:
    upload = uploads.check(matcher, uploads.receive("goods.zip", goods()), silent)
    done = uploads.run(matcher, upload, ImportRun(upload.name, False), silent)
    matcher.catalogue.put_product(Product("B", "Green tea", "Fizz"))
    (problem,) = uploads.take_back(matcher, done, silent).left
    assert "B has changed since it was added" in problem
    assert [p.sku for p in matcher.catalogue.products()] == ["A", "B"]


def test_a_cancelled_import_leaves_whole_products_and_goes_on(matcher: Matcher) -> None:
    upload = uploads.check(matcher, uploads.receive("goods.zip", goods()), silent)

    def stop(share: float, text: str) -> None:
        if text.startswith("Imported: 2 of"):
            raise JobCancelled("stop")

    part = ImportRun(upload.name, False)
    with pytest.raises(JobCancelled):
        uploads.run(matcher, upload, part, stop)
    assert [line.sku for line in part.lines if line.change] == ["A", "B"] and upload.kept
    assert [p.sku for p in matcher.catalogue.products()] == ["A", "B"] and len(matcher.catalogue.references("B")) == 1
    rest = uploads.run(matcher, upload, ImportRun(upload.name, False), silent)
    assert [line.sku for line in rest.lines if line.change] == ["C"]


def test_pictures_that_wait_to_be_written_are_not_when_it_is_cancelled(matcher: Matcher) -> None:
    upload = uploads.check(matcher, uploads.receive("goods.zip", goods()), silent)
    heard = []

    def stop(share: float, text: str) -> None:
        heard.append(text)
        if share > 0:
            raise JobCancelled("stop")

    with pytest.raises(JobCancelled):
        uploads.run(matcher, upload, ImportRun(upload.name, False), stop)
    assert [p.sku for p in matcher.catalogue.products()] == ["A"] and len(matcher.catalogue.references("A")) == 1


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("goods.exe", b"MZ", "no file that can be imported; give one of .csv"),
        ("goods", b"sku\n1\n", "no file that can be imported"),
        ("goods.zip", b"PK no zip", "no zip that can be read"),
        ("big.csv", b"x" * 2000, "is larger than 0 MB"),
    ],
)
def test_bad_uploads_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, reason: str) -> None:
    monkeypatch.setattr(uploads, "MAX_BYTES", 1000)
    with pytest.raises(UploadRefused, match=reason):
        uploads.receive(name, io.BytesIO(content))


def test_zips_that_unfold_too_far_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_TABLE_BYTES", 10)
    with pytest.raises(UploadRefused, match=r"products\.csv unfolds to more than"):
        uploads.receive("goods.zip", goods())
    monkeypatch.undo()
    monkeypatch.setattr(uploads, "MAX_MEMBERS", 2)
    with pytest.raises(UploadRefused, match="holds more than 2 files"):
        uploads.receive("goods.zip", goods())


@pytest.mark.parametrize(
    ("name", "content"),
    [("mine.csv", b""), ("mine.jsonl", b"[1]"), ("mine.tsv", b"\0\0\0")],
)
def test_unreadable_files_are_named_as_people_know_them(matcher: Matcher, name: str, content: bytes) -> None:
    upload = uploads.receive(name, io.BytesIO(content))
    with pytest.raises(ImportFileError, match=r"^mine") as refused:
        uploads.check(matcher, upload, silent)
    assert "upload." not in str(refused.value) and "retail-seg-import" not in str(refused.value)


def test_an_empty_zip_and_a_hostile_zip_write_nothing_outside(matcher: Matcher, tmp_path: Path) -> None:
    hostile = packed(**{"..__..__evil_dot_csv": b"sku\nX\n", "products_dot_csv": b"sku,image\nX,../../evil.csv\n"})
    upload = uploads.check(matcher, uploads.receive("hostile.zip", hostile), silent)
    assert [line.sku for line in upload.lines] == ["X"] and "leaves the import folder" in upload.lines[0].problems[0]
    assert [path.name for path in upload.path.parent.iterdir()] == ["upload.zip"]
    with pytest.raises(ImportFileError, match=r"empty\.zip: holds neither a table"):
        uploads.check(matcher, uploads.receive("empty.zip", packed()), silent)


def test_only_the_latest_uploads_wait(matcher: Matcher) -> None:
    waiting = [uploads.receive("a.csv", io.BytesIO(b"sku\nX\n")) for _ in range(uploads.WAITING + 1)]
    assert [upload.kept for upload in waiting] == [False] + [True] * uploads.WAITING
    with pytest.raises(UploadRefused, match="upload it again"):
        uploads.run(matcher, waiting[0], ImportRun("a.csv", False), silent)


def test_only_managers_import(matcher: Matcher) -> None:
    upload = uploads.check(matcher, uploads.receive("goods.zip", goods()), silent)
    with acting_as(Person("eve", "staff")):
        with pytest.raises(NotAllowed):
            uploads.receive("goods.zip", goods())
        with pytest.raises(NotAllowed):
            uploads.run(matcher, upload, ImportRun("goods.zip", False), silent)
        with pytest.raises(NotAllowed):
            uploads.take_back(matcher, ImportRun("goods.zip", False), silent)
    assert [p.sku for p in matcher.catalogue.products()] == ["A"]


def test_a_table_of_unknown_columns_is_a_question_asked_once(tmp_path: Path) -> None:
    table = b"Varenr;Varenavn;EAN\n1001;Kjeks;7038010001185\n"
    with Matcher.create(tmp_path / "store") as matcher:
        first = uploads.check(matcher, uploads.receive("liste.csv", io.BytesIO(table)), lambda share, text: None)
        assert first.file is None and first.question is not None
        first.columns = first.question.proposed
        assert first.columns == {"sku": "Varenr", "name": "Varenavn", "gtin": "EAN"}
        uploads.check(matcher, first, lambda share, text: None)
        assert [line.sku for line in first.lines] == ["1001"] and first.question is None
        again = uploads.check(matcher, uploads.receive("neu.csv", io.BytesIO(table)), lambda share, text: None)
        assert again.question is None and [line.name for line in again.lines] == ["Kjeks"]
        bad = uploads.receive("bad.csv", io.BytesIO(table))
        bad.columns = {"name": "Varenavn"}
        assert uploads.check(matcher, bad, lambda share, text: None).question is not None
