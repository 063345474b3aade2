"""Old snapshots at an address taken away: chunks that no kept one needs, after a time in which shops may read them.

Chunks that are not needed are first written down with the time, in `unneeded.json` beside the head, and go with a later
sweep, when that is long enough ago: a shop that has read the former head fetches what it names in peace. What is needed
again meanwhile is struck off. Killed at any moment nothing is gone that a kept snapshot needs; the next sweep goes on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

from retail_seg.chain.remote import Remote
from retail_seg.chain.snapshot import Snapshot
from retail_seg.errors import ChainError

#: The list of what waits to be taken away, and what it may hold at most, in bytes.
UNNEEDED, _LIST_BYTES = "unneeded.json", 2**28
#: Seconds for which shops may go on to fetch what is not needed any more.
GRACE = 24 * 3600.0


@dataclass(frozen=True)
class Swept:
    """How many chunks were taken away, the bytes that they had there, and how many wait until their time is over."""

    removed: int
    freed: int
    waiting: int


def sweep(remote: Remote, latest: Snapshot, name: str, keep: int, grace: float = GRACE) -> Swept:
    """Take away what none of the last `keep` snapshots needs and did not need for `grace` seconds.

    `latest`, of that name, is the one of the head. Raises ChainError, with nothing taken away, where one of those that
    are kept is damaged: nobody knows what it needs.
    """
    head, stored = remote.head(), remote.stored()
    needed = set(_needed(remote, latest, name, keep, stored))
    now, before = time.time(), _listed(remote)
    unneeded = {one: before.get(one, now) for one in stored if one not in needed}
    if unneeded != before:
        remote.write_note(UNNEEDED, json.dumps(unneeded).encode())
    due = [one for one, since in unneeded.items() if now - since >= grace]
    if due:
        if remote.head() != head:
            raise ChainError(f"{remote.address}: another centre has published there just now; nothing was taken away")
        remote.remove(due)
        left = {one: since for one, since in unneeded.items() if one not in set(due)}
        remote.write_note(UNNEEDED, json.dumps(left).encode())
    return Swept(len(due), sum(stored[one] for one in due), len(unneeded) - len(due))


def _needed(remote: Remote, latest: Snapshot, name: str, keep: int, stored: dict[str, int]) -> Iterator[str]:
    """Names of all that the kept snapshots are made of, their lists included."""
    yield from (name, *(chunk.name for chunk in latest.chunks()))
    for number, former in latest.history[: max(keep - 1, 0)]:
        if former not in stored:
            continue  # a sweep that kept fewer has taken it
        try:
            snapshot = Snapshot.from_bytes(remote.named(former, stored[former]))
        except ChainError as error:
            raise ChainError(
                f"{remote.address}: snapshot {number} is to be kept and is damaged ({error}); nothing was taken away: "
                "keep fewer with --keep"
            ) from None
        yield from (former, *(chunk.name for chunk in snapshot.chunks()))


def _listed(remote: Remote) -> dict[str, float]:
    """What waits, and since when; a list that cannot be understood is none, and the time begins anew."""
    try:
        found = json.loads(remote.note(UNNEEDED, _LIST_BYTES) or b"{}")
        return {str(one): float(since) for one, since in dict(found).items()}
    except (ValueError, TypeError):
        return {}
