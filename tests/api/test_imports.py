"""Imports over HTTP: a job to poll, a line each, cancelled, and gone on with after a restart."""

from __future__ import annotations

import io
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from api_helpers import Api, picture_of, served, tokens_for

from retail_seg.products import uploads
from retail_seg.products.import_jobs import ImportJobs
from retail_seg.system.jobs import JobCancelled


def packed(count: int) -> bytes:
    """A zip with a table of so many products, of which one line is wrong and the first has a picture."""
    rows = [f"I-{n:03},Product {n},{'p.jpg' if n == 0 else ''}" for n in range(count)]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("goods.csv", "\n".join(["sku,name,image", *rows, ",without,"]))
        file.writestr("p.jpg", picture_of(1, 3))
    return out.getvalue()


def ended(api: Api, path: str) -> dict[str, Any]:
    until = time.monotonic() + 120
    while (found := api.ask("GET", path).json)["state"] == "running":
        assert time.monotonic() < until
        time.sleep(0.05)
    return dict(found)


def all_lines(api: Api, path: str) -> list[dict[str, Any]]:
    found, cursor = [], ""
    while cursor is not None:
        page = api.ask("GET", f"{path}/lines?limit=2&cursor={cursor}").json
        found += page["items"]
        cursor = page["next_cursor"]
    return found


def test_an_import_is_polled_line_by_line(api: Api) -> None:
    files = [("file", "goods.zip", packed(3))]
    dry = api.ask("POST", "/v1/imports", files=files, fields={"dry_run": "true"})
    assert dry.status == 202 and ended(api, dry.headers["location"])["counts"]["added"] == 3
    assert api.ask("GET", "/v1/products/I-000").status == 404
    keyed = {"Idempotency-Key": "an-import"}
    made, again = (api.ask("POST", "/v1/imports", files=files, headers=keyed) for _ in "ab")
    path = made.headers["location"]
    assert again.headers["location"] == path and again.headers["idempotency-replayed"] == "true"
    found = ended(api, path)
    assert found["state"] == "done" and found["counts"] == {"added": 3, "changed": 0, "unchanged": 0, "refused": 1}
    lines = all_lines(api, path)
    assert [line["sku"] for line in lines] == ["", "I-000", "I-001", "I-002"] and "SKU" in lines[0]["problems"][0]
    assert api.ask("GET", "/v1/products/I-000").json["references"] == 1
    assert path.rsplit("/", 1)[1] in [one["id"] for one in api.ask("GET", "/v1/imports").json["items"]]
    assert not list((api.service.store / "imports").glob("*/upload*")), "the file goes when it is imported"


def test_what_cannot_be_imported_is_refused(api: Api) -> None:
    for name, data in (("goods.exe", b"x"), ("goods.zip", b"no zip")):
        refused = api.ask("POST", "/v1/imports", files=[("file", name, data)])
        assert refused.status == 422 and refused.problem == "invalid" and name in refused.json["detail"]
    made = api.ask("POST", "/v1/imports", files=[("file", "goods.csv", b"nothing")])
    found = ended(api, made.headers["location"])
    assert found["state"] == "failed" and "goods.csv" in found["error"]
    assert api.ask("GET", "/v1/imports/0123456789abcdef").problem == "not-found"
    assert api.ask("GET", "/v1/imports", role="staff").problem == "role-needed"
    assert api.ask("POST", "/v1/imports", {"file": "x"}).problem == "media-type"


def test_a_cancelled_import_keeps_what_it_wrote(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    tell = uploads._Counter._tell
    monkeypatch.setattr(uploads._Counter, "_tell", lambda self: time.sleep(0.02) or tell(self))
    made = api.ask("POST", "/v1/imports", files=[("file", "many.zip", packed(200))])
    path = made.headers["location"]
    while not api.ask("GET", path).json["counts"]["added"]:
        time.sleep(0.02)
    assert api.ask("POST", f"{path}/cancel").status == 202
    found = ended(api, path)
    assert found["state"] == "cancelled" and 0 < found["counts"]["added"] < 200


def test_an_import_goes_on_after_a_restart(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = tokens_for(small)
    with served(small, tokens) as api:
        report = ImportJobs._import

        def broken_off(self: ImportJobs, job: Any) -> None:
            """As if the process ended after the second product."""
            real = uploads._Counter.product

            def product(counter: Any) -> None:
                real(counter)
                if counter._done == 2:
                    self._leaving = True
                    raise JobCancelled("the process ends")

            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(uploads._Counter, "product", product)
                report(self, job)

        monkeypatch.setattr(ImportJobs, "_import", broken_off)
        path = api.ask("POST", "/v1/imports", files=[("file", "goods.zip", packed(4))]).headers["location"]
        while len(all_lines(api, path)) < 3:
            time.sleep(0.02)
        assert api.ask("GET", path).json["state"] == "running"
        monkeypatch.undo()
    with served(small, tokens) as api:
        found = ended(api, path)
        assert found["state"] == "done" and found["resumed"] == 1 and found["counts"]["added"] == 4
        assert [line["sku"] for line in all_lines(api, path)] == ["", "I-000", "I-001", "I-002", "I-003"]
