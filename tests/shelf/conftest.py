"""What several tests of shelves begin with: an empty store, and a server that keeps what it is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alert_servers import Receiver, serving
from shelf_helpers import new_store

from retail_seg.matcher import Matcher


@pytest.fixture
def matcher(tmp_path: Path) -> Iterator[Matcher]:
    with new_store(tmp_path / "store") as found:
        yield found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with serving(Receiver()) as found:
        yield found
