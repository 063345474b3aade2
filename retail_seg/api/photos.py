"""`/v1/scan` and `/v1/match`: a photo in, the JSON Lines object of the command out."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from retail_seg.api.bodies import photo_body
from retail_seg.api.once import IdempotencyKey, once
from retail_seg.api.openapi import photo_request, problems
from retail_seg.api.schemas import MatchAnswer, MatchIn, ScanAnswer, ScanIn
from retail_seg.api.service import Asked, Service
from retail_seg.people.roles import require
from retail_seg.scans.keeping import keep

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher

router = APIRouter(prefix="/v1", tags=["photos"])
REFUSED = (400, 409, 413, 415, 422, 503)


@router.post("/scan", response_model=ScanAnswer, responses=problems(*REFUSED), openapi_extra=photo_request(ScanIn))
async def scan(request: Request, idempotency_key: IdempotencyKey = None) -> Any:
    """Count the products in a photo: what each thing is, where it stands, counts per SKU. For staff.

    At most 20 MB a photo. With `keep` the scan is kept in the store, and the answer has its number.
    """
    require("staff")
    service: Service = request.state.service
    photo, asked = await photo_body(request, ScanIn)
    found = await asyncio.wrap_future(service.scan(photo, Asked("scan", asked.top, asked.side, tuple(asked.only))))
    service.metrics.identified(line.identification for line in found.report.instances)
    if not asked.keep:
        return JSONResponse(found.report.to_dict())

    def work(matcher: Matcher, again: bool) -> tuple[int, Any, dict[str, str]]:
        return 200, {**found.report.to_dict(), "scan": keep(matcher, found, data=photo.data, by=require("staff"))}, {}

    options = repr(asked.model_dump(exclude={"photo"})).encode()
    return await once(request, idempotency_key, work, asked=hashlib.sha256(photo.data).digest() + options)


@router.post("/match", response_model=MatchAnswer, responses=problems(*REFUSED), openapi_extra=photo_request(MatchIn))
async def match(request: Request) -> Any:
    """Name the one product that a picture shows, without segmentation. For staff. At most 20 MB a picture."""
    require("staff")
    service: Service = request.state.service
    photo, asked = await photo_body(request, MatchIn)
    found = await asyncio.wrap_future(service.match(photo, Asked("match", asked.top, None, tuple(asked.only))))
    service.metrics.identified([found])
    versions = await run_in_threadpool(service.matcher.versions, segmented=False)
    return JSONResponse({"image": photo.name, **found.to_dict(), **versions})
