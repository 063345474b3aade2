"""A span for each request, where OpenTelemetry is installed (extra `trace`) and its SDK set up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import Scope

#: What a span says of its request, by the names of OpenTelemetry's semantic conventions.
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
            span.set_attribute("retail_seg.request_id", state["request_id"])
