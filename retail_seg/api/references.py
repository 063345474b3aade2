"""`/v1/products/{sku}/references`: the pictures by which a product is known."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from retail_seg.api.bodies import FORM, decoded, files_of, json_body, media_type
from retail_seg.api.catalogue_schemas import AddedPictures, PicturesIn, ReferencePage
from retail_seg.api.limits import PAGE, PHOTOS
from retail_seg.api.once import IdempotencyKey, once
from retail_seg.api.openapi import pictures_request, problems
from retail_seg.api.paging import Cursor, Limit, cursor_of, number_after
from retail_seg.api.paths import register_skus
from retail_seg.api.problems import Rejection
from retail_seg.api.products import address
from retail_seg.api.service import Photo, Service
from retail_seg.people.roles import require
from retail_seg.products import browsing, editing

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher
    from retail_seg.products.editing import AddedPicture

BINARY = {"type": "string", "format": "binary"}
register_skus()
router = APIRouter(prefix="/v1/products/{sku:sku}/references", tags=["references"])


@router.get("", response_model=ReferencePage, responses=problems(404, 422))
def list_references(request: Request, sku: str, limit: Limit = PAGE, cursor: Cursor = "") -> Any:
    """A page of a product's reference pictures, the oldest first."""
    matcher = request.state.service.matcher
    after = number_after(cursor)
    browsing.existing(matcher, sku)
    found = [one for one in browsing.references(matcher, sku) if one.id > after]
    shown = found[:limit]
    following = cursor_of(shown[-1].id) if len(found) > limit else None
    return JSONResponse({"items": [asdict(one) for one in shown], "next_cursor": following})


@router.post(
    "", status_code=201, response_model=AddedPictures, openapi_extra=pictures_request(),
    responses=problems(400, 404, 409, 413, 415, 422, 503),
)  # fmt: skip
async def add(request: Request, sku: str, idempotency_key: IdempotencyKey = None) -> Any:
    """Give a product pictures; each answer says which reference it is now, or why it is none. For managers.

    409 where the product has all of them already, 422 where none can be used.
    """
    require("manager")
    photos = await _photos(request)

    def work(matcher: Matcher, again: bool) -> tuple[int, Any, dict[str, str]]:
        browsing.existing(matcher, sku)
        pictures = [(photo.name, photo.data) for photo in photos]
        added = editing.add_pictures(matcher, sku, pictures)
        added = editing.recognised(matcher, sku, pictures, added) if again else added
        _check_any(added)
        rows = [{"name": one.name, "reference_id": one.reference_id, "reason": one.reason} for one in added]
        return 201, {"references": rows}, {"Location": f"{address(sku)}/references"}

    asked = b"".join(hashlib.sha256(photo.data).digest() for photo in photos)
    return await once(request, idempotency_key, work, asked=asked, heavy=True)


@router.get(
    "/{reference}/picture", response_class=Response,
    responses=problems(404, 422) | {200: {"content": {"image/jpeg": {"schema": BINARY}}}},
)  # fmt: skip
def picture(request: Request, sku: str, reference: int) -> Response:
    """A reference's picture as JPEG."""
    matcher = request.state.service.matcher
    _check_own(matcher, sku, reference)
    return Response(browsing.picture(matcher, reference), media_type="image/jpeg")


@router.delete("/{reference}", status_code=204, response_class=Response, responses=problems(404, 422, 503))
async def delete(request: Request, sku: str, reference: int) -> Response:
    """Take a reference out. For managers."""
    require("manager")
    service: Service = request.state.service

    def work(matcher: Matcher) -> Response:
        _check_own(matcher, sku, reference)
        editing.remove(matcher, sku, [reference])
        return Response(status_code=204)

    answer: Response = await asyncio.wrap_future(service.change(work))
    return answer


async def _photos(request: Request) -> list[Photo]:
    if media_type(request) == FORM:
        return await files_of(request, "photo", PHOTOS)
    asked = await json_body(request, PicturesIn)
    one = [Photo(decoded(asked.photo, "photo"), "photo")] if asked.photo else []
    return one + [Photo(decoded(text, "photos", at), f"photos {at}") for at, text in enumerate(asked.photos)]


def _check_any(added: list[AddedPicture]) -> None:
    """Raise Rejection where no picture became a reference."""
    if any(one.reference_id is not None for one in added):
        return
    kind = "duplicate" if all(one.double for one in added) else "photo-unusable"
    places = tuple((("body", "photo", at), one.reason) for at, one in enumerate(added))
    raise Rejection(kind, f"{added[0].name}: {added[0].reason}", places)


def _check_own(matcher: Matcher, sku: str, reference: int) -> None:
    browsing.existing(matcher, sku)
    if not 0 < reference < 2**63 or browsing.owner(matcher, reference) != sku:
        raise Rejection("not-found", f"{sku} has no reference {reference}; list them to see their numbers")
