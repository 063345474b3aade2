"""Answers to requests that create something, kept by the key that the asker gave: asked twice, it is done once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from catalogue.database import now
from catalogue.errors import CatalogueError
from catalogue.store import Catalogue

#: So long an answer is kept.
HOURS = 24


class KeyUsed(CatalogueError):
    """A key was given before, with another request."""


@dataclass(frozen=True)
class KeptAnswer:
    """What was answered; `status` is 0 where the work was begun and, as far as the file knows, never finished."""

    status: int
    body: Any
    headers: Mapping[str, str]


def begin(catalogue: Catalogue, who: str, key: str, asked: str) -> KeptAnswer | None:
    """What was answered to who gave this key, or None and the key is theirs from now on.

    `asked` is a hash of the request. Raises KeyUsed where it differs from what the key was given with.
    """
    with catalogue.change() as db:
        until = (datetime.now(UTC) - timedelta(hours=HOURS)).isoformat(timespec="milliseconds")
        db.execute("DELETE FROM kept_answers WHERE at < ?", [until])
        sql = "SELECT asked, status, body, headers FROM kept_answers WHERE who = ? AND key = ?"
        row = db.execute(sql, [who, key]).fetchone()
        if row is None:
            sql = "INSERT INTO kept_answers (who, key, asked, status, body, headers, at) VALUES (?, ?, ?, 0, '', '', ?)"
            db.execute(sql, [who, key, asked, now()])
            return None
    if row[0] != asked:
        raise KeyUsed("the Idempotency-Key was given with another request; give each request a key of its own")
    if not row[1]:
        return KeptAnswer(0, None, {})
    return KeptAnswer(int(row[1]), json.loads(row[2]), json.loads(row[3]))


def finish(catalogue: Catalogue, who: str, key: str, answer: KeptAnswer) -> None:
    """Keep the answer to what was begun."""
    with catalogue.change() as db:
        db.execute(
            "UPDATE kept_answers SET status = ?, body = ?, headers = ? WHERE who = ? AND key = ?",
            [answer.status, json.dumps(answer.body), json.dumps(dict(answer.headers)), who, key],
        )


def forget(catalogue: Catalogue, who: str, key: str) -> None:
    """Let a key be given again: what was begun with it was refused."""
    with catalogue.change() as db:
        db.execute("DELETE FROM kept_answers WHERE who = ? AND key = ? AND status = 0", [who, key])
