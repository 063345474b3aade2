"""The FastAPI app of one store: routes, errors, the gate before them, and the document that describes them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from retail_seg import __version__
from retail_seg.api import health, imports, inference, openapi, photos, problems, products, references, scans, shelf
from retail_seg.api.gate import Gate

if TYPE_CHECKING:
    from retail_seg.api.service import Service

ABOUT = """Which products are in a photo of groceries, how many, and where.

Boxes are `xywh`: left, top, width and height in pixels of the upright photo. A photo has at most 20 MB and 100 million
pixels. Errors are problem details (RFC 9457) whose `type` is stable. Tokens are made with `retail-seg token add`.
"""


def build(service: Service) -> FastAPI:
    """The app; it closes the service when it ends."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        current_default_thread_limiter().total_tokens = service.capacity.threads
        yield
        await run_in_threadpool(service.close)

    app = FastAPI(
        title="retail-seg", version=__version__, description=ABOUT, lifespan=lifespan, redoc_url=None,
        redirect_slashes=False,
    )  # fmt: skip
    # References before products: a product's path takes all that is left of an address, for SKUs may hold slashes.
    for one in (photos, references, products, imports, scans, shelf, inference, health):
        app.include_router(one.router)
    problems.install(app)
    app.openapi = lambda: openapi.document(app)  # type: ignore[method-assign]
    app.add_middleware(Gate, service=service)
    return app
