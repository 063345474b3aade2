"""Plans, checks and tasks over HTTP."""

from __future__ import annotations

from api_helpers import ARTICLES, Api, picture_of

from retail_seg.photos.load import encode_picture
from retail_seg.rendering.assortment import demo_photos


def plan_of(*skus: str) -> bytes:
    rows = [f"A,1,{number},{sku},1,1" for number, sku in enumerate(skus, 1)]
    return "\n".join(["fixture,shelf,position,sku,facings,min_facings", *rows]).encode()


def test_a_plan_is_kept_checked_and_its_tasks_are_done(api: Api) -> None:
    skus = [article.sku for article in ARTICLES[:2]]
    made = api.ask("POST", "/v1/plans", files=[("file", "bay.csv", plan_of(*skus))])
    assert made.status == 201 and made.json == {
        "name": "bay",
        "version": 1,
        "problems": [],
        "notes": made.json["notes"],
    }
    assert [one["name"] for one in api.ask("GET", "/v1/plans", role="viewer").json["items"]] == ["bay"]
    assert [one["sku"] for one in api.ask("GET", "/v1/plans/bay").json["positions"]] == skus
    assert api.ask("GET", "/v1/plans/none").problem == "not-found"
    assert api.ask("POST", "/v1/plans", files=[("file", "bay.csv", b"x")]).status == 422

    photo = encode_picture(demo_photos(1)[0].scene.photo)
    files = [("photo", "one.jpg", photo), ("photo", "bad.jpg", b"nothing")]
    found = api.ask("POST", "/v1/checks", files=files, fields={"plan": "bay", "keep": "true"}, role="staff")
    assert found.status == 200, found.body
    answer = found.json
    assert [one["sku"] for one in answer["positions"]] == skus and [one["image"] for one in answer["photos"]] == [
        "one.jpg"
    ]
    assert answer["check"] == 1 and "bad.jpg" in answer["failed"][0]
    assert api.ask("GET", "/v1/checks").json["items"][0]["id"] == 1
    assert api.ask("GET", "/v1/checks/1").json["positions"] == answer["positions"]
    assert api.ask("GET", "/v1/checks/2").problem == "not-found"

    tasks = api.ask("GET", "/v1/tasks").json["items"]
    assert sorted(one["id"] for one in tasks) == sorted(answer["tasks_opened"])
    for task in tasks:
        taken = api.ask("PATCH", f"/v1/tasks/{task['id']}", {"state": "taken", "note": "on it"}, role="staff")
        assert taken.json["state"] == "taken" and taken.json["who"] == "staff"
        assert api.ask("GET", f"/v1/tasks/{task['id']}").json["note"] == "on it"
        assert api.ask("PATCH", f"/v1/tasks/{task['id']}", {"state": "done"}, role="viewer").problem == "role-needed"
        assert api.ask("PATCH", f"/v1/tasks/{task['id']}", {"state": "gone"}).problem == "invalid"
    assert api.ask("DELETE", "/v1/plans/bay").status == 204 and api.ask("GET", "/v1/plans").json["items"] == []


def test_a_check_needs_a_plan_that_is_kept_and_a_photo(api: Api) -> None:
    files = [("photo", "one.jpg", picture_of(0))]
    assert api.ask("POST", "/v1/checks", files=files, fields={"plan": "/etc/passwd"}).problem == "not-found"
    assert api.ask("POST", "/v1/checks", files=files).problem == "invalid"
    assert api.ask("POST", "/v1/checks", {"plan": "bay"}).problem == "invalid"
    assert api.ask("POST", "/v1/checks", files=files, fields={"plan": "bay"}, role="viewer").problem == "role-needed"
