"""Idempotency-Key: a request that creates something, sent again because its answer was lost, is done once."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Header, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from catalogue.kept_answers import KeptAnswer
from retail_seg.store.once import once as done_once

if TYPE_CHECKING:
    from retail_seg.api.service import Service
    from retail_seg.matcher import Matcher

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="The same key with the same request is done once; its answer is kept for a day.",
    ),
]
#: Status, body and headers of what was created; hears whether it may have been made before, see `store.once`.
Creation = Callable[["Matcher", bool], tuple[int, Any, dict[str, str]]]


async def once(
    request: Request, key: str | None, work: Creation, *, asked: bytes = b"", heavy: bool = False
) -> Response:
    """The answer of `work`, done once for each key; `heavy` work, that embeds pictures, waits its turn.

    `asked` is what the request holds beside method, path and JSON body.
    """
    service: Service = request.state.service

    def do(matcher: Matcher) -> Response:
        if key is None:
            return _response(KeptAnswer(*work(matcher, False)), replayed=False)
        who = str(request.state.token)
        kept, replayed = done_once(matcher, who, key, digest, lambda one, again: KeptAnswer(*work(one, again)))
        return _response(kept, replayed=replayed)

    digest = await _digest(request, asked) if key else ""
    if heavy:
        return await asyncio.wrap_future(service.change(do))
    return await run_in_threadpool(do, service.matcher)


def _response(answer: KeptAnswer, *, replayed: bool) -> Response:
    headers = dict(answer.headers) | ({"Idempotency-Replayed": "true"} if replayed else {})
    return JSONResponse(answer.body, answer.status, headers)


async def _digest(request: Request, asked: bytes) -> str:
    """A hash of a request; a form's borders differ each time it is sent, so its parts are handed over."""
    found = hashlib.sha256(f"{request.method} {request.url.path}\n".encode())
    found.update(asked or await request.body())
    return found.hexdigest()
