"""Imports of folders, zips and exports into a real catalogue; pictures are bytes."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from import_helpers import goods_folder, refusals, run, table

from catalogue import Catalogue, ImportFileError, NewReference, Product, exporting
from catalogue.importing import read_file


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    with Catalogue.create(tmp_path / "store" / "catalogue.db", embedder="e", dim=1) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return goods_folder(tmp_path)


def test_a_folder_per_sku(catalogue: Catalogue, folder: Path) -> None:
    (folder / "loose.jpg").write_bytes(b"loose")
    (folder / "tea").mkdir()
    (folder / "tea" / "1.PNG").write_bytes(b"tea")
    (folder / "tea" / "notes.txt").write_text("no picture")
    file = read_file(folder)
    assert file.title == "a folder of pictures per SKU" and "no product's folder" in str(file.refused[0])
    done, _ = run(catalogue, folder)
    assert [(o.sku, o.pictures) for o in done] == [("pics", 4), ("tea", 1)]


def pack(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_a_zip_of_a_table_and_pictures(catalogue: Catalogue, tmp_path: Path) -> None:
    link = zipfile.ZipInfo("goods/link.jpg")
    link.external_attr = 0o120777 << 16
    path = pack(
        tmp_path / "goods.zip",
        {
            "goods/list.csv": b"sku,image\nA,pics/a.jpg\nB,bomb.bmp\nC,../../etc/passwd\nD,link.jpg\nE,none.jpg\n",
            "goods/pics/a.jpg": b"picture a",
            "goods/bomb.bmp": b"\0" * 5_000_000,
            "__MACOSX/goods/._list.csv": b"junk",
        },
    )
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    done, _ = run(catalogue, path)
    assert [o.pictures for o in done] == [1, 0, 0, 0, 0]
    reasons = [str(refusal) for outcome in done for refusal in outcome.refused]
    expected = ["as a zip bomb does", "leaves the import folder", "is a link", "no such file in the zip"]
    assert all(part in reason for part, reason in zip(expected, reasons, strict=True)), reasons


def test_other_zips(catalogue: Catalogue, tmp_path: Path) -> None:
    folders = pack(tmp_path / "folders.zip", {"x/A/1.jpg": b"1", "x/B/2.jpg": b"2", "../C/3.jpg": b"3"})
    assert [o.sku for o in run(catalogue, folders)[0]] == ["A", "B"]
    with pytest.raises(ImportFileError, match="zip bomb"):
        read_file(pack(tmp_path / "bomb.zip", {"a.csv": b"sku\n" + b"A" * 50_000_000}))
    with pytest.raises(ImportFileError, match="several tables"):
        read_file(pack(tmp_path / "two.zip", {"a.csv": b"sku\n", "b.csv": b"sku\n"}))
    with pytest.raises(ImportFileError, match="neither a table"):
        read_file(pack(tmp_path / "none.zip", {"a.exe": b""}))
    whole = folders.read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImportFileError, match="no zip that can be read"):
        read_file(tmp_path / "cut.zip")


def test_a_damaged_member_is_refused_alone(catalogue: Catalogue, tmp_path: Path) -> None:
    path = tmp_path / "goods.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("A/1.jpg", b"first picture")
        archive.writestr("B/2.jpg", b"second picture")
    path.write_bytes(path.read_bytes().replace(b"first picture", b"fIrst picture"))
    first, second = run(catalogue, path)[0]
    assert "is damaged in the zip" in str(first.refused[0]) and second.pictures == 1


def test_an_export_imports_to_the_same(catalogue: Catalogue, tmp_path: Path) -> None:
    odd = {"Size": "1 l", "size": "'=1+1", "Image": "-x", "attribute:y": "@z"}
    catalogue.enrol(
        Product("a/ü", "=SUM(A1)", "Alp", 'x;"y"', "4006381333931", odd),
        [
            NewReference(b"jpeg 1", "1" * 64, b"\0\0\x80\x3f", 1, "e", mask=b"png 1"),
            NewReference(b"jpeg 2", "2" * 64, b"\0\0\x80\x3f", 1, "e"),
        ],
    )
    catalogue.put_product(Product("A/Ü", "none"))
    catalogue.enrol(Product("-5"), [NewReference(b"jpeg 3", "3" * 64, b"\0\0\x80\x3f", 1, "e")])
    catalogue.enrol(Product("gone"), [NewReference(b"jpeg 4", "4" * 64, b"\0\0\x80\x3f", 1, "e")])
    catalogue.remove_product("gone")
    out = tmp_path / "out"
    assert [product.sku for product in exporting.export(catalogue, out)] == ["-5", "A/Ü", "a/ü"]
    text = (out / "products.csv").read_text("utf-8-sig")
    assert not any(cell.startswith(("=", "@", "-")) for line in text.splitlines() for cell in line.split(","))
    with Catalogue.create(tmp_path / "copy.db", embedder="e", dim=1) as copy:
        assert run(copy, out)[0][0].status == "added"
        assert copy.products() == catalogue.products()
        kept = [(r.sku, r.content_hash) for p in copy.products() for r in copy.references(p.sku)]
        assert kept == [(r.sku, r.content_hash) for p in catalogue.products() for r in catalogue.references(p.sku)]
        first = copy.references("a/ü")[0].id
        assert (copy.reference_picture(first), copy.reference_mask(first)) == (b"jpeg 1", b"png 1")
    again, embedding = run(catalogue, out)
    assert {o.status for o in again} == {"unchanged"} and embedding.seen == []


def test_a_picture_exchanged_in_an_export_is_a_new_one(catalogue: Catalogue, tmp_path: Path) -> None:
    catalogue.enrol(Product("A"), [NewReference(b"jpeg 1", "1" * 64, b"\0\0\x80\x3f", 1, "e")])
    out = tmp_path / "out"
    list(exporting.export(catalogue, out))
    (picture,) = (out / "pictures" / os.listdir(out / "pictures")[0]).iterdir()
    picture.write_bytes(b"another picture")
    ((changed,), _) = run(catalogue, out)
    assert (changed.status, changed.pictures) == ("changed", 1)


def test_the_example_in_the_documentation_imports(catalogue: Catalogue, tmp_path: Path) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "catalogue.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```csv\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    for name in ("lemonade-front", "lemonade-back", "lemonade-top", "jam"):
        (tmp_path / f"{name}.jpg").write_bytes(name.encode())
    path = table(tmp_path, block)
    assert refusals(path) == []
    done, _ = run(catalogue, path)
    assert [(o.sku, o.pictures, o.refused) for o in done] == [("4711", 3, []), ("4712", 1, [])]
