"""When an alert may be told: not in quiet hours, and, with a digest, once a day."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from retail_seg.errors import AlertError

#: Minutes after which a failed alert is tried again, after each try; after the last of them it is given up.
BACKOFF = (1, 5, 30, 120, 480, 1440)
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True)
class Hours:
    """A target's hours as people state them, checked when they are made.

    quiet   "22:00-06:30", in which nothing is told, over midnight or not; empty for never
    digest  "07:00", once a day at which all is told together; empty for at once
    zone    of both, such as "Europe/Zurich"; empty for that of this computer
    """

    quiet: str = ""
    digest: str = ""
    zone: str = ""

    def __post_init__(self) -> None:
        if self.quiet:
            start, end = _quiet(self.quiet)
            if start == end:
                raise AlertError(f"quiet hours {self.quiet} begin when they end; write them as 22:00-06:30")
        if self.digest and _inside(_clock(self.digest), self.quiet):
            raise AlertError(f"the digest at {self.digest} falls into the quiet hours {self.quiet}; change one of them")
        _zone(self.zone)

    def next(self, moment: datetime) -> datetime:
        """The first moment from this one on (both aware, the answer in UTC) at which an alert may be told."""
        local = moment.astimezone(_zone(self.zone))
        if self.digest:
            local = _next(local, _clock(self.digest))
        elif self.quiet and _inside(local.time(), self.quiet):
            local = _next(local, _quiet(self.quiet)[1])
        return local.astimezone(UTC)

    def quiet_at(self, moment: datetime) -> bool:
        """Whether nothing may be told at a moment."""
        return bool(self.quiet) and _inside(moment.astimezone(_zone(self.zone)).time(), self.quiet)

    def again(self, attempts: int, moment: datetime) -> datetime | None:
        """When an alert is tried again that has failed so many times before this one; None where it is given up."""
        if attempts >= len(BACKOFF):
            return None
        later = moment + timedelta(minutes=BACKOFF[attempts])
        return Hours(self.quiet, "", self.zone).next(later)  # a digest that failed is late enough


def _next(local: datetime, clock: time) -> datetime:
    """The next time (not before `local`) at which a clock on the wall shows `clock`."""
    there = local.replace(hour=clock.hour, minute=clock.minute, second=0, microsecond=0)
    return there if there >= local else there + timedelta(days=1)  # on the wall: zoneinfo adds days, not hours


def _inside(clock: time, quiet: str) -> bool:
    if not quiet:
        return False
    start, end = _quiet(quiet)
    return start <= clock < end if start < end else clock >= start or clock < end


def _quiet(text: str) -> tuple[time, time]:
    start, dash, end = text.partition("-")
    if not dash:
        raise AlertError(f"{text!r} are no quiet hours; write them as 22:00-06:30")
    return _clock(start), _clock(end)


def _clock(text: str) -> time:
    found = _CLOCK.fullmatch(text.strip())
    if found is None:
        raise AlertError(f"{text!r} is no time of day; write it as 07:00")
    return time(int(found[1]), int(found[2]))


def _zone(name: str) -> tzinfo | None:
    """The zone of this name; None, which `astimezone` takes for this computer's own, without one."""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise AlertError(f"{name!r} is no time zone; write it as Europe/Zurich") from None
