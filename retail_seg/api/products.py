"""`/v1/products`: list, search, get, create, patch, delete, undelete."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Header, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from catalogue import Product
from catalogue.errors import EditConflict
from catalogue.listing import Filter
from retail_seg.api.bodies import decoded, json_body
from retail_seg.api.catalogue_schemas import ProductIn, ProductOut, ProductPage, ProductPatch
from retail_seg.api.limits import PAGE, TEXT
from retail_seg.api.once import IdempotencyKey, once
from retail_seg.api.openapi import json_request, problems
from retail_seg.api.paging import Limit, SearchText, TextCursor, cursor_of, number_after, text_after
from retail_seg.api.paths import register_skus
from retail_seg.api.problems import stale
from retail_seg.api.service import Service
from retail_seg.people.roles import require
from retail_seg.products import browsing, editing
from retail_seg.store.enrolment import Upload

if TYPE_CHECKING:
    from catalogue.listing import Entry
    from retail_seg.matcher import Matcher

register_skus()
router = APIRouter(prefix="/v1/products", tags=["products"])
IfMatch = Annotated[str | None, Header(max_length=TEXT, description="ETag of the product as it was seen.")]
IfNoneMatch = Annotated[str | None, Header(max_length=TEXT, description="ETag of the product as it is known.")]
ETAG = {"ETag": {"description": "Differs when the product does.", "schema": {"type": "string"}}}


@router.get("", response_model=ProductPage, responses=problems(404, 422))
def list_products(
    request: Request,
    q: Annotated[str, Query(max_length=2000, description="Beginnings of words, an SKU or a GTIN.")] = "",
    brand: SearchText = "",
    category: SearchText = "",
    removed: bool = False,
    limit: Limit = PAGE,
    cursor: TextCursor = "",
) -> Any:
    """A page of the products by SKU, or of those that `q` finds, the best first."""
    matcher = request.state.service.matcher
    wanted = Filter(q, brand, category, removed=removed)
    if wanted.query:
        offset = number_after(cursor)
        found = browsing.find(matcher, wanted, offset=offset, limit=limit + 1)
        where: str | int = offset + limit
    else:
        found = browsing.find(matcher, replace(wanted, after=text_after(cursor)), limit=limit + 1)
        where = found[min(limit, len(found)) - 1].product.sku if found else ""
    return JSONResponse(
        {"items": [row(one) for one in found[:limit]], "next_cursor": cursor_of(where) if len(found) > limit else None}
    )


@router.post(
    "", status_code=201, response_model=ProductOut, openapi_extra=json_request(ProductIn),
    responses=problems(400, 409, 413, 415, 422, 503) | {201: {"headers": ETAG}},
)  # fmt: skip
async def create(request: Request, idempotency_key: IdempotencyKey = None) -> Any:
    """Add a product that is new, perhaps with pictures. For managers."""
    require("manager")
    asked = await json_body(request, ProductIn)
    pictures = [Upload(decoded(text, "photos", at), f"photos {at}") for at, text in enumerate(asked.photos)]
    product = Product(**asked.model_dump(exclude={"photos"}))

    def work(matcher: Matcher, again: bool) -> tuple[int, Any, dict[str, str]]:
        if not (again and browsing.product(matcher, product.cleaned().sku) == product.cleaned()):
            editing.add_product(matcher, product, pictures)
        return 201, *_shown(browsing.entry(matcher, product.cleaned().sku))

    return await once(request, idempotency_key, work, heavy=bool(pictures))


@router.post("/{sku:sku}/undelete", response_model=ProductOut, responses=problems(404, 409, 503))
async def undelete(request: Request, sku: str) -> Any:
    """Bring a removed product back, with the references that went with it. For managers."""
    require("manager")
    service: Service = request.state.service

    def work(matcher: Matcher) -> Response:
        editing.bring_back(matcher, sku)
        return _answer(200, browsing.entry(matcher, sku))

    answer: Response = await asyncio.wrap_future(service.change(work))
    return answer


@router.get(
    "/{sku:sku}",
    response_model=ProductOut,
    responses=problems(404, 422) | {200: {"headers": ETAG}, 304: {"description": "As known"}},
)
def get(request: Request, sku: str, if_none_match: IfNoneMatch = None) -> Any:
    """One product."""
    found = browsing.entry(request.state.service.matcher, sku)
    tag = etag(found)
    if if_none_match and tag in _tags(if_none_match):
        return Response(status_code=304, headers={"ETag": tag})
    return _answer(200, found)


@router.patch(
    "/{sku:sku}", response_model=ProductOut, openapi_extra=json_request(ProductPatch),
    responses=problems(400, 404, 409, 412, 413, 415, 422) | {200: {"headers": ETAG}},
)  # fmt: skip
async def patch(request: Request, sku: str, if_match: IfMatch = None) -> Any:
    """Change fields of a product; with `If-Match` only if it still is as it was seen. For managers."""
    require("manager")
    asked = await json_body(request, ProductPatch)
    matcher = request.state.service.matcher

    def work() -> Response:
        seen = browsing.entry(matcher, sku)
        _check_state(seen, if_match)
        try:
            editing.change_product(matcher, seen.product, patched(seen.product, asked))
        except EditConflict as error:
            raise stale(error) from None
        return _answer(200, browsing.entry(matcher, sku))

    return await run_in_threadpool(work)


@router.delete("/{sku:sku}", status_code=204, response_class=Response, responses=problems(404, 412, 422, 503))
async def delete(request: Request, sku: str, if_match: IfMatch = None) -> Response:
    """Take a product out with its references; `undelete` brings them back. For managers."""
    require("manager")
    service: Service = request.state.service

    def work(matcher: Matcher) -> Response:
        _check_state(browsing.entry(matcher, sku), if_match)
        editing.remove(matcher, sku)
        return Response(status_code=204)

    answer: Response = await asyncio.wrap_future(service.change(work))
    return answer


def row(found: Entry) -> dict[str, Any]:
    """A product as `retail-seg products` writes it."""
    one = found.product
    fields = {name: getattr(one, name) for name in ("sku", "name", "brand", "category", "gtin")}
    return {**fields, "attributes": dict(one.attributes), "references": found.references}


def etag(found: Entry) -> str:
    """The strong ETag of a product as it is shown."""
    return f'"{browsing.state_of(found)}"'


def patched(seen: Product, asked: ProductPatch) -> Product:
    """The product with what is asked to be different; a field that is null is emptied, an attribute that is goes."""
    given = asked.model_dump(exclude_unset=True)
    changes = given.pop("attributes", {}) or {}
    attributes = {key: value for key, value in (dict(seen.attributes) | changes).items() if value is not None}
    if "attributes" in asked.model_fields_set and asked.attributes is None:
        attributes = {}
    return replace(seen, **{name: value or "" for name, value in given.items()}, attributes=attributes)


def address(sku: str) -> str:
    """Where a product is found."""
    return f"/v1/products/{quote(sku, safe='')}"


def _shown(found: Entry) -> tuple[dict[str, Any], dict[str, str]]:
    return row(found), {"ETag": etag(found), "Location": address(found.product.sku)}


def _answer(status: int, found: Entry) -> Response:
    return JSONResponse(row(found), status, {"ETag": etag(found)})


def _tags(header: str) -> list[str]:
    """The ETags that a header names; a weak one is as good for a comparison."""
    return [tag.strip().removeprefix("W/") for tag in header.split(",")]


def _check_state(seen: Entry, if_match: str | None) -> None:
    if if_match is None or if_match.strip() == "*" or etag(seen) in _tags(if_match):
        return
    raise stale(EditConflict(f"{seen.product.sku} has been changed since you saw it; get it again, then change it"))
