"""Imports of tables into a real catalogue; pictures are bytes, what stands for the network is written by hand."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from import_helpers import Embedding, goods_folder, refusals, run, table

from catalogue import Catalogue, ImportFileError, Product, history, tables
from catalogue.errors import PictureRefused
from catalogue.importing import Import, read_file


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    with Catalogue.create(tmp_path / "store" / "catalogue.db", embedder="e", dim=1) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return goods_folder(tmp_path)


OWN = """sku,name,brand,category,gtin,image,Fat
A1,Milk,Alp,Dairy,4006381333931,pics/a.jpg|pics/b.jpg,3.5 %
B2,Juice,Fizz,Drinks,,pics/c.jpg,
A1,,,,,pics/d.jpg,
"""


def test_our_table(catalogue: Catalogue, folder: Path) -> None:
    path = table(folder, OWN)
    assert read_file(path).title == "retail-seg table"
    (milk, juice), _ = run(catalogue, path, by="ann")
    assert (milk.status, milk.pictures, milk.line, juice.status, juice.pictures) == ("added", 3, 2, "added", 1)
    assert catalogue.product("A1") == Product("A1", "Milk", "Alp", "Dairy", "04006381333931", {"Fat": "3.5 %"})
    assert [r.source for r in catalogue.references("A1")] == ["pics/a.jpg", "pics/b.jpg", "pics/d.jpg"]
    assert {line.by for line in history.log(catalogue)} == {"ann"}
    again, embedding = run(catalogue, path)
    assert [outcome.status for outcome in again] == ["unchanged", "unchanged"] and embedding.seen == []


def test_changed_fields_are_shown_and_applied_only_with_replace(catalogue: Catalogue, folder: Path) -> None:
    run(catalogue, table(folder, OWN))
    path = table(folder, "sku,name,brand,image,origin\nA1,Whole milk,,pics/a.jpg,Alps\nB2,Juice,,,\n")
    (milk, juice), _ = run(catalogue, path)
    assert (milk.status, milk.applied, juice.status) == ("changed", False, "unchanged")
    assert milk.changes == [("name", "Milk", "Whole milk"), ("origin", "", "Alps")]
    assert catalogue.product("A1").name == "Milk"
    (milk, _), _ = run(catalogue, path, replace=True)
    assert milk.applied
    assert catalogue.product("A1") == Product(
        "A1", "Whole milk", "Alp", "Dairy", "04006381333931", {"Fat": "3.5 %", "origin": "Alps"}
    )


def test_new_pictures_come_without_replace(catalogue: Catalogue, folder: Path) -> None:
    run(catalogue, table(folder, "sku,name,image\nA1,Milk,pics/a.jpg\n"))
    (milk,), embedding = run(catalogue, table(folder, "sku,name,image\nA1,Other,pics/a.jpg|pics/b.jpg\n"))
    assert (milk.status, milk.applied, milk.pictures, milk.known) == ("changed", False, 1, 1)
    assert [picture.name for picture in embedding.seen] == ["pics/b.jpg"]
    assert catalogue.product("A1").name == "Milk" and len(catalogue.references("A1")) == 2


def test_bad_rows_are_refused_by_line_and_the_rest_goes_on(catalogue: Catalogue, folder: Path) -> None:
    (folder / "pics" / "out.jpg").symlink_to(folder.parent / "secret.jpg")
    (folder / "pics" / "in.jpg").symlink_to(folder / "pics" / "d.jpg")
    path = table(
        folder,
        "sku,name,gtin,image\n"
        "A,One,4006381333932,pics/a.jpg\n"
        ",No SKU,,pics/a.jpg\n"
        "B,Two,,pics/a.jpg\n"
        "B,Deux,,pics/b.jpg\n"
        "C,Three,,../secret.jpg|/etc/hostname|C:\\x.jpg|pics/out.jpg|pics|pics/none.jpg|https://example.com/x.jpg\n"
        "D,Four,,pics/a.jpg\n"
        "E,Five,,pics/bad.jpg|pics/c.jpg\n"
        "F,Six,,pics/in.jpg,too,many\n"
        "G,Seven,,pics\\in.jpg\n",
    )
    assert refusals(path) == [
        "line 2: GTIN 4006381333932 ends in 2 where its check digit is 1; read it again",
        "line 3: a product has no SKU; give it a number of its own",
        "line 5: SKU B has name 'Two' earlier and 'Deux' here; make them agree",
        "line 9: has 6 cells where the header has 4; quote what holds commas",
    ]
    done, _ = run(catalogue, path)
    assert [(o.sku, o.pictures) for o in done] == [("B", 1), ("C", 0), ("D", 0), ("E", 1), ("G", 1)]
    assert [str(refusal) for refusal in done[1].refused] == [
        "line 6: ../secret.jpg leaves the import folder; put the picture beside the table",
        "line 6: /etc/hostname is an absolute path; give it relative to the table",
        "line 6: C:\\x.jpg is an absolute path; give it relative to the table",
        "line 6: pics/out.jpg is a link that leaves the import folder; put the picture itself there",
        "line 6: pics is no file; give a picture",
        "line 6: pics/none.jpg no such file in the import folder; check the path",
        "line 6: https://example.com/x.jpg is a web address; import with --fetch to get it",
    ]
    assert "same picture as that of B on line 4" in str(done[2].refused[0])
    assert str(done[3].refused[0]) == "line 8: pics/bad.jpg is damaged"


def test_a_picture_of_another_product_in_the_catalogue_is_refused(catalogue: Catalogue, folder: Path) -> None:
    run(catalogue, table(folder, "sku,image\nA,pics/a.jpg\n"))
    (other,), embedding = run(catalogue, table(folder, "sku,image\nB,pics/a.jpg\n"))
    assert "is a reference of A already" in str(other.refused[0]) and embedding.seen == []


def test_web_addresses_are_fetched_when_wanted(catalogue: Catalogue, folder: Path) -> None:
    def fetch(url: str) -> bytes:
        if "private" in url:
            raise PictureRefused("lies in a private network")
        return b"picture from the web"

    path = table(folder, "sku,image\nA,https://example.com/x.jpg|HTTP://private.example/y.jpg\n")
    embedding = Embedding()
    (outcome,) = Import(catalogue, read_file(path), embed=embedding, fetch=fetch)
    assert [picture.data for picture in embedding.seen] == [b"picture from the web"]
    assert [refusal.reason for refusal in outcome.refused] == ["lies in a private network"]
    assert catalogue.references("A")[0].source == "https://example.com/x.jpg"


def test_an_interrupted_import_run_again_ends_in_the_same_state(
    catalogue: Catalogue, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalogue.importing.BATCH_PICTURES", 1)
    path = table(folder, OWN + "C3,Tea,,,,,\n")
    first = Embedding()
    for _ in Import(catalogue, read_file(path), embed=first):
        break
    assert catalogue.count_products() == 1 and len(first.seen) == 3
    again = Embedding()
    list(Import(catalogue, read_file(path), embed=again))
    assert [picture.name for picture in again.seen] == ["pics/c.jpg"]
    assert [product.sku for product in catalogue.products()] == ["A1", "B2", "C3"]
    assert catalogue.count_references() == 4


@pytest.mark.parametrize(
    ("encoding", "delimiter", "notes"),
    [
        ("utf-8-sig", ",", []),
        ("cp1252", ";", ["read as Windows-1252, for it is not UTF-8", "semicolon between the columns"]),
        ("utf-16", "\t", ["tab between the columns"]),
        ("utf-8", ";", ["semicolon between the columns"]),
    ],
)
def test_encodings_and_delimiters(
    catalogue: Catalogue, folder: Path, encoding: str, delimiter: str, notes: list[str]
) -> None:
    rows = [["sku", "name", "image"], ["A", '"Crème, ""fraîche"";\nà l’ail"', "pics/a.jpg"]]
    path = table(folder, "\r\n".join(delimiter.join(row) for row in rows), encoding=encoding)
    assert read_file(path).notes == notes
    run(catalogue, path)
    assert catalogue.product("A").name == 'Crème, "fraîche"; à l’ail'


def test_what_excel_writes(folder: Path) -> None:
    assert read_file(table(folder, "sep=;\nsku;name\nA;x,y\n\n;;\nB;4,5\n")).wanted[1].line == 6
    broken = table(folder, 'sku,name\nA,ok\nB,"never closed\nC,lost\n')
    assert refusals(broken) == ["line 3: a quote is never closed; the lines after it could not be read"]
    assert [wanted.sku for wanted in read_file(broken).wanted] == ["A"]
    assert "rounded by a spreadsheet" in refusals(table(folder, "sku,gtin\nA,4.00638E+12\n"))[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "no text table"),
        (b"number,title\n1,x\n", "no known format"),
        (b"sku,name,name\n1,x,y\n", "column name twice"),
        (b"sku,name,Name\n1,x,y\n", "column name twice"),
        (b'[{"sku": "A"}]', "write one object a line"),
    ],
)
def test_files_that_are_no_import_are_refused(folder: Path, content: bytes, message: str) -> None:
    path = folder / "goods.csv"
    path.write_bytes(content)
    with pytest.raises(ImportFileError, match=message):
        read_file(path)
    with pytest.raises(ImportFileError, match="no such file"):
        read_file(folder / "none.csv")


@pytest.mark.parametrize("header", [True, False])
def test_google_product_search(catalogue: Catalogue, folder: Path, header: bool) -> None:
    names = "image-uri,image-id,product-set-id,product-id,product-category,product-display-name,labels,bounding-poly\n"
    text = (
        'gs://bucket/pics/a.jpg,,fridge,P1,packagedgoods-v1,Cola,"size=1l,sort=dark",'
        '"0.1,0.2,0.6,0.2,0.6,0.9,0.1,0.9"\n'
        'gs://bucket/pics/a.jpg,,,P2,packagedgoods-v1,Lemon,,"0.6,0.2,0.9,0.9"\n'
        "gs://bucket/pics/b.jpg,,,P1,packagedgoods-v1,Cola,,\n"
        'gs://bucket/pics/c.jpg,,,P3,packagedgoods-v1,Tea,,"0.1,1.2"\n'
    )
    path = table(folder, names + text if header else text)
    file = read_file(path)
    assert file.title == "Google Product Search"
    assert "bounding-poly 0.1,1.2" in str(file.refused[0]) and file.refused[0].line == 4 + header
    (cola, lemon), embedding = run(catalogue, path)
    assert (cola.pictures, lemon.pictures) == (2, 1), "two crops of one photo are two pictures"
    assert [p.crop for p in embedding.seen] == [(0.1, 0.2, 0.6, 0.9), None, (0.6, 0.2, 0.9, 0.9)]
    assert catalogue.product("P1").attributes == {"product_set": "fridge", "size": "1l", "sort": "dark"}


def test_google_merchant(catalogue: Catalogue, folder: Path) -> None:
    text = (
        "id\ttitle\tbrand\tgtin\timage link\tadditional image link\tprice\n"
        "P1\tCola\tFizz\t4006381333931\tpics/a.jpg\tpics/b.jpg,pics/c.jpg\t1.99 EUR\n"
        "P1\tAgain\t\t\tpics/d.jpg\t\t\n"
    )
    path = table(folder, text, "feed.tsv")
    file = read_file(path)
    assert (file.title, file.notes[-1]) == ("Google Merchant feed", "columns not used: price")
    assert refusals(path) == ["line 3: SKU P1 stands on line 2 already; keep one of both rows"]
    (cola,), _ = run(catalogue, path)
    assert cola.pictures == 3 and catalogue.product("P1").gtin == "04006381333931"


def test_open_food_facts(catalogue: Catalogue, folder: Path) -> None:
    text = (
        "code\turl\tproduct_name\tquantity\tbrands\tcategories\timage_url\n"
        '04006381333931\thttp://x\t12" pizza "XL\t400 g\tPizzaio\tMeals, Pizzas\tpics/a.jpg\n'
        "123\thttp://x\tShort\t\t\t\t\n"
    )
    path = table(folder, text, "off.csv")
    assert read_file(path).title == "Open Food Facts export"
    assert "3 digits" in refusals(path)[0]
    run(catalogue, path)
    assert catalogue.product("04006381333931") == Product(
        "04006381333931", '12" pizza "XL', "Pizzaio", "Meals, Pizzas", "04006381333931", {"quantity": "400 g"}
    )


def test_json_lines(catalogue: Catalogue, folder: Path) -> None:
    lines = [
        json.dumps({"sku": "A", "name": "Té", "image": ["pics/a.jpg", "pics/b.jpg"], "attributes": {"bags": 20}}),
        "{not json}",
        '["a list"]',
        json.dumps({"sku": 7, "name": None, "organic": True}),
    ]
    path = table(folder, "\n".join(lines), "goods.jsonl")
    assert [r.line for r in read_file(path).refused] == [2, 3]
    run(catalogue, path)
    assert catalogue.product("A") == Product("A", "Té", attributes={"bags": "20"})
    assert catalogue.product("7").attributes == {"organic": "true"}
    assert len(catalogue.references("A")) == 2


def test_barcodes_of_pictures_that_contradict_are_said_before_and_while_importing(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    for name, shown in (("own", b"4006381333931"), ("other", b"036000291452"), ("none", b"no code")):
        (tmp_path / f"{name}.jpg").write_bytes(shown)
    text = """sku,name,gtin,image
    A,Agrees,4006381333931,own.jpg
    B,Differs,96385074,other.jpg
    C,Says nothing,,none.jpg
    """.replace("    ", "")
    done, _ = run(catalogue, table(tmp_path, text))
    assert [outcome.remark for outcome in done if outcome.sku != "B"] == ["", ""]
    (remark,) = [outcome.remark for outcome in done if outcome.sku == "B"]
    assert "036000291452" in remark and "96385074" in remark and not done[1].refused
    assert catalogue.product("B").gtin == "00000096385074", "the table is believed"
    (tmp_path / "new.jpg").write_bytes(b"(01)04006381333931")
    done, _ = run(catalogue, table(tmp_path, "sku,name,image\nD,New,new.jpg\n"))
    assert "the GTIN of A" in done[0].remark


def test_a_product_without_a_gtin_is_proposed_that_of_its_picture(catalogue: Catalogue, tmp_path: Path) -> None:
    (tmp_path / "own.jpg").write_bytes(b"4006381333931")
    done, _ = run(catalogue, table(tmp_path, "sku,name,image\nA,New,own.jpg\n"))
    assert "4006381333931" in done[0].remark and "no GTIN" in done[0].remark
    assert catalogue.product("A").gtin == ""


def test_a_row_without_an_end_is_one_sentence_and_is_not_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "MAX_ROW", 1000)
    whole = "sku,name\nA,Milk\n"
    texts = {
        "sku,name," + "x" * 2000: "line 1",
        whole + "B," + "x" * 2000 + "\n": "line 3",
        whole + 'B,"' + "x\n" * 2000: "line 3",
        whole + '"x\ny",' * 300: "line 3",
        '{"sku": "A"}\n{"sku": "' + "x" * 2000 + '"}\n': "line 2",
    }
    for text, place in texts.items():
        with pytest.raises(ImportFileError, match=f"{place} is longer than 1,000 characters"):
            read_file(table(tmp_path, text))
    many = whole + "".join(f"B{at},Tea\n" for at in range(400))
    assert len(read_file(table(tmp_path, many)).wanted) == 401, "rows, not files, are bounded"


def test_the_rest_of_a_file_without_line_ends_stays_on_the_disk() -> None:
    class Endless(io.RawIOBase):
        """A table whose only line never ends."""

        given = 0

        def readable(self) -> bool:
            return True

        def readinto(self, into: Any) -> int:
            self.given += len(into)
            assert self.given < 50 * tables.MAX_ROW, "all of it is read"
            into[:] = b"x" * len(into)
            return len(into)

    with pytest.raises(ImportFileError, match="longer than"):
        lines = tables._Lines(io.TextIOWrapper(io.BufferedReader(Endless()), "utf-8"), "endless.csv")
        lines.peek()
