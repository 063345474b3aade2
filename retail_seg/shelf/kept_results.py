"""A check's JSON, as it was kept, read back as the value that wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from retail_seg.shelf.results import (
    CheckedInstance,
    CheckedPhoto,
    CheckResult,
    Finding,
    Gap,
    PhotoArea,
    PositionStatus,
    RailLabel,
    Spot,
)


def result_of(values: Mapping[str, Any]) -> CheckResult:
    """The check that `CheckResult.to_dict` wrote."""
    known = {
        "plan",
        "plan_version",
        "fixtures",
        "photos",
        "positions",
        "findings",
        "summary",
        "gaps",
        "instances",
        "notes",
        "labels",
    }
    return CheckResult(
        values["plan"],
        values["plan_version"],
        tuple(values["fixtures"]),
        tuple(CheckedPhoto(**one) for one in values["photos"]),
        tuple(_position(one) for one in values["positions"]),
        tuple(_finding(one) for one in values["findings"]),
        tuple(_instance(one) for one in values["instances"]),
        tuple(Gap(_area(one), one["row"], one["shelf"], one["facings"]) for one in values["gaps"]),
        tuple(values["notes"]),
        {name: value for name, value in values.items() if name not in known},
        tuple(map(_label, values["labels"])) if "labels" in values else None,
    )


def _area(values: Mapping[str, Any]) -> PhotoArea:
    x, y, w, h = values["box"]
    return PhotoArea(values["photo"], (x, y, w, h))


def _spot(values: Mapping[str, int] | None) -> Spot | None:
    return Spot(**values) if values else None


def _position(values: Mapping[str, Any]) -> PositionStatus:
    rest = dict(values)
    areas, at = tuple(map(_area, rest.pop("areas"))), _spot(rest.pop("stands_at", None))
    return PositionStatus(**{**rest, "instances": tuple(rest["instances"]), "areas": areas, "stands_at": at})


def _finding(values: Mapping[str, Any]) -> Finding:
    rest = {name: value for name, value in values.items() if name not in ("text", "key")}
    rest["areas"] = tuple(map(_area, rest["areas"]))
    rest |= {name: _spot(rest.get(name)) for name in ("stands_at", "comes_from")}
    return Finding(**rest)


def _instance(values: Mapping[str, Any]) -> CheckedInstance:
    return CheckedInstance(
        values["id"], _area(values), values["sku"] or "", values["probability"], values["shelf"], values["position"],
        values.get("same_as", 0),
    )  # fmt: skip


def _label(values: Mapping[str, Any]) -> RailLabel:
    rest = {name: value for name, value in values.items() if name not in ("photo", "box")}
    rest |= {"sku": values["sku"] or "", "codes": tuple(values["codes"]), "words": tuple(values["words"])}
    return RailLabel(area=_area(values), **rest)
