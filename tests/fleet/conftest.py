"""Ray for the tests of this folder, where it is installed; their modules are skipped without it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """Ray with two cores, which can make the workers of this folder."""
    import ray_workers

    from retail_seg.fleet.cluster import entered

    with entered(None, 2) as found:
        found.cloudpickle.register_pickle_by_value(ray_workers)
        yield found
