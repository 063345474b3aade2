"""`/v1/scans`: the scans that are kept, as they stand after people corrected them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import JSONResponse, Response

from retail_seg.api.limits import PAGE
from retail_seg.api.openapi import problems
from retail_seg.api.paging import Cursor, Limit, cursor_of, number_after
from retail_seg.api.schemas import KeptScan, ScanPage
from retail_seg.people.roles import require
from retail_seg.scans import review

if TYPE_CHECKING:
    from retail_seg.scans.review import Listed

JPEG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}
}
router = APIRouter(prefix="/v1/scans", tags=["scans"])
ScanNumber = Annotated[int, Path(ge=1, le=2**63 - 1, description="The scan's number.")]


@router.get("", response_model=ScanPage, responses=problems(422))
def list_scans(
    request: Request,
    q: Annotated[str, Query(max_length=2000, description="Words of photo, person, day or product.")] = "",
    limit: Limit = PAGE,
    cursor: Cursor = "",
) -> Any:
    """A page of the kept scans, the newest first."""
    before = number_after(cursor) or None
    found = review.list_scans(request.state.service.matcher, q, limit=limit + 1, before=before)
    following = cursor_of(found[limit - 1].scan.id) if len(found) > limit else None
    return JSONResponse({"items": [_row(one) for one in found[:limit]], "next_cursor": following})


@router.get("/{number}", response_model=KeptScan, responses=problems(404, 422))
def get(request: Request, number: ScanNumber) -> Any:
    """A kept scan as `retail-seg scan` writes it, with who decided what."""
    matcher = request.state.service.matcher
    return JSONResponse(review.as_json(review.open_review(matcher, number)))


@router.get("/{number}/overlay", response_class=Response, responses=problems(404, 422) | JPEG)
def overlay(request: Request, number: ScanNumber) -> Response:
    """The photo with outlines and names, as JPEG. For staff."""
    require("staff")
    matcher = request.state.service.matcher
    return Response(review.overlay_jpeg(matcher, review.open_review(matcher, number)), media_type="image/jpeg")


@router.delete("/{number}", status_code=204, response_class=Response, responses=problems(404, 422))
def delete(request: Request, number: ScanNumber) -> Response:
    """Delete a kept scan with its photo, for good. For staff."""
    review.delete_scan(request.state.service.matcher, number)
    return Response(status_code=204)


def _row(found: Listed) -> dict[str, Any]:
    scan = found.scan
    return {
        "scan": scan.id,
        "at": scan.at,
        "by": scan.by,
        "image": scan.image,
        "width": scan.width,
        "height": scan.height,
        **{kind: found.totals[kind] for kind in review.CERTAINTIES},
    }
