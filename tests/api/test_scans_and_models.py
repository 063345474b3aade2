"""Kept scans over HTTP, and the models as the Open Inference Protocol names them."""

from __future__ import annotations

import base64
import json

import pytest
from api_helpers import ARTICLES, Api, picture_of

from retail_seg.photos.load import encode_picture
from retail_seg.rendering.assortment import demo_photos


@pytest.fixture(scope="module")
def photo() -> bytes:
    return encode_picture(demo_photos(1)[0].scene.photo)


def test_kept_scans_are_listed_shown_and_deleted(api: Api, photo: bytes) -> None:
    kept = [
        api.ask("POST", "/v1/scan", files=[("photo", f"{name}.jpg", photo)], fields={"keep": "true"}, role="staff").json
        for name in "abc"
    ]
    numbers = [one["scan"] for one in kept]
    first = api.ask("GET", "/v1/scans?limit=2", role="viewer").json
    second = api.ask("GET", f"/v1/scans?limit=2&cursor={first['next_cursor']}", role="viewer").json
    assert [one["scan"] for one in first["items"] + second["items"]] == sorted(numbers, reverse=True)
    assert first["items"][0]["by"] == "staff" and [i["image"] for i in second["items"]] == ["a.jpg"]
    shown = api.ask("GET", f"/v1/scans/{numbers[0]}").json
    assert shown["counts"] == kept[0]["counts"] and len(shown["instances"]) == len(kept[0]["instances"])
    assert api.ask("GET", f"/v1/scans/{numbers[0]}/overlay").body.startswith(b"\xff\xd8")
    assert api.ask("DELETE", f"/v1/scans/{numbers[0]}", role="viewer").problem == "role-needed"
    assert api.ask("DELETE", f"/v1/scans/{numbers[0]}", role="staff").status == 204
    assert api.ask("GET", f"/v1/scans/{numbers[0]}").problem == "not-found"
    assert api.ask("GET", "/v1/scans/0").problem == "invalid"


def test_a_key_keeps_a_scan_once(api: Api, photo: bytes) -> None:
    files, fields, key = [("photo", "k.jpg", photo)], {"keep": "true"}, {"Idempotency-Key": "a-scan"}
    first, second = (api.ask("POST", "/v1/scan", files=files, fields=fields, headers=key) for _ in "ab")
    assert first.json == second.json and second.headers["idempotency-replayed"] == "true"
    numbers = [one["scan"] for one in api.ask("GET", "/v1/scans?q=k.jpg").json["items"]]
    assert numbers == [first.json["scan"]]


def test_the_models_answer_by_the_protocol(api: Api, photo: bytes) -> None:
    assert api.ask("GET", "/v2").json["name"] == "retail-seg"
    assert [one["name"] for one in api.ask("GET", "/v2/models").json["models"]] == ["scan", "match"]
    assert api.ask("GET", "/v2/models/scan/ready").status == 200
    assert api.ask("GET", "/v2/models/other").problem == "not-found"
    crop, whole = (base64.b64encode(data).decode() for data in (picture_of(0), photo))

    def ask(name: str, *texts: str, shape: list[int] | None = None) -> object:
        photos = {"name": "photo", "shape": shape or [len(texts)], "datatype": "BYTES", "data": list(texts)}
        return api.ask("POST", f"/v2/models/{name}/infer", {"id": "7", "inputs": [photos]}, role="staff")

    found = ask("match", crop, crop).json
    assert found["id"] == "7" and found["outputs"][0]["shape"] == [2]
    assert json.loads(found["outputs"][0]["data"][1])["matches"][0]["sku"] == ARTICLES[0].sku
    assert json.loads(ask("scan", whole).json["outputs"][0]["data"][0])["instances"]
    assert ask("match", crop, shape=[3]).problem == "invalid"
