"""The server as scripts meet it: answers as the commands', who may what, and every refusal as a problem."""

from __future__ import annotations

import base64
import io
import json
import socket
from pathlib import Path

import pytest
from api_helpers import ARTICLES, Api, name_of, picture_of
from click.testing import CliRunner

from retail_seg.api.limits import PHOTO_BYTES
from retail_seg.cli import cli
from retail_seg.photos.load import encode_picture
from retail_seg.rendering.assortment import demo_photos

SKU = ARTICLES[0].sku


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rendered photo of several products."""
    path = tmp_path_factory.mktemp("photo") / "table.jpg"
    path.write_bytes(encode_picture(demo_photos(1)[0].scene.photo))
    return path


def as_form(path: Path) -> list[tuple[str, str, bytes]]:
    return [("photo", path.name, path.read_bytes())]


def as_json(data: bytes, **more: object) -> dict[str, object]:
    return {"photo": base64.b64encode(data).decode(), **more}


def lines_of(*words: str) -> list[dict[str, object]]:
    result = CliRunner().invoke(cli, list(words), standalone_mode=False)
    assert result.exception is None, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_scan_is_the_line_of_the_command(api: Api, photo: Path) -> None:
    found = api.ask("POST", "/v1/scan", files=as_form(photo), role="staff")
    (line,) = lines_of("scan", str(photo), "--store", str(api.service.store))
    assert found.status == 200 and found.json == {**line, "image": photo.name}
    assert found.json["instances"] and found.json["box_format"] == "xywh"
    same = api.ask("POST", "/v1/scan", as_json(photo.read_bytes(), name="table.jpg"), role="staff")
    assert same.json == found.json


def test_a_match_is_the_line_of_the_command(api: Api, tmp_path: Path) -> None:
    path = tmp_path / "crop.jpg"
    path.write_bytes(picture_of(0))
    found = api.ask("POST", "/v1/match", files=as_form(path), fields={"top": "2", "only": "category=soda"})
    (line,) = lines_of("match", str(path), "--store", str(api.service.store), "--top", "2", "--only", "category=soda")
    assert found.json == {**line, "image": "crop.jpg"} and len(found.json["matches"]) == 2
    assert found.json["matches"][0]["sku"] == SKU and found.json["revision"] == api.service.matcher.revision


def test_only_names_products_and_no_file_of_the_server(api: Api) -> None:
    one = ARTICLES[1].sku
    found = api.ask("POST", "/v1/match", as_json(picture_of(0), only=[f"sku={one}"]))
    assert [match["sku"] for match in found.json["matches"]] == [one]
    for text in ("/etc/passwd", "sku=nothing", "category=nothing"):
        assert api.ask("POST", "/v1/match", as_json(picture_of(0), only=[text])).problem == "invalid"


def test_a_form_s_flags_are_true_or_false(api: Api) -> None:
    files = [("photo", "a.jpg", picture_of(0))]
    for text in ("0", "yes", "True", ""):
        found = api.ask("POST", "/v1/scan", files=files, fields={"keep": text})
        assert found.problem == "invalid" and found.json["errors"][0]["place"] == ["body", "keep"]


def test_a_kept_scan_has_its_number(api: Api, photo: Path) -> None:
    before = api.ask("POST", "/v1/scan", files=as_form(photo)).json
    kept = api.ask("POST", "/v1/scan", files=as_form(photo), fields={"keep": "true"}).json
    assert kept["scan"] >= 1 and "scan" not in before


def test_nobody_gets_in_without_a_token(api: Api) -> None:
    for headers in ({}, {"Authorization": "Bearer rseg_0"}, {"Authorization": "Basic eDp5"}):
        found = api.ask("GET", "/v1/products", role=None, headers=headers)
        assert found.status == 401 and found.problem == "token-needed" and found.headers["www-authenticate"] == "Bearer"
    for path in ("/v1/health", "/v2/health/live", "/v2/health/ready", "/openapi.json", "/docs"):
        assert api.ask("GET", path, role=None).status == 200
    assert api.ask("GET", "/metrics", role=None).status == 401


@pytest.mark.parametrize(
    ("method", "path", "least"),
    [
        ("GET", "/v1/products", "viewer"),
        ("GET", f"/v1/products/{SKU}", "viewer"),
        ("GET", f"/v1/products/{SKU}/references", "viewer"),
        ("POST", "/v1/scan", "staff"),
        ("POST", "/v1/match", "staff"),
        ("POST", "/v1/products", "manager"),
        ("PATCH", f"/v1/products/{SKU}", "manager"),
        ("DELETE", "/v1/products/nothing", "manager"),
        ("POST", "/v1/products/nothing/undelete", "manager"),
        ("POST", f"/v1/products/{SKU}/references", "manager"),
        ("DELETE", f"/v1/products/{SKU}/references/0", "manager"),
    ],
)
def test_roles_are_those_of_the_app(api: Api, method: str, path: str, least: str) -> None:
    roles = ("viewer", "staff", "manager")
    for role in roles:
        found = api.ask(method, path, {} if method in ("POST", "PATCH") else None, role=role)
        if roles.index(role) < roles.index(least):
            assert found.status == 403 and found.problem == "role-needed"
        else:
            assert found.status not in (401, 403, 500)


def test_products_are_paged_by_cursor(api: Api) -> None:
    seen: list[str] = []
    cursor = ""
    while True:
        page = api.ask("GET", f"/v1/products?limit=3&cursor={cursor}", role="viewer").json
        seen += [item["sku"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        assert len(page["items"]) == 3
        cursor = page["next_cursor"]
    assert seen == sorted(seen) and set(seen) >= {article.sku for article in ARTICLES} and len(set(seen)) == len(seen)
    for wrong in ("limit=101", "limit=0", "limit=x", "cursor=eA", "cursor=%00"):
        found = api.ask("GET", f"/v1/products?{wrong}")
        assert found.status == 422 and found.problem == "invalid" and found.json["errors"][0]["place"][0] == "query"


def test_a_search_is_paged_too(api: Api) -> None:
    word = name_of(ARTICLES[0]).split()[0]
    first = api.ask("GET", f"/v1/products?q={word}&limit=1").json
    assert SKU in {item["sku"] for item in api.ask("GET", f"/v1/products?q={word}").json["items"]}
    assert api.ask("GET", f"/v1/products?q={SKU}").json["items"][0]["sku"] == SKU
    if first["next_cursor"]:
        second = api.ask("GET", f"/v1/products?q={word}&limit=1&cursor={first['next_cursor']}").json
        assert second["items"][0]["sku"] != first["items"][0]["sku"]


def test_a_product_s_life(api: Api) -> None:
    path = "/v1/products/A%2F1%20%C3%A4"
    made = api.ask("POST", "/v1/products", {"sku": "A/1 ä", "name": "New", "attributes": {"a": "1", "b": "2"}})
    assert made.status == 201 and made.headers["location"] == path
    assert api.ask("POST", "/v1/products", {"sku": "A/1 ä"}).problem == "duplicate"
    seen = api.ask("GET", path)
    assert seen.json == made.json and seen.headers["etag"] == made.headers["etag"]
    assert api.ask("GET", path, headers={"If-None-Match": seen.headers["etag"]}).status == 304
    changed = {"name": "Newer", "brand": None, "attributes": {"a": None, "c": "3"}}
    written = api.ask("PATCH", path, changed, headers={"If-Match": seen.headers["etag"]})
    assert written.status == 200 and written.json["attributes"] == {"b": "2", "c": "3"}
    stale = api.ask("PATCH", path, {"name": "Lost"}, headers={"If-Match": seen.headers["etag"]})
    assert stale.status == 412 and stale.problem == "stale"
    assert api.ask("DELETE", path, headers={"If-Match": seen.headers["etag"]}).problem == "stale"
    assert api.ask("GET", path).json["name"] == "Newer"
    assert api.ask("DELETE", path).status == 204 and api.ask("GET", path).problem == "not-found"
    assert api.ask("POST", f"{path}/undelete").json["name"] == "Newer"
    assert api.ask("POST", f"{path}/undelete").problem == "conflict"


def test_a_product_comes_with_its_pictures_or_not_at_all(api: Api) -> None:
    good, bad = as_json(picture_of(1))["photo"], base64.b64encode(b"no picture").decode()
    refused = api.ask("POST", "/v1/products", {"sku": "P-2", "photos": [good, bad]})
    assert refused.status == 422 and refused.problem == "photo-unusable"
    assert api.ask("GET", "/v1/products/P-2").status == 404
    made = api.ask("POST", "/v1/products", {"sku": "P-2", "photos": [good]})
    assert made.status == 201 and made.json["references"] == 1
    assert api.ask("DELETE", "/v1/products/P-2").status == 204


def test_pictures_come_and_go(api: Api) -> None:
    api.ask("POST", "/v1/products", {"sku": "R-1"})
    path, files = "/v1/products/R-1/references", [("photo", "a.jpg", picture_of(2)), ("photo", "b.jpg", b"nothing")]
    added = api.ask("POST", path, files=files)
    assert added.status == 201
    first, second = added.json["references"]
    assert first["reference_id"] and not first["reason"] and second["reference_id"] is None and second["reason"]
    again = api.ask("POST", path, {"photo": base64.b64encode(picture_of(2)).decode()})
    assert again.status == 409 and again.problem == "duplicate"
    assert api.ask("POST", path, files=files[1:]).problem == "photo-unusable"
    listed = api.ask("GET", path).json["items"]
    assert [one["id"] for one in listed] == [first["reference_id"]] and listed[0]["source"] == "a.jpg"
    picture = api.ask("GET", f"{path}/{listed[0]['id']}/picture")
    assert picture.headers["content-type"] == "image/jpeg" and picture.body.startswith(b"\xff\xd8")
    assert api.ask("DELETE", f"/v1/products/{SKU}/references/{listed[0]['id']}").problem == "not-found"
    assert api.ask("DELETE", f"{path}/{listed[0]['id']}").status == 204
    assert api.ask("GET", path).json["items"] == []
    assert api.ask("GET", "/v1/products/none/references").problem == "not-found"


def test_a_key_does_a_request_once(api: Api) -> None:
    key = {"Idempotency-Key": "one-key"}
    first = api.ask("POST", "/v1/products", {"sku": "K-1"}, headers=key)
    second = api.ask("POST", "/v1/products", {"sku": "K-1"}, headers=key)
    assert (first.status, first.json) == (second.status, second.json) and first.status == 201
    assert second.headers["idempotency-replayed"] == "true" and "idempotency-replayed" not in first.headers
    other = api.ask("POST", "/v1/products", {"sku": "K-2"}, headers=key)
    assert other.status == 422 and other.problem == "key-used"
    files = [("photo", "a.jpg", picture_of(3))]
    added = [
        api.ask("POST", "/v1/products/K-1/references", files=files, headers={"Idempotency-Key": "two"}) for _ in "ab"
    ]
    assert added[0].json == added[1].json and added[1].headers["idempotency-replayed"] == "true"
    refused = api.ask("POST", "/v1/products", {"sku": "K-1"}, headers={"Idempotency-Key": "three"})
    assert refused.problem == "duplicate"


def test_bodies_that_are_too_large_are_refused_before_they_are_read(api: Api) -> None:
    large = [("photo", "large.jpg", bytes(PHOTO_BYTES + 10**6))]
    assert api.ask("POST", "/v1/scan", files=large).problem == "too-large"
    assert api.ask("POST", "/v1/products", bytes(65 * 10**6)).problem == "too-large"
    assert api.ask("PATCH", f"/v1/products/{SKU}", b" " * (10**6 + 1)).problem == "too-large"
    with socket.create_connection(("127.0.0.1", api.port), timeout=30) as one:
        head = f"POST /v1/scan HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.tokens['staff']}\r\n"
        one.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 999999999999\r\n\r\n".encode())
        assert b" 413 " in one.recv(1024), "the answer comes though no byte of the body was sent"


def test_a_body_without_a_length_is_counted(api: Api) -> None:
    chunks = io.BytesIO(bytes(PHOTO_BYTES * 4 // 3 + 10**6))
    from http.client import HTTPConnection

    connection = HTTPConnection("127.0.0.1", api.port, timeout=60)
    headers = {"Authorization": f"Bearer {api.tokens['staff']}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/match", chunks, headers, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


@pytest.mark.parametrize(
    ("method", "path", "body", "kind", "status", "problem"),
    [
        ("POST", "/v1/scan", b"x", "text/plain", 415, "media-type"),
        ("POST", "/v1/scan", b"x", "multipart/form-data", 400, "bad-request"),
        ("POST", "/v1/scan", b"{", "application/json", 400, "bad-request"),
        ("POST", "/v1/scan", b"[" * 100_000, "application/json", 400, "bad-request"),
        ("POST", "/v1/scan", b'{"photo": "no base64"}', "application/json", 422, "invalid"),
        ("POST", "/v1/scan", b'{"photo": "bm8="}', "application/json", 422, "photo-unusable"),
        ("POST", "/v1/match", b'{"photo": "bm8=", "top": 101}', "application/json", 422, "invalid"),
        ("POST", "/v1/match", b'{"photo": "bm8=", "tops": 1}', "application/json", 422, "invalid"),
        ("POST", "/v1/products", b'{"sku": ""}', "application/json", 422, "invalid"),
        ("POST", "/v1/products", b'{"sku": "G", "gtin": "123"}', "application/json", 422, "invalid"),
        ("POST", "/v1/products", b"null", "application/json", 422, "invalid"),
        ("PUT", "/v1/scan", None, "", 405, "method-not-allowed"),
        ("GET", "/v1/nothing", None, "", 404, "not-found"),
        ("GET", "/v1/products/nothing", None, "", 404, "not-found"),
    ],
)
def test_what_is_wrong_is_a_problem(
    api: Api, method: str, path: str, body: bytes | None, kind: str, status: int, problem: str
) -> None:
    found = api.ask(method, path, body, headers={"Content-Type": kind} if kind else {})
    assert (found.status, found.problem) == (status, problem)
    assert found.headers["x-request-id"] == found.json["instance"]
    if problem == "invalid":
        assert found.json["errors"][0]["place"][0] == "body"


def test_a_request_keeps_its_number(api: Api) -> None:
    assert api.ask("GET", "/v1/products", headers={"X-Request-ID": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert api.ask("GET", "/v1/products", headers={"X-Request-ID": "a b"}).headers["x-request-id"] != "a b"


def test_metrics_tell_of_stages_and_answers(api: Api, photo: Path) -> None:
    api.ask("POST", "/v1/scan", files=as_form(photo))
    text = api.ask("GET", "/metrics", role="viewer").body.decode()
    for name in ("decode", "segment", "cut", "embed", "rank"):
        assert f'retail_seg_stage_seconds_count{{stage="{name}"}}' in text
    for name in (
        "answers_total{certainty=",
        "queue_depth{queue=",
        "index_revision ",
        "resident_bytes ",
        "probability_sum",
    ):
        assert f"retail_seg_{name}" in text
    assert 'route="/v1/products/{sku}"' in text and SKU not in text


def test_too_many_requests_of_one_token_are_refused_for_a_while(api: Api) -> None:
    api.service.rates = type(api.service.rates)(5.0)
    try:
        answers = [api.ask("GET", "/v1/products/x", role="viewer") for _ in range(30)]
        refused = [one for one in answers if one.status == 429]
        assert refused and refused[0].problem == "too-often" and int(refused[0].headers["retry-after"]) >= 1
        assert api.ask("GET", "/v1/products/x", role="staff").status == 404, "another token is not held up"
    finally:
        api.service.rates = type(api.service.rates)(0)
