"""Findings by e-mail and as rows of a CSV."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from alert_servers import HERE, Post, later, serving
from shelf_helpers import kept

from retail_seg.errors import AlertError
from retail_seg.matcher import Matcher
from retail_seg.shelf import alerts


def test_an_email_lists_what_was_found(matcher: Matcher) -> None:
    with serving(Post()) as post:
        server = f"smtp+plain://localhost:{post.server_address[1]}"
        people = ["ann@shop.example", "bad@shop.example"]
        alerts.set_email(matcher, "mail", people, server, "seg@shop.example", private=HERE)
        kept(matcher, "eleo", shop="North")
        told = alerts.send_due(matcher)
        assert told.sent == 3 and "refused bad@shop.example" in told.problems[0]
        alerts.try_out(matcher, "mail")
    letter = post.letters[0]
    assert "Subject: 3 findings on bay" in letter and "To: ann@shop.example, bad@shop.example" in letter
    assert letter.index("Cocoa is missing") < letter.index("Almond milk is missing") and "bay in North" in letter
    assert "An example is missing" in post.letters[1]


def test_nobody_who_refuses_loses_a_finding(matcher: Matcher) -> None:
    with serving(Post()) as post:
        server = f"smtp+plain://localhost:{post.server_address[1]}"
        alerts.set_email(matcher, "mail", ["bad@shop.example"], server, "seg@shop.example", private=HERE)
        kept(matcher, "eooo")
        assert alerts.send_due(matcher).later == 1


def test_a_mail_server_in_a_private_network_is_refused(matcher: Matcher) -> None:
    with serving(Post()) as post:
        server = f"smtp+plain://localhost:{post.server_address[1]}"
        alerts.set_email(matcher, "mail", ["ann@shop.example"], server, "seg@shop.example")
        with pytest.raises(AlertError, match="private network"):
            alerts.try_out(matcher, "mail")
        assert not post.letters


@pytest.mark.parametrize(
    ("server", "sender", "to", "sentence"),
    [
        ("mail.example", "a@b.example", ["c@d.example"], "no address of a mail server"),
        ("smtps://me:pw@mail.example", "a@b.example", ["c@d.example"], "RETAIL_SEG_SMTP_PASS"),
        ("smtp+plain://me@mail.example", "a@b.example", ["c@d.example"], "readable to all"),
        ("smtps://mail.example", "a@b.example\nBcc: all@x", ["c@d.example"], "no e-mail address"),
        ("smtps://mail.example", "a@b.example", ["not one"], "no e-mail address"),
        ("smtps://mail.example", "a@b.example", [], "nobody is named"),
    ],
)  # fmt: skip
def test_mail_that_cannot_be_sent_is_a_sentence(
    matcher: Matcher, server: str, sender: str, to: list[str], sentence: str
) -> None:
    with pytest.raises(AlertError, match=sentence):
        alerts.set_email(matcher, "mail", to, server, sender)


def test_a_csv_grows_by_a_row_a_finding(matcher: Matcher, tmp_path: Path) -> None:
    path = tmp_path / "findings.csv"
    alerts.set_csv(matcher, "file", path)
    for statuses in ("eooo", "eloo", "oooo"):
        kept(matcher, statuses, shop="=North")
        alerts.send_due(matcher)
    rows = list(csv.DictReader(path.open(newline="")))
    assert [(row["sku"], row["kind"], row["shop"]) for row in rows] == [
        ("A", "empty", "'=North"),
        ("B", "low", "'=North"),
    ]
    path.unlink()
    path.mkdir()
    kept(matcher, "ooeo")
    assert "cannot be written" in alerts.send_due(matcher).problems[0]
    path.rmdir()
    assert alerts.send_due(matcher, moment=later(5)).sent == 1
