"""What creates something is done once, however often a script asks: by the key that it gives with its request."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from catalogue import kept_answers
from catalogue.kept_answers import KeptAnswer
from retail_seg.errors import RetailSegError
from retail_seg.people.roles import require

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher

#: Does the work; `again` says that it may have been done before, by a process that ended before it could say so.
Work = Callable[["Matcher", bool], KeptAnswer]

_in_hand: set[tuple[str, str, str]] = set()
_lock = threading.Lock()


class InHand(RetailSegError):
    """The same request is being worked on at this moment."""


def once(matcher: Matcher, who: str, key: str, asked: str, work: Work) -> tuple[KeptAnswer, bool]:
    """The answer of `work`, and whether it is one that was given before; kept for a day when the work is done.

    `who` and `key` name the request, `asked` is a hash of it. What the work raises is not kept. Raises KeyUsed where
    the key was given with another request, InHand where the work is going on.
    """
    require("staff")
    mark = (matcher.identity, who, key)
    with _lock:
        if mark in _in_hand:
            raise InHand("a request with this Idempotency-Key is being worked on; ask again for its answer")
        _in_hand.add(mark)
    try:
        known = kept_answers.begin(matcher.catalogue, who, key, asked)
        if known is not None and known.status:
            return known, True
        return _done(matcher, who, key, lambda: work(matcher, known is not None)), False
    finally:
        with _lock:
            _in_hand.discard(mark)


def _done(matcher: Matcher, who: str, key: str, work: Callable[[], KeptAnswer]) -> KeptAnswer:
    try:
        made = work()
    except Exception:
        kept_answers.forget(matcher.catalogue, who, key)
        raise
    kept_answers.finish(matcher.catalogue, who, key, made)
    return made
