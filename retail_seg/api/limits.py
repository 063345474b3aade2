"""What is taken from outside at most; stated in the OpenAPI document and tested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: Bytes of one photo's file.
PHOTO_BYTES = 20 * 10**6
#: Bytes that an encoding may add around a photo: the form's fields and borders.
AROUND = 64 * 1024
#: Bytes of any other body in JSON.
JSON_BYTES = 10**6
#: Photos in one request that gives a product pictures, and bytes of such a request.
PHOTOS, PHOTOS_BYTES = 20, 64 * 10**6
#: Bytes of a file to import; the room that looks uploads through has the same limit.
IMPORT_BYTES = 200 * 2**20
#: Items on a page.
PAGE = 100
#: Characters of a cursor, a key or another text in a header or address.
TEXT = 512
#: Bytes of a refused body that are read and dropped, and seconds spent on it, so that its sender hears the refusal.
DROPPED_BYTES, DROPPED_SECONDS = 256 * 2**20, 10.0


#: Seconds that a photo waits at most before it is scanned, a shelf before it is checked, and what takes milliseconds:
#: a picture before it is named, a change before it is made.
LONGEST = {"scan": 10.0, "check": 20.0, "match": 2.0, "change": 2.0}


@dataclass(frozen=True)
class Capacity:
    """What one server takes on.

    rate     requests a second of one token, twice as many in a burst; 0: no limit
    waiting  photos to scan that may wait, shelves to check, changes that embed pictures, and four times as many
             pictures to name; more are refused with 503
    longest  seconds that what is asked (scan, check, match, change) may be expected to wait; else it is refused, too
    bodies   bytes of bodies that are held in memory at once
    batch    photos that are scanned together; sixteen times as many pictures are named together
    threads  requests that read the catalogue at once; each thread has a connection with a cache of 16 MB
    moment   seconds that a batch waits for more
    patience seconds that a server which is told to end gives what it took
    """

    rate: float = 100.0
    waiting: int = 32
    longest: Mapping[str, float] = field(default_factory=lambda: LONGEST)
    bodies: int = 400 * 10**6
    batch: int = 1
    threads: int = 8
    moment: float = 0.004
    patience: float = 30.0

    @property
    def room(self) -> dict[str, int]:
        """How many of what may wait."""
        return {"scan": self.waiting, "check": self.waiting, "match": 4 * self.waiting, "change": self.waiting}

    @property
    def together(self) -> dict[str, int]:
        """How many of what are answered together: whole photos take memory, crops gain by it."""
        return {"scan": self.batch, "match": 16 * self.batch, "change": 8}


def body_limit(path: str, media_type: str) -> int:
    """Bytes that the body of a request to this path may have: a form has a photo as it is, JSON in base64."""
    if path in ("/v1/scan", "/v1/match") or path.endswith("/infer"):
        return (PHOTO_BYTES if media_type.startswith("multipart/") else PHOTO_BYTES * 4 // 3) + AROUND
    if path == "/v1/imports":
        return IMPORT_BYTES + AROUND
    if path in ("/v1/products", "/v1/checks") or path.endswith("/references"):
        return PHOTOS_BYTES + AROUND
    return JSON_BYTES
