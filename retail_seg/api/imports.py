"""`/v1/imports`: a table or zip of products, imported in the background, line by line."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from retail_seg.api.bodies import open_file
from retail_seg.api.catalogue_schemas import ImportIn, ImportLinePage, ImportOut, ImportPage
from retail_seg.api.limits import PAGE
from retail_seg.api.once import IdempotencyKey, once
from retail_seg.api.openapi import file_request, problems
from retail_seg.api.paging import Cursor, Limit, cursor_of, number_after
from retail_seg.api.service import Service
from retail_seg.people.roles import require

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher
    from retail_seg.products.import_jobs import ImportJob, ImportJobs

router = APIRouter(prefix="/v1/imports", tags=["imports"])
ImportNumber = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", description="The import's number.")]


@router.post(
    "", status_code=202, response_model=ImportOut, openapi_extra=file_request(ImportIn),
    responses=problems(400, 409, 413, 415, 422, 503),
)  # fmt: skip
async def start(request: Request, idempotency_key: IdempotencyKey = None) -> Any:
    """Import a table (CSV, JSON Lines and others) or a zip with pictures; poll it at its address. For managers.

    At most 200 MB. A server that is started again goes on where it was.
    """
    require("manager")
    service: Service = request.state.service
    async with open_file(request, ImportIn) as (name, file, asked):
        number = _number(request, idempotency_key)
        data = file.file

        def work(matcher: Matcher, again: bool) -> tuple[int, Any, dict[str, str]]:
            if again and number in {job.id for job in service.imports.all()}:
                job = service.imports.get(number)
            else:
                data.seek(0)
                job = service.imports.start(
                    name, data, replace=asked.replace, fetch=asked.fetch, dry_run=asked.dry_run, id=number
                )
            return 202, row(service.imports, job), {"Location": f"/v1/imports/{job.id}"}

        digest = await run_in_threadpool(lambda: hashlib.file_digest(data, "sha256").digest())  # type: ignore[arg-type]
        return await once(request, idempotency_key, work, asked=digest + repr(asked).encode())


@router.get("", response_model=ImportPage, responses=problems(422))
def list_imports(request: Request, limit: Limit = PAGE, cursor: Cursor = "") -> Any:
    """A page of the imports, the newest first. For managers."""
    require("manager")
    imports = request.state.service.imports
    start = number_after(cursor)
    found = imports.all()[start:]
    following = cursor_of(start + limit) if len(found) > limit else None
    return JSONResponse({"items": [row(imports, job) for job in found[:limit]], "next_cursor": following})


@router.get("/{number}", response_model=ImportOut, responses=problems(404, 422))
def get(request: Request, number: ImportNumber) -> Any:
    """How far an import is, or how it ended. For managers."""
    require("manager")
    imports = request.state.service.imports
    return JSONResponse(row(imports, imports.get(number)))


@router.get("/{number}/lines", response_model=ImportLinePage, responses=problems(404, 422))
def lines(request: Request, number: ImportNumber, limit: Limit = PAGE, cursor: Cursor = "") -> Any:
    """A page of what became of the lines, in the order in which they were done. For managers."""
    require("manager")
    imports = request.state.service.imports
    start = number_after(cursor)
    found = imports.lines(number)[start:]
    following = cursor_of(start + limit) if len(found) > limit else None
    return JSONResponse({"items": found[:limit], "next_cursor": following})


@router.post("/{number}/cancel", status_code=202, response_model=ImportOut, responses=problems(404, 422))
def cancel(request: Request, number: ImportNumber) -> Any:
    """Ask for an import's end; what was written stays. For managers."""
    imports = request.state.service.imports
    return JSONResponse(row(imports, imports.cancel(number)), 202)


def row(imports: ImportJobs, job: ImportJob) -> dict[str, Any]:
    """An import as it is shown."""
    progress = job.progress
    return {
        "id": job.id,
        "name": job.name,
        "by": job.by,
        "created": job.created,
        "replace": job.replace,
        "fetch": job.fetch,
        "dry_run": job.dry_run,
        "state": progress.state,
        "share": round(progress.share, 4),
        "text": progress.text,
        "error": progress.error,
        "counts": imports.counts(job.id),
        "resumed": job.resumed,
    }


def _number(request: Request, key: str | None) -> str:
    """The number of an import: that of its key, so that it is found again; else a new one."""
    if key is None:
        return ""
    return hashlib.sha256(f"{request.state.token} {key}".encode()).hexdigest()[:16]
