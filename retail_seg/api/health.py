"""`/v1/health`, the liveness and readiness of the Open Inference Protocol, and `/metrics`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from retail_seg.api.schemas import HealthOut
from retail_seg.api.service import Service
from retail_seg.products import browsing

router = APIRouter(tags=["health"])


@router.get("/v1/health", response_model=HealthOut)
def health(request: Request) -> Any:
    """Whether the server answers, and what with; no token is needed."""
    service: Service = request.state.service
    matcher = service.matcher
    versions = matcher.versions(segmented=False)
    queue = {kind: {"waiting": service.work.depth(kind), "most": most} for kind, most in service.capacity.room.items()}
    found = {
        "status": "closing" if service.closing else "ok",
        **versions,
        "products": browsing.count_products(matcher),
        "references": browsing.count_references(matcher),
        "queue": queue,
    }
    return JSONResponse(found)


@router.get("/v2/health/live", response_class=Response)
def live() -> Response:
    """Whether the server lives (Open Inference Protocol)."""
    return Response()


@router.get("/v2/health/ready", response_class=Response, responses={503: {"description": "Not yet, or no more"}})
def ready(request: Request) -> Response:
    """Whether the networks are loaded and new requests are taken (Open Inference Protocol)."""
    service: Service = request.state.service
    return Response(status_code=200 if service.ready else 503, headers={} if service.ready else {"Retry-After": "2"})


@router.get(
    "/metrics", response_class=Response, responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
)
def metrics(request: Request) -> Any:
    """The server's numbers in Prometheus' text format."""
    service: Service = request.state.service
    return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")
