"""What references teach is learned beside searches and changes, and counts for all that was written meanwhile."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from catalogue import Product
from retail_seg import Matcher
from retail_seg.rendering.assortment import articles, references
from retail_seg.store import gallery
from retail_seg.store.enrolment import Upload

ARTICLES = articles()[:6]


def uploads(number: int) -> list[Upload]:
    article = ARTICLES[number]
    return [Upload(picture, f"{number} {n}", mask) for n, (picture, mask) in enumerate(references(article)[:2])]


def named(matcher: Matcher, number: int) -> str:
    one = uploads(number)[0]
    assert isinstance(one.source, np.ndarray) and isinstance(one.mask, np.ndarray)
    return matcher.match([one.source], masks=[one.mask])[0].matches[0].sku


def test_searches_and_changes_go_on_while_it_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go, real = threading.Event(), threading.Event(), gallery.Ranker.fit

    def held(*values: Any, **more: Any) -> Any:
        begun.set()
        assert go.wait(60)
        return real(*values, **more)

    with Matcher.create(tmp_path / "store") as matcher:
        learn = matcher.on_changed
        matcher.on_changed = lambda: None
        for number in range(4):
            matcher.enrol(Product(ARTICLES[number].sku), uploads(number))
        monkeypatch.setattr(gallery.Ranker, "fit", held)
        learning = threading.Thread(target=learn)
        learning.start()
        assert begun.wait(60)
        matcher.enrol(Product(ARTICLES[4].sku), uploads(4))
        assert named(matcher, 4) == ARTICLES[4].sku and named(matcher, 0) == ARTICLES[0].sku
        before = matcher._gallery.current().ranker_id
        go.set()
        learning.join(120)
        state = matcher._gallery.current()
        assert state.ranker_id != before and state.revision == matcher.revision
        matcher.enrol(Product(ARTICLES[5].sku), uploads(5))
        assert [named(matcher, number) for number in range(6)] == [article.sku for article in ARTICLES]
        kept = state.ranker_id
    with Matcher.open(tmp_path / "store") as again:
        assert again._gallery.current().ranker_id == kept
        assert [named(again, number) for number in range(6)] == [article.sku for article in ARTICLES]
