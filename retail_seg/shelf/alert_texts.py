"""Alerts in words: the JSON of a webhook, an e-mail, rows of a CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.message import EmailMessage
from email.utils import localtime
from typing import Any

from catalogue.alerts import Alert
from catalogue.records import clean_text
from retail_seg.report import safe_cell

#: Findings that one e-mail lists; it says how many more there are.
LISTED = 200
CSV_COLUMNS = (
    "alert", "taken", "shop", "fixture", "shelf", "position", "sku", "name", "kind", "probability", "text", "cause",
    "action", "cost", "task", "check",
)  # fmt: skip
#: What a target is told when it is tried out.
EXAMPLE = Alert(
    0, "", 0, "waiting", 0, "", "", "", 0, "example", "2026-01-01T00:00:00+00:00",
    {"kind": "empty", "fixture": "example", "shelf": 1, "position": 1, "sku": "example", "name": "An example",
     "probability": 1.0, "text": "An example is missing at shelf 1, position 1", "action": "refill"},
)  # fmt: skip


def row_of(alert: Alert) -> dict[str, Any]:
    """A finding with where and when it was seen, as JSON-able values."""
    return {
        **alert.details,
        "alert": alert.id,
        "task": alert.task,
        "check": alert.check,
        "shop": alert.shop,
        "taken": alert.taken,
    }


def as_json(kind: str, alerts: Sequence[Alert], moment: datetime) -> bytes:
    """The body of a webhook: `type` ("shelf.finding", "shelf.digest", "shelf.test"), `timestamp` and `data`.

    `data` is the finding, of a digest {"findings": [...]}.
    """
    rows = [row_of(alert) for alert in alerts]
    data = {"findings": rows} if kind == "shelf.digest" else rows[0]
    value = {"type": kind, "timestamp": moment.isoformat(timespec="seconds"), "data": data}
    return json.dumps(value, ensure_ascii=False).encode()


def as_mail(sender: str, to: Sequence[str], alerts: Sequence[Alert], id: str) -> EmailMessage:
    """An e-mail with a line per finding, the dearest first, by shop and fixture."""
    message = EmailMessage()
    message["From"], message["To"] = sender, ", ".join(to)
    message["Subject"] = _subject(alerts)
    message["Date"] = localtime()
    message["Message-ID"] = f"<{id}@{sender.rpartition('@')[2]}>"  # the same each time: a mailbox shows it once
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("\n".join(_lines(alerts)) + "\n")
    return message


def _subject(alerts: Sequence[Alert]) -> str:
    if len(alerts) == 1:
        return clean_text(f"{alerts[0].details['fixture']}: {alerts[0].details['text']}")[:150]
    fixtures = sorted({str(alert.details["fixture"]) for alert in alerts})
    where = f"{len(fixtures)} fixtures" if len(fixtures) > 1 else fixtures[0]
    return clean_text(f"{len(alerts)} findings on {where}")[:150]


def _lines(alerts: Sequence[Alert]) -> list[str]:
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for alert in alerts[:LISTED]:
        groups.setdefault((alert.shop, str(alert.details["fixture"])), []).append(row_of(alert))
    lines = []
    for (shop, fixture), rows in sorted(groups.items()):
        lines += ["", f"{fixture} in {shop}" if shop else fixture]
        lines += [_line(row) for row in sorted(rows, key=lambda row: -float(row.get("cost") or 0))]
    more = len(alerts) - LISTED
    return [*lines[1:], *(["", f"and {more} more; see the app's page Shelves"] if more > 0 else [])]


def _line(row: Mapping[str, Any]) -> str:
    todo = " ".join(f"{row[name]}{end}" for name, end in (("action", ":"), ("why", "")) if row.get(name))
    cost = f", about {row['cost']:g}" if row.get("cost") else ""
    return clean_text(f"- {row['text']} ({row['probability']:.0%} sure{cost}). {todo} Task {row['task']}.")


def as_csv(alerts: Sequence[Alert], *, header: bool) -> str:
    """A row per finding; no cell can start a formula in a spreadsheet."""
    table = io.StringIO()
    writer = csv.writer(table)
    if header:
        writer.writerow(CSV_COLUMNS)
    for alert in alerts:
        row = row_of(alert)
        cells = [row.get(name, "") for name in CSV_COLUMNS]
        writer.writerow([safe_cell(cell) if isinstance(cell, str) else cell for cell in cells])
    return table.getvalue()
