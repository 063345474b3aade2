"""The gate before every request: its number, who asks, how often, how much they send; and the log's line after it."""

from __future__ import annotations

import logging
import re
import time
import uuid
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect

from retail_seg.api.limits import DROPPED_BYTES, DROPPED_SECONDS, body_limit
from retail_seg.api.problems import Rejection, rejection_of, unforeseen
from retail_seg.api.tracing import spanned, tracer
from retail_seg.people.roles import Person, acting_as
from retail_seg.people.tokens import Token, find_token

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from retail_seg.api.service import Service

#: Answered without a token: whether it lives, and what can be asked.
OPEN = ("/v1/health", "/v2/health/live", "/v2/health/ready", "/openapi.json", "/docs", "/docs/oauth2-redirect")
#: Who asks there: nobody, who may only look.
NOBODY = Person("", "viewer")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LOG = logging.getLogger("retail_seg.access")


class Gate:
    """ASGI middleware around the whole app."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service, self._tracer = app, service, tracer()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        asked = headers.get("x-request-id", "")
        number = asked if _ID.fullmatch(asked) else uuid.uuid4().hex
        state: dict[str, Any] = scope.setdefault("state", {})
        state |= {"request_id": number, "service": self._service}
        start, tally = time.perf_counter(), _Tally(send, number)
        try:
            with spanned(self._tracer, scope):
                await self._answer(scope, headers, receive, tally)
                state["status"] = tally.status
        finally:
            self._service.metrics.answered(scope, tally.status, time.perf_counter() - start)
            _log(scope, tally.status, time.perf_counter() - start)

    async def _answer(self, scope: Scope, headers: dict[str, str], receive: Receive, tally: _Tally) -> None:
        try:
            await self._pass(scope, headers, receive, tally)
        except ClientDisconnect:
            scope["state"]["problem"] = "gone"  # who asked has gone: nobody hears an answer
        except Exception as error:
            if tally.status:  # half an answer is out: the connection breaks, which the caller can see
                raise
            refusal = rejection_of(error) or unforeseen(error, scope["state"]["request_id"])
            await _refuse(refusal, scope, receive, tally)

    async def _pass(self, scope: Scope, headers: dict[str, str], receive: Receive, send: Send) -> None:
        person = NOBODY if scope["path"] in OPEN else self._person(headers, scope)
        limit = body_limit(scope["path"], headers.get("content-type", ""))
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > limit:
            raise _too_large(limit)
        self._service.admit(scope)
        held = int(length) if length.isdigit() else limit if "transfer-encoding" in headers else 0
        with self._service.holding(scope, held), acting_as(person):
            await self._app(scope, _bounded(receive, limit), send)

    def _person(self, headers: dict[str, str], scope: Scope) -> Person:
        kind, _, text = headers.get("authorization", "").partition(" ")
        token = find_token(self._service.store, text.strip()) if kind.lower() == "bearer" else None
        if token is None:
            raise _token_needed(bool(text))
        self._service.uses.note(token)
        scope["state"] |= {"token": token.id, "who": token.name}
        self._check_rate(token)
        return token.person

    def _check_rate(self, token: Token) -> None:
        seconds = self._service.rates.wait(token.id)
        if seconds:
            after = max(1, round(seconds + 0.5))
            raise Rejection(
                "too-often", f"{token.name} asks too often; wait {after} s", headers={"Retry-After": str(after)}
            )


class _Tally:
    """Sends on, and keeps the status; every answer carries the request's number and is no page to be guessed at."""

    def __init__(self, send: Send, number: str) -> None:
        self._send, self._number, self.status = send, number, 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            more = [(b"x-request-id", self._number.encode()), (b"x-content-type-options", b"nosniff")]
            message = {**message, "headers": [*message["headers"], *more]}
        await self._send(message)


def _token_needed(given: bool) -> Rejection:
    what = "The token is unknown, revoked or expired" if given else "No token was given"
    detail = f"{what}; send `Authorization: Bearer TOKEN`, made with `retail-seg token add NAME --role ROLE`"
    return Rejection("token-needed", detail, headers={"WWW-Authenticate": "Bearer"})


def _too_large(limit: int) -> Rejection:
    return Rejection("too-large", f"The body is larger than the {limit:,} bytes taken here (20 MB a photo); send less")


def _bounded(receive: Receive, limit: int) -> Receive:
    """Receives until a body is larger than allowed, whatever its head said."""
    taken = 0

    async def bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > limit:
            raise _too_large(limit)
        return message

    return bounded


async def _refuse(refusal: Rejection, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer at once; what is still being sent is read and dropped, for a sender who is cut off hears no answer."""
    waiting: list[Message] = []

    async def hold_end(message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body"):
            waiting.append(message)
            message = {**message, "more_body": True}
        await send(message)

    await refusal.response(scope)(scope, receive, hold_end)
    dropped, until = 0, time.monotonic() + DROPPED_SECONDS
    while dropped < DROPPED_BYTES and time.monotonic() < until:
        message = await receive()
        dropped += len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            break
    for _ in waiting:
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _log(scope: Scope, status: int, seconds: float) -> None:
    """One line a request: never a token, a photo, or what stands behind the path's question mark."""
    state = scope["state"]
    _LOG.info(
        "%s %s %s", scope["method"], scope["path"], status,
        extra={
            "request_id": state["request_id"], "method": scope["method"], "path": scope["path"], "status": status,
            "seconds": round(seconds, 4), "who": state.get("who", ""), "problem": state.get("problem", ""),
        },
    )  # fmt: skip
