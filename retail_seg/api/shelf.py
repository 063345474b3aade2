"""`/v1/plans`, `/v1/checks` and `/v1/tasks`: what should stand on a fixture, what photos show, and who mends it."""

from __future__ import annotations

import asyncio
import io
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from retail_seg.api.bodies import FORM, decoded, form_of_files, json_body, media_type, open_file
from retail_seg.api.limits import PAGE, PHOTOS
from retail_seg.api.openapi import file_request, json_request, photos_request, problems
from retail_seg.api.paging import Cursor, Limit, SearchText, cursor_of, number_after
from retail_seg.api.service import NamedFile, Photo, Service
from retail_seg.api.shelf_schemas import (
    CheckAnswer,
    CheckIn,
    CheckPage,
    KeptPlanOut,
    PlanIn,
    PlanOut,
    PlanPage,
    TaskOut,
    TaskPage,
    TaskPatch,
)
from retail_seg.people.roles import require
from retail_seg.shelf import checking, keeping, planning

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher

router = APIRouter(prefix="/v1", tags=["shelves"])
PlanName = Annotated[str, InPath(max_length=200)]
RowNumber = Annotated[int, InPath(ge=1, le=2**63 - 1)]
STATES = ("open", "taken", "done", "not true")


@router.post(
    "/checks", response_model=CheckAnswer, openapi_extra=photos_request(CheckIn),
    responses=problems(400, 404, 413, 415, 422, 503),
)  # fmt: skip
async def check(request: Request) -> Any:
    """Hold photos of one fixture against a kept plan: the JSON object of `retail-seg check`. For staff.

    `failed` names photos that could not be read, where others could.
    """
    require("staff")
    service: Service = request.state.service
    photos, asked = await _photos(request)

    def work(matcher: Matcher) -> Response:
        _, plan = planning.load_plan(matcher, asked.plan)
        among = matcher.only(asked.only, files=False)
        files: list[io.BytesIO] = [NamedFile(photo) for photo in photos]
        between = service.work.between
        done = checking.check(matcher, files, plan, labels=asked.labels, side=asked.side, among=among, on_photo=between)
        found: dict[str, Any] = done.result.to_dict()
        bad = [str(error).partition(":")[0] for error in done.failed]
        for shown, photo in zip(found["photos"], (one for one in photos if one.name not in bad), strict=False):
            shown["image"] = photo.name
        if done.failed:
            found["failed"] = [str(error) for error in done.failed]
        if asked.keep:
            saved = keeping.keep_check(matcher, done.result)
            found |= {"check": saved.id, "tasks_opened": list(saved.opened), "tasks_mended": list(saved.mended)}
        return JSONResponse(found)

    answer: Response = await asyncio.wrap_future(service.check(work))
    return answer


@router.get("/checks", response_model=CheckPage, responses=problems(404, 422))
def list_checks(request: Request, fixture: SearchText = "", limit: Limit = PAGE, cursor: Cursor = "") -> Any:
    """A page of the kept checks, the newest first."""
    start = number_after(cursor)
    found = keeping.list_checks(request.state.service.matcher, fixture, offset=start, limit=limit + 1)
    return _page([asdict(one) for one in found], start, limit)


@router.get("/checks/{number}", response_model=CheckAnswer, responses=problems(404, 422))
def get_check(request: Request, number: RowNumber) -> Any:
    """A kept check, as it was written."""
    return JSONResponse({**keeping.load_check(request.state.service.matcher, number)[1], "check": number})


@router.get("/plans", response_model=PlanPage, responses=problems(404, 422))
def list_plans(request: Request, limit: Limit = PAGE, cursor: Cursor = "") -> Any:
    """A page of the plans, the newest version of each."""
    start = number_after(cursor)
    found = planning.list_plans(request.state.service.matcher)[start:]
    return _page([asdict(one) for one in found[: limit + 1]], start, limit)


@router.post(
    "/plans", status_code=201, response_model=KeptPlanOut, openapi_extra=file_request(PlanIn),
    responses=problems(400, 413, 415, 422),
)  # fmt: skip
async def import_plan(request: Request) -> Any:
    """Keep the plan in a file (CSV or Azure's JSON) as the next version under its name."""
    require("manager")
    matcher = request.state.service.matcher
    async with open_file(request, PlanIn) as (name, file, asked):
        data = await file.read()

        def work() -> Response:
            with tempfile.TemporaryDirectory(prefix="retail-seg-plan-") as folder:
                path = Path(folder) / f"{Path(name).stem[:100] or 'plan'}{Path(name).suffix[:10]}"
                path.write_bytes(data)
                found, version = planning.import_plan(matcher, path, asked.name)
            told = {"problems": list(found.problems), "notes": list(found.notes)}
            return JSONResponse({"name": found.plan.name, "version": version, **told}, 201)

        return await run_in_threadpool(work)


@router.get("/plans/{name}", response_model=PlanOut, responses=problems(404, 422))
def get_plan(request: Request, name: PlanName, version: Annotated[int | None, Query(ge=1, le=2**31)] = None) -> Any:
    """A plan with its positions, the newest version without `version`."""
    kept, plan = planning.load_plan(request.state.service.matcher, name, version)
    return JSONResponse({**asdict(kept), "positions": [asdict(one) for one in plan.positions]})


@router.delete("/plans/{name}", status_code=204, response_class=Response, responses=problems(404, 422))
def remove_plan(request: Request, name: PlanName) -> Response:
    """Take a plan out with all its versions; `retail-seg plan undo` brings it back."""
    planning.remove_plan(request.state.service.matcher, name)
    return Response(status_code=204)


@router.get("/tasks", response_model=TaskPage, responses=problems(404, 422))
def list_tasks(
    request: Request,
    fixture: SearchText = "",
    state: Annotated[list[str], Query(max_length=4, description=f"Of {', '.join(STATES)}.")] = ["open", "taken"],  # noqa: B006
    limit: Limit = PAGE,
    cursor: Cursor = "",
) -> Any:
    """A page of the tasks in some states, the dearest first."""
    start = number_after(cursor)
    found = keeping.list_tasks(request.state.service.matcher, fixture, state)[start:]
    return _page([asdict(one) for one in found[: limit + 1]], start, limit)


@router.get("/tasks/{number}", response_model=TaskOut, responses=problems(404, 422))
def get_task(request: Request, number: RowNumber) -> Any:
    """One task with its finding."""
    return JSONResponse(asdict(keeping.load_task(request.state.service.matcher, number)))


@router.patch(
    "/tasks/{number}", response_model=TaskOut, openapi_extra=json_request(TaskPatch),
    responses=problems(400, 404, 413, 415, 422),
)  # fmt: skip
async def set_task(request: Request, number: RowNumber) -> Any:
    """Take a task, or say that it is done or not true. For staff."""
    require("staff")
    asked = await json_body(request, TaskPatch)
    matcher = request.state.service.matcher

    def work() -> Response:
        return JSONResponse(asdict(keeping.set_task(matcher, number, asked.state, who=asked.who, note=asked.note)))

    return await run_in_threadpool(work)


async def _photos(request: Request) -> tuple[list[Photo], CheckIn]:
    if media_type(request) == FORM:
        return await form_of_files(request, "photo", PHOTOS, CheckIn)
    asked = await json_body(request, CheckIn)
    texts = ([asked.photo] if asked.photo else []) + asked.photos
    return [Photo(decoded(text, "photos", at), f"photo {at}") for at, text in enumerate(texts)], asked


def _page(rows: list[dict[str, Any]], start: int, limit: int) -> Response:
    following = cursor_of(start + limit) if len(rows) > limit else None
    return JSONResponse({"items": rows[:limit], "next_cursor": following})
