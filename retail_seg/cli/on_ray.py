"""Work by Ray's workers: the options of the commands that can, and a line now and then on how far a run is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from retail_seg.cli.common import say

if TYPE_CHECKING:
    from retail_seg.fleet.progress import RunProgress

#: Seconds between two lines on how far a run is.
EVERY = 10.0
HERE, RAY = "here", "ray"
engine_option = click.option(
    "--engine",
    type=click.Choice([HERE, RAY]),
    default=HERE,
    show_default=True,
    help="ray: by workers on one machine or many (extra ray).",
)
address_option = click.option("--address", metavar="HOST:PORT", help="Cluster of Ray; without it one starts here.")
workers_option = click.option("--workers", type=click.IntRange(1, 1024), help="Of Ray.  [default: one a core]")


def ray_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a command whose work Ray's workers can do; see `by_ray`."""
    return engine_option(address_option(workers_option(command)))


def by_ray(engine: str, address: str | None, workers: int | None) -> bool:
    """Whether the work is Ray's; UsageError where options of Ray stand beside another engine."""
    if engine != RAY and (address or workers):
        raise click.UsageError("--address and --workers are of --engine ray; name it")
    return engine == RAY


class Teller:
    """Says now and then how far a run is, in so many photos or references."""

    def __init__(self, unit: str) -> None:
        self._unit, self._last = unit, time.monotonic()

    def __call__(self, told: RunProgress) -> None:
        """Hear how far it is."""
        if time.monotonic() - self._last < EVERY:
            return
        self._last = time.monotonic()
        hours, minutes = divmod(round(told.left / 60), 60)
        say(
            f"{told.so_far:,} of {told.total:,} {self._unit}, {told.failed} failed, {told.a_minute:.0f} a minute, "
            f"{hours} h {minutes:02} min left"
        )
