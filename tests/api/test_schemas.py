"""The published schemas say what is written: they are today's, and what scan, match and products write fits them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from api_helpers import Api, picture_of
from click.testing import CliRunner
from jsonschema import Draft202012Validator, ValidationError

from retail_seg.api import openapi, problems
from retail_seg.api.publishing import published
from retail_seg.cli import cli
from retail_seg.photos.load import encode_picture
from retail_seg.rendering.assortment import demo_photos

FOLDER = Path(__file__).parents[2] / "docs" / "schema"


def schema(name: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads((FOLDER / name).read_text(encoding="utf-8")))


def written(*words: str) -> list[dict[str, Any]]:
    result = CliRunner().invoke(cli, list(words), standalone_mode=False)
    assert result.exception is None, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_what_is_published_is_what_holds() -> None:
    kept = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    assert kept == published(), "run `python -m retail_seg.api.publishing docs/schema`"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    (folder / "table.jpg").write_bytes(encode_picture(demo_photos(1)[0].scene.photo))
    (folder / "crop.jpg").write_bytes(picture_of(0))
    return folder


def test_what_the_commands_write_fits(api: Api, folder: Path) -> None:
    store = str(api.service.store)
    (line,) = written("scan", str(folder / "table.jpg"), "--store", store, "--keep")
    schema("scan.json").validate(line)
    assert line["scan"] and line["instances"]
    (folder / "list.csv").write_text("image,label,x,y,w,h\ncrop.jpg,one,0,0,100,100\n")
    for line in written("match", str(folder / "crop.jpg"), str(folder / "list.csv"), "--store", store):
        schema("match.json").validate(line)
    for line in written("products", "--store", store):
        schema("product.json").validate(line)


def test_what_the_server_answers_fits(api: Api, folder: Path) -> None:
    photo = (folder / "table.jpg").read_bytes()
    schema("scan.json").validate(api.ask("POST", "/v1/scan", files=[("photo", "a.jpg", photo)]).json)
    schema("match.json").validate(api.ask("POST", "/v1/match", files=[("photo", "a.jpg", photo)]).json)
    schema("problem.json").validate(api.ask("POST", "/v1/scan", {"photo": 1}).json)
    for item in api.ask("GET", "/v1/products").json["items"]:
        schema("product.json").validate(item)


def test_what_does_not_fit_is_found(api: Api, folder: Path) -> None:
    line = api.ask("POST", "/v1/scan", files=[("photo", "a.jpg", (folder / "table.jpg").read_bytes())]).json
    line["instances"][0]["box"] = [1, 2, 3]
    with pytest.raises(ValidationError):
        schema("scan.json").validate(line)


def test_every_problem_has_its_status_described() -> None:
    assert {status for status, _ in problems.KINDS.values()} - {405} <= set(openapi.TITLES)


def test_the_document_is_openapi_3_1_and_every_operation_says_who_may(api: Api) -> None:
    document = api.ask("GET", "/openapi.json", role=None).json
    assert document["openapi"] == "3.1.0" and document == json.loads(published()["openapi.json"])
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert ("security" in operation) == (path not in ("/v1/health", "/v2/health/live", "/v2/health/ready"))
            assert operation["summary"] and operation["description"], (method, path)
