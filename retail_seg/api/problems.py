"""What goes wrong ► problem details (RFC 9457): a stable type, a status, one sentence, and the place where it is."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from catalogue.errors import (
    EditConflict,
    GtinError,
    UndoError,
    UnknownCheck,
    UnknownPlan,
    UnknownProduct,
    UnknownReference,
    UnknownScan,
)
from catalogue.kept_answers import KeyUsed
from retail_seg.errors import PhotoError, StoreError
from retail_seg.people.roles import NotAllowed
from retail_seg.products.import_jobs import TooManyImports, UnknownImport
from retail_seg.store.once import InHand
from retail_seg.system.batching import Busy
from retail_seg.system.user_errors import USER_ERRORS

if TYPE_CHECKING:
    from starlette.types import Scope

MEDIA_TYPE = "application/problem+json"
#: Before the name of each kind of problem: a name, not an address.
URN = "urn:retail-seg:problem:"
_LOG = logging.getLogger(__name__)

#: Name ► status and title.
KINDS = {
    "bad-request": (400, "The request cannot be read"),
    "token-needed": (401, "A token is needed"),
    "role-needed": (403, "The token's role does not suffice"),
    "not-found": (404, "There is no such thing"),
    "method-not-allowed": (405, "This cannot be done here"),
    "duplicate": (409, "It is there already"),
    "conflict": (409, "It cannot be done as things are"),
    "in-hand": (409, "The same request is being worked on"),
    "key-used": (422, "The Idempotency-Key belongs to another request"),
    "stale": (412, "It has been changed meanwhile"),
    "too-large": (413, "The body is too large"),
    "media-type": (415, "The body is of a kind that is not taken"),
    "invalid": (422, "A value cannot be used"),
    "photo-unusable": (422, "The photo cannot be used"),
    "too-often": (429, "The token is used too often"),
    "program-error": (500, "An error of the program"),
    "busy": (503, "Too much is asked at once"),
}
#: What the rooms raise ► the kind of problem that it is; the first that fits counts.
RAISED: tuple[tuple[type[Exception], str], ...] = (
    (PhotoError, "photo-unusable"),
    (NotAllowed, "role-needed"),
    (UnknownProduct, "not-found"),
    (UnknownReference, "not-found"),
    (UnknownScan, "not-found"),
    (UnknownPlan, "not-found"),
    (UnknownCheck, "not-found"),
    (EditConflict, "duplicate"),
    (UndoError, "conflict"),
    (UnknownImport, "not-found"),
    (KeyUsed, "key-used"),
    (InHand, "in-hand"),
    (Busy, "busy"),
    (TooManyImports, "busy"),
)
#: Which part of a request an error of the rooms is about, where it is a value.
PLACES: tuple[tuple[type[Exception], tuple[str, ...]], ...] = (
    (PhotoError, ("body", "photo")),
    (GtinError, ("body", "gtin")),
    (StoreError, ("body", "only")),
    (KeyUsed, ("header", "Idempotency-Key")),
)
_BY_STATUS = {400: "bad-request", 404: "not-found", 405: "method-not-allowed", 413: "too-large", 415: "media-type"}


@dataclass(eq=False)
class Rejection(Exception):
    """A request that is refused: a key of KINDS, the sentence, the places, and headers of the answer."""

    kind: str
    detail: str
    errors: tuple[tuple[tuple[str | int, ...], str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self, scope: Scope) -> Response:
        """The answer to the request of this scope."""
        status, title = KINDS[self.kind]
        scope.setdefault("state", {})["problem"] = self.kind
        body: dict[str, Any] = {
            "type": URN + self.kind,
            "title": title,
            "status": status,
            "detail": self.detail,
            "instance": scope["state"].get("request_id", ""),
        }
        if self.errors:
            body["errors"] = [{"place": list(place), "message": message} for place, message in self.errors]
        return JSONResponse(body, status, dict(self.headers), MEDIA_TYPE)


def rejection_of(error: Exception) -> Rejection | None:
    """What a person can mend, as a refusal; None for what nobody foresaw."""
    if isinstance(error, Rejection):
        return error
    if isinstance(error, (RequestValidationError, ValidationError)):
        return invalid(error)
    if isinstance(error, HTTPException):
        kind = _BY_STATUS.get(error.status_code, "bad-request")
        return Rejection(kind, str(error.detail), headers=error.headers or {})
    if not isinstance(error, USER_ERRORS):
        return None
    kind = next((kind for raised, kind in RAISED if isinstance(error, raised)), "invalid")
    headers = {"Retry-After": str(getattr(error, "seconds", 30))} if kind == "busy" else {}
    place = next((place for raised, place in PLACES if isinstance(error, raised)), ("body",))
    places = ((place, str(error)),) if KINDS[kind][0] == 422 else ()
    return Rejection(kind, str(error), places, headers)


def invalid(error: RequestValidationError | ValidationError, *before: str | int) -> Rejection:
    """A refusal that names every place that is wrong; what stands there is not repeated, it may be a photo."""
    places = tuple(((*before, *one["loc"]), one["msg"]) for one in error.errors())
    first = ".".join(str(part) for part in places[0][0])
    more = f" (and {len(places) - 1} more)" if len(places) > 1 else ""
    return Rejection("invalid", f"{first}: {places[0][1]}{more}", places)


def stale(error: Exception) -> Rejection:
    """The refusal of a change to something that is not as it was seen."""
    return Rejection("stale", str(error))


def install(app: FastAPI) -> None:
    """Let the app answer all errors as problem details."""

    async def answer(request: Request, error: Exception) -> Response:
        found = rejection_of(error) or unforeseen(error, request.state.request_id)
        if found.kind == "method-not-allowed":
            found.headers = {"Allow": ", ".join(_allowed(app, request))}
        return found.response(request.scope)

    for kind in (Rejection, RequestValidationError, ValidationError, HTTPException, *USER_ERRORS):
        app.add_exception_handler(kind, answer)


def _allowed(app: FastAPI, request: Request) -> list[str]:
    """The methods of all routes at a path; Starlette names those of the first alone."""
    found: set[str] = set()
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
        scope = {**request.scope, "method": method}
        if any(route.matches(scope)[0] is Match.FULL for route in app.routes):
            found.add(method)
    return sorted(found)


def unforeseen(error: Exception, request_id: str) -> Rejection:
    """What nobody foresaw: in full in the log, a sentence for who asked."""
    _LOG.error("request %s failed", request_id, exc_info=error)
    kind = type(error).__name__
    return Rejection(
        "program-error",
        f"This did not work because of an error of the program ({kind}); what was acknowledged is safe. Try again; if "
        f"it comes again, tell the manager of this store the request's number",
    )
