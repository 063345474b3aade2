"""A span for each request and below it one for each stage of its answer, where OpenTelemetry is installed (extra
`trace`) and its SDK set up.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import Scope

#: What a span says of its request, by the names of OpenTelemetry's semantic conventions.
REQUEST_ID = "retail_seg.request_id"
NAMES = {"method": "http.request.method", "route": "http.route", "status": "http.response.status_code"}


def tracer() -> Any:
    """OpenTelemetry's tracer for this program, None where the package is not installed."""
    try:
        from opentelemetry import trace
    except ModuleNotFoundError:
        return None
    return trace.get_tracer("retail_seg")


@contextmanager
def spanned(tracer: Any, scope: Scope) -> Iterator[None]:
    """One request as a span, named by its route as soon as that is known; it holds no photo, no token and no SKU."""
    if tracer is None:
        yield
        return
    with tracer.start_as_current_span(scope["method"]) as span:
        try:
            yield
        finally:
            state, route = scope["state"], getattr(scope.get("route"), "path_format", "")
            span.update_name(f"{scope['method']} {route}".strip())
            found = {"method": scope["method"], "route": route, "status": state.get("status", 0)}
            for name, value in found.items():
                span.set_attribute(NAMES[name], value)
            span.set_attribute(REQUEST_ID, state["request_id"])


def here() -> Any:
    """The span that is open where this is called, as a context for spans below it; None without OpenTelemetry."""
    try:
        from opentelemetry import context
    except ModuleNotFoundError:
        return None
    return context.get_current()


def stage_spans(tracer: Any, stage: str, seconds: float, asked: Iterable[tuple[Any, str]]) -> None:
    """A stage that ends now and took so long, as a span below that of each request that it was done for.

    `asked` has `here()` and number of each request; what was answered together has spans of the same time.
    """
    if tracer is None:
        return
    end, requests = time.time_ns(), list(asked)
    for context, number in requests:
        attributes = {REQUEST_ID: number, "retail_seg.batch": len(requests)}
        span = tracer.start_span(stage, context, attributes=attributes, start_time=end - int(seconds * 1e9))
        span.end(end)
