"""The client of `retail-seg serve`: the calls of `Matcher` over HTTP, with nothing but Python's own library."""

from __future__ import annotations

import base64
import json
import os
import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote, urlsplit

from retail_seg.errors import PhotoError, RetailSegError
from retail_seg.report import Identification, Report

if TYPE_CHECKING:
    import numpy as np

    from catalogue import Product

    #: A picture: a path, the bytes of a file, an open file or an RGB uint8 array (H, W, 3).
    Source = str | os.PathLike[str] | bytes | BinaryIO | np.ndarray

#: Answers after which a request is sent again: too often, too much, and what a proxy says of a server that restarts.
AGAIN = (429, 502, 503, 504)
_JSON = "application/json"


class ApiError(RetailSegError):
    """The server refused a request: `status`, and `type`, `detail` and `errors` of its problem (RFC 9457)."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.type = str(problem.get("type", ""))
        self.detail = str(problem.get("detail", "")) or f"the server answered {status}"
        self.errors: list[dict[str, Any]] = list(problem.get("errors", []))
        self.request_id = str(problem.get("instance", ""))
        super().__init__(self.detail)


class Unreachable(RetailSegError):
    """No server answers at the address."""


class Client:
    """A store behind `retail-seg serve`.

    >>> client = Client("http://localhost:8000", token)
    >>> client.scan("shelf.jpg").counts

    `timeout` is of one attempt, in seconds; a request is sent at most `attempts` times: again where the server says
    that it is busy (after as long as its `Retry-After` asks) or does not answer. Safe to use from several threads.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout: float = 120.0,
        attempts: int = 6,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Unreachable(f"{url}: is no address of a server; give one like http://localhost:8000")
        self._parts, self._token = parts, token
        self._timeout, self._attempts, self._sleep = timeout, max(attempts, 1), sleep

    # -- the calls of Matcher

    def scan(
        self,
        photo: Source,
        *,
        name: str | None = None,
        top: int = 5,
        side: int | None = None,
        only: Sequence[str] = (),
    ) -> Report:
        """Which products a photo shows, how many and where. Raises ApiError for a photo that cannot be read.

        `only` names what can be there: `category=NAME`, `brand=NAME`, `sku=NUMBER`.
        """
        data, known = _read(photo)
        asked = {"photo": _text(data), "name": name or known, "top": top, "only": list(only)}
        return Report.from_dict(self.ask("POST", "/v1/scan", asked | ({} if side is None else {"side": side})))

    def match(
        self,
        crops: Sequence[Source],
        *,
        top: int = 5,
        only: Sequence[str] = (),
    ) -> list[Identification]:
        """What each crop is; a crop is a picture of one product."""
        return [self._match(crop, top, only) for crop in crops]

    def _match(self, crop: Any, top: int, only: Sequence[str]) -> Identification:
        data, known = _read(crop)
        asked = {"photo": _text(data), "name": known, "top": top, "only": list(only)}
        return Identification.from_dict(self.ask("POST", "/v1/match", asked))

    def enrol(
        self,
        product: Product,
        pictures: Sequence[Source],
    ) -> list[int]:
        """Add or update a product with reference pictures; returns the ids of those that are new to it.

        A picture that the product already has is passed over. Raises ApiError for one that cannot be used.
        """
        photos = [_text(_read(picture)[0]) for picture in pictures]
        fields = {name: getattr(product, name) for name in ("name", "brand", "category", "gtin")}
        fields |= {"attributes": dict(product.attributes)}
        try:
            self.ask("POST", "/v1/products", {"sku": product.sku, **fields, "photos": photos}, once=True)
        except ApiError as error:
            if error.status != 409:
                raise
            return self._update(product.sku, fields, photos)
        return [one["id"] for one in self._references(product.sku)]

    def _update(self, sku: str, fields: dict[str, Any], photos: Sequence[str]) -> list[int]:
        added: list[int] = []
        if photos:
            try:
                found = self.ask("POST", f"{_address(sku)}/references", {"photos": list(photos)}, once=True)
                added = [one["reference_id"] for one in found["references"] if one["reference_id"] is not None]
            except ApiError as error:
                if error.status != 409:  # the product has all of them
                    raise
        gone = dict.fromkeys(self.ask("GET", _address(sku))["attributes"])
        self.ask("PATCH", _address(sku), fields | {"attributes": gone | fields["attributes"]})
        return added

    def _references(self, sku: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None:
            page = self.ask("GET", f"{_address(sku)}/references?cursor={cursor}")
            found += page["items"]
            cursor = page["next_cursor"]
        return found

    # -- any other call

    def ask(self, method: str, path: str, body: Any = None, *, once: bool = False) -> Any:
        """What the server answers to a request, its JSON as values; `once` sends a key, so that it is done once.

        Raises ApiError where it refuses, Unreachable where nobody answers.
        """
        headers = {"Authorization": f"Bearer {self._token}", "Accept": _JSON}
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = _JSON
        if once:
            headers["Idempotency-Key"] = uuid.uuid4().hex
        repeatable = method != "POST" or once or path in ("/v1/scan", "/v1/match")
        for attempt in range(self._attempts):
            last = attempt == self._attempts - 1
            try:
                status, answer, wait = self._send(method, path, data, headers)
            except (OSError, HTTPException) as error:
                if last or not repeatable:
                    raise Unreachable(
                        f"{self._parts.netloc}: no server answers ({error or type(error).__name__})"
                    ) from None
                status, answer, wait = 0, b"", None
            if 200 <= status < 300:
                return json.loads(answer) if answer else None
            if status and (status not in AGAIN or last):
                raise ApiError(status, _problem(answer))
            self._sleep(_pause(attempt, wait))
        raise AssertionError("the last attempt returns or raises")

    def _send(
        self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes, str | None]:
        kind = HTTPSConnection if self._parts.scheme == "https" else HTTPConnection
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=self._timeout)
        try:
            connection.request(method, self._parts.path.rstrip("/") + path, data, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers.get("Retry-After")
        finally:
            connection.close()


def _pause(attempt: int, retry_after: str | None) -> float:
    """Seconds to wait: as long as the server asks, else twice as long each time; a bit more, so that not all come at
    once.
    """
    asked = float(retry_after) if retry_after and retry_after.isdigit() else 0.25 * 2**attempt
    return min(asked, 60.0) * (1 + 0.25 * random.random())


def _problem(answer: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(answer)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _address(sku: str) -> str:
    return f"/v1/products/{quote(sku, safe='')}"


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _read(source: Any) -> tuple[bytes, str]:
    """A picture's file and its name; an array becomes a PNG, for which OpenCV is imported."""
    if isinstance(source, bytes):
        return source, "photo"
    if isinstance(source, (str, os.PathLike)):
        try:
            return Path(source).read_bytes(), str(source)[:1000]
        except OSError as error:
            raise PhotoError(f"{source}: cannot be read ({error.strerror or error}); check the path") from None
    if hasattr(source, "read"):
        return source.read(), Path(str(getattr(source, "name", "photo"))).name
    from retail_seg.photos.load import encode_png

    return encode_png(source), "photo"
