"""The catalogue's commands on a real store with the shipped embedder: output, exit codes, and what searches see."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from barcodes import barcode, on_pack
from click.testing import CliRunner, Result

from index.calibration import ONE_REFERENCE
from retail_seg.cli import cli
from retail_seg.matcher import Matcher
from retail_seg.photos import codes, words
from retail_seg.photos.load import encode_picture
from retail_seg.rendering.assortment import articles, references
from retail_seg.store.opening import open_catalogue
from retail_seg.system.user_errors import USER_ERRORS

ARTICLES = articles()[:3]


def call(*words: object, code: int = 0) -> Result:
    """Run a command; what a person can mend counts as exit code 2, as in `main`."""
    result = CliRunner().invoke(cli, [str(word) for word in words], standalone_mode=False)
    if isinstance(result.exception, USER_ERRORS):
        assert code == 2, result.exception
        return result
    assert result.exception is None, result.exception
    assert (result.return_value or 0) == code, result.output
    return result


def rows(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture(scope="module")
def goods(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table with pictures of three rendered products, and two lines that are wrong."""
    folder = tmp_path_factory.mktemp("goods")
    with (folder / "goods.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sku", "name", "brand", "category", "gtin", "image"])
        for article in ARTICLES:
            names = []
            for n, (picture, _) in enumerate(references(article)[:2]):
                names.append(f"{article.sku}-{n}.jpg")
                (folder / names[-1]).write_bytes(encode_picture(picture))
            writer.writerow([article.sku, f"Crème {article.sku}", "Alp", "Sweet", "", "|".join(names)])
        writer.writerow(["WRONG", "", "", "", "4006381333932", ""])
        writer.writerow(["NO-PICTURE", "Nothing", "", "", "", "missing.jpg"])
    return folder


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, goods: Path) -> Path:
    store = tmp_path_factory.mktemp("filled") / "store"
    call("init", "--store", store)
    planned = call("import", goods / "goods.csv", "--store", store, "--dry-run", code=1)
    with Matcher.open(store) as matcher:
        assert matcher.catalogue.count_products() == 0
    done = call("import", goods / "goods.csv", "--store", store, "--by", "ann", code=1)
    written = [row.pop("change") for row in rows(done)]
    assert len(written) == 4 and all(written)
    assert [row | {"change": None} for row in rows(done)] == rows(planned)
    for part in ("retail-seg table, 4 products, 7 pictures", "! line 5: GTIN", "! line 6: missing.jpg no such file"):
        assert part in done.stderr and part in planned.stderr
    assert "4 added, 0 changed, 0 unchanged; 6 new pictures, 2 lines or pictures refused" in done.stderr
    assert "nothing written" in planned.stderr
    return store


@pytest.fixture
def store(tmp_path: Path, filled: Path) -> Path:
    return shutil.copytree(filled, tmp_path / "store")


def best(store: Path, article_number: int) -> str | None:
    picture = np.ascontiguousarray(references(ARTICLES[article_number])[1][0])
    with Matcher.open(store) as matcher:
        return matcher.match([picture])[0].matches[0].sku


def test_products_are_listed_found_and_shown(store: Path, tmp_path: Path) -> None:
    listed = rows(call("products", "--store", store))
    assert {row["sku"]: row["references"] for row in listed} == {a.sku: 2 for a in ARTICLES} | {"NO-PICTURE": 0}
    assert rows(call("products", "--store", store, "--brand", "Nobody")) == []
    found = call("search", "creme", "alp", "--store", store, "--top", "2")
    assert len(rows(found)) == 2 and "2 of 3 products" in found.stderr
    shown = rows(call("show", ARTICLES[0].sku, "--store", store, "--pictures", tmp_path / "shown"))[0]
    assert len(shown["reference_list"]) == 2 and len(list((tmp_path / "shown").iterdir())) == 2
    call("show", "nothing", "--store", store, code=2)


def test_changed_fields_wait_for_replace(store: Path, tmp_path: Path) -> None:
    table = tmp_path / "new.csv"
    table.write_text(f"sku,name\n{ARTICLES[0].sku},Jam\n", encoding="utf-8")
    held = call("import", table, "--store", store)
    assert "(not applied)" in held.stderr and "--replace applies them" in held.stderr
    assert f"name: 'Crème {ARTICLES[0].sku}' -> 'Jam'" in held.stderr
    assert rows(call("search", "jam", "--store", store)) == []
    call("import", table, "--store", store, "--replace")
    assert len(rows(call("search", "jam", "--store", store))) == 1


def test_a_removed_product_is_not_found_and_comes_back(store: Path) -> None:
    sku = ARTICLES[1].sku
    assert best(store, 1) == sku
    call("remove", sku, "--store", store, "--by", "bob")
    assert best(store, 1) != sku
    assert [row["sku"] for row in rows(call("products", "--store", store, "--removed"))] == [sku]
    call("undelete", sku, "--store", store)
    assert best(store, 1) == sku
    call("undelete", sku, "--store", store, code=2)


def test_a_bad_reference_is_undone_at_once(store: Path, goods: Path) -> None:
    wrong, right = ARTICLES[0].sku, ARTICLES[2].sku
    call("remove", right, "--store", store)
    call("add", wrong, goods / f"{right}-1.jpg", "--store", store)
    assert best(store, 2) == wrong
    logged = rows(call("log", "--store", store, "--last", "2"))
    assert [row["action"] for row in logged] == ["enrol", "remove product"] and len(logged[0]["added"]) == 1
    call("undo", logged[0]["id"], "--store", store)
    call("undo", logged[1]["id"], "--store", store)
    assert best(store, 2) == right
    call("undo", logged[0]["id"], "--store", store, code=2)
    assert len(rows(call("log", "--store", store, "--sku", right))) == 3


def test_export_backup_and_restore(store: Path, tmp_path: Path) -> None:
    call("export", tmp_path / "out", "--store", store)
    call("init", "--store", tmp_path / "copy")
    call("import", tmp_path / "out", "--store", tmp_path / "copy")
    assert rows(call("products", "--store", tmp_path / "copy")) == rows(call("products", "--store", store))
    call("export", tmp_path / "out", "--store", store, code=2)
    (store / "segmenter").mkdir()
    (store / "segmenter" / "config.json").write_text("{}")
    call("backup", tmp_path / "saved.db", "--store", store)
    call("backup", tmp_path / "saved.db", "--store", store, code=2)
    call("restore", tmp_path / "saved.db", "--store", store, code=2)
    call("restore", tmp_path / "saved.db", "--store", tmp_path / "back")
    assert rows(call("products", "--store", tmp_path / "back")) == rows(call("products", "--store", store))
    assert (tmp_path / "back" / "segmenter" / "config.json").read_text() == "{}"
    assert best(tmp_path / "back", 0) == best(store, 0) == ARTICLES[0].sku


def test_health_is_json_and_a_table(store: Path, tmp_path: Path) -> None:
    result = call("health", "--store", store, "--json", tmp_path / "health.json")
    report = json.loads((tmp_path / "health.json").read_text())
    assert report["without_reference"] == ["NO-PICTURE"] and report["references"] == 6
    assert "no picture       NO-PICTURE" in result.stderr and ONE_REFERENCE not in result.stderr
    with open_catalogue(store) as catalogue:
        for article in ARTICLES[:2]:
            catalogue.remove_references([catalogue.references(article.sku)[0].id])
    assert ONE_REFERENCE in call("health", "--store", store, "--json", tmp_path / "health.json").stderr
    call("replay", "7", "--store", store, code=1)


def test_words_and_codes_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = on_pack(barcode("4006381333931"), at=(60, 200))
    cv2.putText(picture, "Butter", (40, 150), cv2.FONT_HERSHEY_SIMPLEX, 3, (255, 255, 255), 6)
    (tmp_path / "back.jpg").write_bytes(encode_picture(picture))
    (tmp_path / "list.csv").write_text("image,label,x,y,w,h\nback.jpg,A,0,180,420,200\nmissing.jpg,B,,,,\n")
    (row,) = rows(call("read", tmp_path / "back.jpg"))
    assert row["codes"][0] | {"box": None} == {
        "text": "4006381333931", "kind": "EAN13", "gtin": "04006381333931", "box": None
    }  # fmt: skip
    assert "Butter" in [word["text"] for word in row["words"]]
    done = call("read", tmp_path / "list.csv", code=1)
    assert [(one["label"], len(one["codes"])) for one in rows(done)] == [("A", 1)] and "missing.jpg" in done.stderr
    monkeypatch.setattr(words, "PACKAGE", "nothing_there")
    done = call("read", tmp_path / "back.jpg")
    assert "words" not in rows(done)[0] and "retail-seg[text]" in done.stderr
    monkeypatch.setattr(codes, "PACKAGE", "nothing_there")
    assert "retail-seg[codes]" in str(call("read", tmp_path / "back.jpg", code=2).exception)


def test_a_barcode_that_contradicts_is_said_when_pictures_are_added(store: Path, tmp_path: Path) -> None:
    (tmp_path / "back.jpg").write_bytes(encode_picture(on_pack(barcode("4006381333931"), at=(60, 200))))
    added = call("add", "NEW", tmp_path / "back.jpg", "--store", store)
    assert "? NEW: a picture shows the barcode 4006381333931, and the product has no GTIN" in added.stderr
    (tmp_path / "goods.csv").write_text("sku,name,gtin,image\nB,Tea,96385074,back2.jpg\n")
    (tmp_path / "back2.jpg").write_bytes(encode_picture(on_pack(barcode("036000291452"), at=(40, 210))))
    planned = call("import", tmp_path / "goods.csv", "--store", store, "--dry-run")
    assert "? B: a picture shows the barcode 036000291452, but the product's GTIN is 96385074" in planned.stderr
    assert "barcodes of 1 products" in planned.stderr and "036000291452" in rows(planned)[0]["remark"]
