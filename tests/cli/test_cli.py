"""The command line: JSON on stdout, sentences on stderr, exit codes, and no traceback for anything a person does."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from catalogue import Product
from retail_seg import Matcher
from retail_seg.cli import main
from retail_seg.photos.load import encode_picture
from retail_seg.rendering.assortment import articles, demo_photos, references
from retail_seg.store.enrolment import Upload

Run = Callable[..., tuple[int, str, str]]
ARTICLES = articles()[:4]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call `retail-seg` with arguments: exit code, stdout, stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["retail-seg", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return int(stopped.value.code or 0), out, err

    return call


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of four products, a photo of them, and a file for each way in which a picture can be bad."""
    folder = tmp_path_factory.mktemp("cli")
    with Matcher.create(folder / "store") as matcher:
        for article in ARTICLES:
            uploads = [Upload(picture, str(n), mask) for n, (picture, mask) in enumerate(references(article)[:2])]
            matcher.enrol(Product(article.sku, article.design.flavour), uploads)
    (folder / "photo.jpg").write_bytes(encode_picture(demo_photos(1, (480, 640))[0].scene.photo))
    for article in ARTICLES:
        (folder / f"{article.sku}.jpg").write_bytes(encode_picture(references(article)[2][0]))
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("not a picture")
    (folder / "cut.jpg").write_bytes((folder / "photo.jpg").read_bytes()[:4000])
    return folder


@pytest.fixture
def place(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it as the working directory, with the store named by the environment."""
    shutil.copytree(original, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    monkeypatch.setenv("RETAIL_SEG_STORE", "store")
    return tmp_path / "place"


def contents(store: Path) -> list[tuple[object, ...]]:
    """All products and references, as the database holds them."""
    with sqlite3.connect(store / "catalogue.db") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [*db.execute("SELECT * FROM products ORDER BY id"), *db.execute("SELECT * FROM refs ORDER BY id")]


BAD_PICTURES = ("empty.jpg", "text.jpg", "cut.jpg", "nowhere.jpg")


@pytest.mark.parametrize("command", ["scan", "match"])
def test_bad_pictures_fail_alone(run: Run, place: Path, command: str) -> None:
    good = f"{ARTICLES[0].sku}.jpg" if command == "match" else "photo.jpg"
    before = contents(place / "store")
    code, out, err = run(command, *BAD_PICTURES[:2], good, *BAD_PICTURES[2:])
    assert code == 1
    assert [json.loads(line)["image"] for line in out.splitlines()] == [good]
    errors = [line for line in err.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 4 and all(name in line for name, line in zip(BAD_PICTURES, errors, strict=True))
    assert contents(place / "store") == before


def test_scan_writes_what_it_documents(run: Run, place: Path) -> None:
    code, out, err = run("scan", "photo.jpg", "--json", "out.jsonl", "--csv", "counts.csv", "--overlay", "overlays")
    assert (code, out) == (0, "") and "1 photos:" in err
    (found,) = [json.loads(line) for line in (place / "out.jsonl").read_text().splitlines()]
    assert (found["image"], found["width"], found["height"]) == ("photo.jpg", 640, 480)
    named = [*found["counts"].values(), *found["likely"].values()]
    assert sum(named) + found["unknown"] == len(found["instances"]) > 0
    first = found["instances"][0]
    assert {"id", "box", "area", "polygon", "sku", "decision", "probability", "matches"} <= first.keys()
    rows = list(csv.DictReader((place / "counts.csv").open()))
    assert sum(int(row["count"]) + int(row["likely"]) for row in rows) == len(found["instances"])
    assert (place / "overlays" / "photo.png").exists()


def test_match_names_each_picture(run: Run, place: Path) -> None:
    code, out, _ = run("match", *(f"{article.sku}.jpg" for article in ARTICLES), "--top", 2)
    found = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and [one["image"] for one in found] == [f"{article.sku}.jpg" for article in ARTICLES]
    assert [one["matches"][0]["sku"] for one in found] == [article.sku for article in ARTICLES]
    assert all(len(one["matches"]) == 2 for one in found)
    assert all((one["sku"] is not None) == (one["decision"] == "known") for one in found)


def test_only_what_can_be_there_is_answered(run: Run, place: Path) -> None:
    two = [article.sku for article in ARTICLES[:2]]
    (place / "aisle.txt").write_text("\n".join(two))
    code, out, _ = run("match", f"{ARTICLES[0].sku}.jpg", "--only", "aisle.txt")
    assert code == 0 and {one["sku"] for one in json.loads(out)["matches"]} == set(two)
    code, out, _ = run("scan", "photo.jpg", "--only", "aisle.txt")
    assert code == 0 and {m["sku"] for one in json.loads(out)["instances"] for m in one["matches"]} == set(two)
    for command, picture in (("match", f"{ARTICLES[0].sku}.jpg"), ("scan", "photo.jpg")):
        code, out, err = run(command, picture, "--only", "category=soda")
        assert (code, out, err.count("\n")) == (2, "", 1) and "no product of the store has a category" in err


def test_embed_writes_unit_vectors(run: Run, place: Path) -> None:
    code, _, err = run("embed", f"{ARTICLES[0].sku}.jpg", "text.jpg", f"{ARTICLES[1].sku}.jpg", "--out", "v.npz")
    assert code == 1 and "text.jpg" in err
    with np.load(place / "v.npz") as found:
        assert list(found["images"]) == [f"{article.sku}.jpg" for article in ARTICLES[:2]]
        assert found["vectors"].dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(found["vectors"], axis=1), 1, atol=1e-4)


def test_match_and_embed_take_lists_with_boxes(run: Run, place: Path) -> None:
    """A box of a larger picture is the same crop as the picture cut out beforehand; the order is the list's."""
    import cv2

    whole = encode_picture(references(ARTICLES[1])[0][0])
    (place / "lists").mkdir()
    (place / "lists" / "whole.png").write_bytes(whole)
    picture = cv2.imdecode(np.frombuffer(whole, np.uint8), cv2.IMREAD_COLOR)
    cv2.imwrite(str(place / "lists" / "cut.png"), picture[20:220, 30:150])
    rows = "image,label,x,y,w,h\nwhole.png,a,30,20,120,200\ncut.png,b,,,,\nwhole.png,c,1,1,2,50\n"
    (place / "lists" / "asked.csv").write_text(rows)
    code, out, err = run("match", "lists/asked.csv")
    first, second = (json.loads(line) for line in out.splitlines())
    assert code == 1 and "2 × 50 pixels" in err
    assert (first["image"], first["label"], first["box"]) == ("lists/whole.png", "a", [30, 20, 120, 200])
    assert "box" not in second and first["matches"] == second["matches"]
    code, _, err = run("embed", "lists/asked.csv", f"{ARTICLES[0].sku}.jpg", "--out", "v.npz")
    assert code == 1 and "2 × 50 pixels" in err
    with np.load(place / "v.npz") as found:
        assert found["labels"].tolist() == ["a", "b", ""] and found["vectors"].shape[0] == 3
        np.testing.assert_allclose(found["vectors"][0], found["vectors"][1], atol=1e-5)


PICTURES = {
    "black": np.zeros((90, 60), np.uint8),
    "white": np.full((60, 90, 3), 255, np.uint8),
    "grey": np.tile(np.arange(0, 250, 2, dtype=np.uint8), (80, 1)),
    "alpha": np.zeros((50, 50, 4), np.uint8),
    "deep": np.full((40, 40), 40_000, np.uint16),
    "huge": np.full((40, 9000, 3), 90, np.uint8),
    "thread": np.full((300, 1, 3), 90, np.uint8),
}


@pytest.mark.parametrize("name", PICTURES)
def test_odd_pictures_have_an_answer_or_one_sentence(run: Run, place: Path, name: str) -> None:
    import cv2

    cv2.imwrite(str(place / "odd.png"), PICTURES[name])
    code, out, err = run("match", "odd.png")
    if name == "thread":
        assert (code, out) == (1, "") and "1 × 300 pixels" in err
    else:
        assert code == 0 and json.loads(out)["decision"] in ("known", "unknown")
    code, out, _ = run("scan", "odd.png")
    assert code == 0 and len(out.splitlines()) == 1
    code, _, err = run("add", "ODD", "odd.png")
    assert code == 0 or (code == 1 and err.count("Error: ") == 1 and "too small to recognise" in err)


def test_a_store_of_other_weights_asks_for_reindex_and_works_after_it(run: Run, place: Path) -> None:
    before = json.loads(run("match", "photo.jpg")[1])
    with sqlite3.connect(place / "store" / "catalogue.db") as db:
        db.execute("UPDATE settings SET value = 'older' WHERE key = 'embedder'")
        db.execute("UPDATE ref_vectors SET embedder = 'older'")
    db.close()
    sku = ARTICLES[0].sku
    (place / "products.csv").write_text(f"sku,name,image\nNEW,New,{sku}.jpg\n")
    for command in (["scan", "photo.jpg"], ["match", "photo.jpg"], ["add", "NEW", f"{sku}.jpg"], ["replay", "1"],
                    ["import", "products.csv"], ["remove", sku], ["undo", "1"]):  # fmt: skip
        code, out, err = run(*command)
        assert code == 2 and out == "" and err.count("Error: ") == 1, command
        assert "of other weights" in err and "retail-seg reindex" in err, command
    assert run("products")[0] == 0 and run("show", sku)[0] == 0
    assert run("reindex")[0] == 0
    after = json.loads(run("match", "photo.jpg")[1])
    assert [m["sku"] for m in after["matches"]] == [m["sku"] for m in before["matches"]]


def test_a_picture_too_small_to_recognise_fails_alone(run: Run, place: Path) -> None:
    (place / "tiny.jpg").write_bytes(encode_picture(np.zeros((5, 5, 3), np.uint8)))
    code, _, err = run("add", "NEW", "tiny.jpg", "photo.jpg")
    assert code == 1 and "tiny.jpg" in err and "1 references added" in err


def test_add_remove_and_what_they_refuse(run: Run, place: Path) -> None:
    before = contents(place / "store")
    assert run("add", "NEW", *BAD_PICTURES)[0] == 1
    assert run("remove", "NEW")[0] == 2
    assert contents(place / "store") == before
    code, _, err = run("add", "NEW", "photo.jpg", "text.jpg", "photo.jpg", "--name", "Shelf")
    assert code == 1 and "1 references added" in err and "text.jpg" in err
    assert json.loads(run("match", "photo.jpg")[1])["matches"][0]["sku"] == "NEW"
    assert run("remove", "NEW")[0] == 0
    assert json.loads(run("match", "photo.jpg")[1])["matches"][0]["sku"] != "NEW"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["scan", "photo.jpg", "--store", "nowhere"], "holds no store"),
        (["scan", "photo.jpg", "--model", "nowhere"], "nowhere"),
        (["scan"], "Missing argument"),
        (["scan", "photo.jpg", "--json", "no/such/folder.json"], "no such folder"),
        (["match", "photo.jpg", "--top", "0"], "0 is not in the range"),
        (["embed", "photo.jpg", "--out", "v.npz", "--embedder", "resnet"], "no embedder is called 'resnet'"),
        (["embed", "photo.jpg", "--out", "v.npz", "--embedder", "vgg16", "--weights", "text.jpg"], "text.jpg"),
        (["init", "--store", "store"], "a store already"),
        (["init", "--store", "."], "not empty"),
        (["init", "--store", "new", "--embedder", "resnet"], "no embedder is called"),
        (["reindex", "--embedder", "resnet"], "no embedder is called"),
        (["remove", "NOPE"], "NOPE"),
        (["show", "NOPE"], "NOPE"),
        (["import", "nowhere.csv"], "nowhere.csv"),
        (["frobnicate"], "No such command"),
    ],
)
def test_wrong_calls_are_one_sentence_and_change_nothing(
    run: Run, place: Path, arguments: list[str], says: str
) -> None:
    before = contents(place / "store")
    code, out, err = run(*arguments)
    assert (code, out) == (2, "") and says in err
    assert contents(place / "store") == before
    assert not (place / "new").exists()


def test_a_catalogue_that_is_no_catalogue_is_refused(run: Run, place: Path) -> None:
    (place / "store" / "catalogue.db").write_bytes(b"rubbish" * 1000)
    code, _, err = run("scan", "photo.jpg")
    assert code == 2 and "is no catalogue" in err


def test_init_then_empty_answers(run: Run, place: Path) -> None:
    assert run("init", "--store", "fresh")[0] == 0
    code, out, _ = run("match", "photo.jpg", "--store", "fresh")
    assert code == 0 and json.loads(out)["decision"] == "unknown" and json.loads(out)["matches"] == []


def test_reindex_reports_how_many(run: Run, place: Path) -> None:
    code, _, err = run("reindex")
    assert code == 0 and "0 references" in err
