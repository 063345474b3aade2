"""Pages of at most 100 items, and the cursor that leads to the next: behind which item, or how many of a search."""

from __future__ import annotations

import base64
from typing import Annotated

from fastapi import Query

from retail_seg.api.limits import PAGE, TEXT
from retail_seg.api.problems import Rejection

Limit = Annotated[int, Query(ge=1, le=PAGE, description="Items on a page.")]
#: What is searched for, or narrows a list.
SearchText = Annotated[str, Query(max_length=TEXT)]
_TOLD = "`next_cursor` of the page before."
#: A number, and for lists by SKU also a text in base64 without the padding.
_NUMBER, _TEXT = "n[0-9]{1,15}", "t(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-]{2,3})?"
Cursor = Annotated[str, Query(max_length=16, pattern=f"^(?:{_NUMBER})?$", description=_TOLD)]
TextCursor = Annotated[str, Query(max_length=4 * TEXT, pattern=f"^(?:{_NUMBER}|{_TEXT})?$", description=_TOLD)]


def cursor_of(where: str | int) -> str:
    """A text for an address that leads behind `where`."""
    if isinstance(where, int):
        return f"n{where}"
    return "t" + base64.urlsafe_b64encode(where.encode()).decode().rstrip("=")


def text_after(cursor: str) -> str:
    """Behind which text a page begins, empty at the first; raises Rejection for a cursor of another list."""
    if not cursor.startswith("t") and cursor:
        raise _of_another_list()
    return base64.urlsafe_b64decode(cursor[1:] + "=" * (-len(cursor[1:]) % 4)).decode(errors="replace")


def number_after(cursor: str) -> int:
    """Behind which number a page begins, 0 at the first; raises Rejection for a cursor of another list."""
    if not cursor.startswith("n") and cursor:
        raise _of_another_list()
    return int(cursor[1:] or 0)


def _of_another_list() -> Rejection:
    places = ((("query", "cursor"), "is of another list"),)
    return Rejection("not-found", "cursor: there is no such page of this list; begin without one", places)
