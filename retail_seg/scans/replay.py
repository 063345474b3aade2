"""Kept scans matched again: what today's catalogue says of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from catalogue import scans
from retail_seg.people.roles import require
from retail_seg.store.among import choice_again
from retail_seg.store.enrolment import decode_kept

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher


@dataclass(frozen=True)
class Replay:
    """A kept scan matched against today's catalogue: the counts that change, and the instances that do.

    `counts` holds (SKU, then, now), the unknown ones under the empty SKU; `instances` (number, SKU then, SKU now).
    """

    scan: int
    image: str
    revision_then: int
    revision_now: int
    counts: list[tuple[str, int, int]]
    instances: list[tuple[int, str, str]]


def replay(matcher: Matcher, scan_id: int) -> Replay:
    """Match the crops of a kept scan again, among what could be there then; nothing is written.

    Raises UnknownScan, and StoreError where nothing that could be there is left in the store.
    """
    require("staff")
    scan = scans.load(matcher.catalogue, scan_id)
    then = scans.instances(matcher.catalogue, scan_id)
    cuts = [decode_kept(crop, mask) for _, crop, mask, _ in scans.crops(matcher.catalogue, scan_id)]
    among = choice_again(matcher.catalogue, scan.details)
    found = matcher.match([crop for crop, _ in cuts], masks=[mask for _, mask in cuts], among=among)
    now = [identification.sku or "" for identification in found]
    before, after = Counter(instance.sku for instance in then), Counter(now)
    return Replay(
        scan.id,
        scan.image,
        scan.revision,
        matcher.revision,
        [(sku, before[sku], after[sku]) for sku in sorted(before | after) if before[sku] != after[sku]],
        [(i.number, i.sku, sku) for i, sku in zip(then, now, strict=True) if i.sku != sku],
    )
