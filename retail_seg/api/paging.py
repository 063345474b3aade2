"""Pages of at most 100 items, and the cursor that leads to the next: where the last page ended, not how far it was."""

from __future__ import annotations

import base64
import json
from typing import Annotated, Any

from fastapi import Query

from retail_seg.api.limits import PAGE, TEXT
from retail_seg.api.problems import Refusal

Limit = Annotated[int, Query(ge=1, le=PAGE, description="Items on a page.")]
Cursor = Annotated[
    str, Query(max_length=4 * TEXT, pattern=r"^[A-Za-z0-9_-]*$", description="`next_cursor` of the page before.")
]


def cursor_of(where: str | int) -> str:
    """A text for an address that leads behind `where`."""
    return base64.urlsafe_b64encode(json.dumps(where).encode()).decode().rstrip("=")


def text_after(cursor: str) -> str:
    """Behind which text a page begins, empty at the first; raises Refusal for a cursor that is none."""
    where = _where(cursor) if cursor else ""
    if not isinstance(where, str):
        raise _no_cursor()
    return where


def number_after(cursor: str) -> int:
    """Behind which number a page begins, 0 at the first; raises Refusal for a cursor that is none."""
    where = _where(cursor) if cursor else 0
    if type(where) is not int or not 0 <= where < 2**53:
        raise _no_cursor()
    return where


def _where(cursor: str) -> Any:
    try:
        return json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, RecursionError):
        raise _no_cursor() from None


def _no_cursor() -> Refusal:
    places = ((("query", "cursor"), "is no cursor"),)
    return Refusal("invalid", "cursor: is none that a page gave; begin without one", places)
