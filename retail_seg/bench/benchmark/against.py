"""Two runs of `benchmark` side by side: what got slower or faster by more than either run's own spread."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from retail_seg.bench.benchmark.measure import Reading, Section, milliseconds
from retail_seg.errors import RetailSegError

#: A median that differs by less than this share is as before, however little its rounds spread.
LEAST = 0.05


def read_run(path: Path) -> dict[str, Any]:
    """The JSON line that an earlier `benchmark` wrote; raises RetailSegError for anything else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8").strip().splitlines()[-1])
        if not isinstance(found["machine"], dict):
            raise ValueError("machine")
        return dict(found)
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        reason = getattr(error, "strerror", None) or "no JSON line of a run"
        raise RetailSegError(f"{path}: {reason}; give the file that `retail-seg benchmark … > FILE` wrote") from None


def compared(before: Mapping[str, Any], now: Mapping[str, Any]) -> Section:
    """A table of all that both runs timed: what it took now beside then, and whether that is beyond noise.

    Slower or faster is what differs by a twentieth and more and whose middle half of rounds lies wholly beyond the
    other's.
    """
    rows, slower = [], []
    for name, (low, middle, high), (was_low, was, was_high) in _both(before, now):
        changed = abs(middle / was - 1) >= LEAST
        verdict = "slower" if changed and low > was_high else "faster" if changed and high < was_low else "as before"
        rows.append(Reading(name, milliseconds(middle), milliseconds(was), was / middle, verdict))
        slower += [name] if verdict == "slower" else []
    notes = [f"Slower beyond noise: {', '.join(slower) or 'nothing'}."]
    if not rows:
        notes = ["The two runs timed nothing in common."]
    if before["machine"].get("cpu") != now["machine"].get("cpu"):
        notes.append(f"The earlier run was on another processor ({before['machine'].get('cpu')}): compare with care.")
    return Section("Against an earlier run, which stands as the peer", rows, notes, {"slower": slower})


def _both(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, list[float], list[float]]]:
    for stage, section in now.items():
        then, here = before.get(stage, {}).get("spread", {}), section.get("spread", {})
        for name, times in here.items():
            if name in then and then[name][1] > 0 and times[1] > 0:
                yield f"{stage}: {name}", times, then[name]
