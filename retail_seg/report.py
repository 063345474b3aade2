"""What a scan found, as frozen values ► JSON Lines, CSV of counts."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, TextIO

Decision = Literal["known", "unknown"]
Certainty = Literal["sure", "likely", "unknown"]

CSV_COLUMNS = ("image", "sku", "name", "count")
#: A cell that starts with one of these would run as a formula in a spreadsheet (OWASP, "CSV Injection").
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Match:
    """One candidate for a crop: a product, its best reference, that reference's score (cosine, -1 to 1), and how
    probable the product is.
    """

    sku: str
    name: str
    score: float
    reference_id: int
    probability: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        return {
            "sku": self.sku,
            "name": self.name,
            "score": round(self.score, 4),
            "reference_id": self.reference_id,
            "probability": round(self.probability, 4),
        }


@dataclass(frozen=True)
class Identification:
    """What a crop is: the product when it is known, how probable the first candidate is, and the candidates, the most
    probable first.

    decision      "known" where the first candidate is sure
    certainty     "sure", "likely" or "unknown": what the first candidate may be called
    none_of_them  probability that it is none of the candidates; with theirs it sums to one
    margin        the score by which the first candidate leads the second, 0 where it does not
    reason        why a crop was not compared at all, empty otherwise
    """

    decision: Decision
    sku: str | None
    name: str
    probability: float
    margin: float
    matches: tuple[Match, ...]
    reason: str = ""
    certainty: Certainty = "unknown"
    none_of_them: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        return {
            "decision": self.decision,
            "certainty": self.certainty,
            "sku": self.sku,
            "probability": round(self.probability, 4),
            "none_of_them": round(self.none_of_them, 4),
            "margin": round(self.margin, 4),
            "matches": [m.to_dict() for m in self.matches],
            **({"reason": self.reason} if self.reason else {}),
        }


@dataclass(frozen=True)
class ReportLine:
    """One instance of a photo: where it is, what it is, and how sure both are.

    box         x, y, width, height in the photo's own pixels
    area        pixels of the mask
    polygon     outline of its largest part, x, y pairs in pixels
    confidence  of the segmenter, 0 to 1
    merged      its outline says that it may be several products in one
    row         of the shelf, 1 is the topmost; 0 where nobody worked it out, as for all that follow
    position    in the row from the left, from 1; what is stacked has the position of what it stands on
    run         facing run in the row, from 1: neighbours of one product; an unknown one is a run of its own
    facing      position in the run, from 1
    """

    id: int
    box: tuple[int, int, int, int]
    area: int
    polygon: tuple[tuple[int, int], ...]
    confidence: float
    merged: bool
    identification: Identification
    row: int = 0
    position: int = 0
    run: int = 0
    facing: int = 0

    @property
    def sku(self) -> str | None:
        return self.identification.sku

    @property
    def name(self) -> str:
        return self.identification.name

    @property
    def decision(self) -> Decision:
        return self.identification.decision

    @property
    def certainty(self) -> Certainty:
        return self.identification.certainty

    @property
    def probability(self) -> float:
        return self.identification.probability

    @property
    def matches(self) -> tuple[Match, ...]:
        return self.identification.matches

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "box": list(self.box),
            "area": self.area,
            "polygon": [list(point) for point in self.polygon],
            "confidence": round(self.confidence, 4),
            "merged": self.merged,
            "row": self.row,
            "position": self.position,
            "run": self.run,
            "facing": self.facing,
            **self.identification.to_dict(),
        }


@dataclass(frozen=True)
class Report:
    """What one photo holds.

    `versions` names the program, the segmenter, the embedder and the catalogue's revision that made the report.
    """

    image: str
    width: int
    height: int
    instances: tuple[ReportLine, ...]
    versions: dict[str, str | int] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """Number of facings per SKU, the known products only, sorted by SKU."""
        return dict(sorted(Counter(line.sku for line in self.instances if line.sku is not None).items()))

    @property
    def unknown(self) -> int:
        """Number of instances that are no product of the catalogue."""
        return sum(line.decision == "unknown" for line in self.instances)

    @property
    def names(self) -> dict[str, str]:
        """Name of every SKU that was counted."""
        return {line.sku: line.name for line in self.instances if line.sku is not None}

    def to_dict(self) -> dict[str, Any]:
        """The report as the JSON object that `retail-seg scan` writes."""
        return {
            "image": self.image,
            "width": self.width,
            "height": self.height,
            "instances": [line.to_dict() for line in self.instances],
            "counts": self.counts,
            "unknown": self.unknown,
            **self.versions,
        }

    def to_json(self) -> str:
        """The report as one line of JSON."""
        import json

        return json.dumps(self.to_dict(), ensure_ascii=False)


def count_rows(report: Report) -> list[tuple[str, str, str, int]]:
    """Rows (image, sku, name, count) of one report; what is unknown stands last, without an SKU."""
    names = report.names
    rows = [(report.image, sku, names[sku], n) for sku, n in report.counts.items()]
    if report.unknown:
        rows.append((report.image, "", "unknown", report.unknown))
    return rows


def write_counts_csv(reports: Iterable[Report], file: TextIO) -> None:
    """Write one row per photo and SKU, with a header; no cell can start a formula in a spreadsheet."""
    writer = csv.writer(file)
    writer.writerow(CSV_COLUMNS)
    for report in reports:
        for image, sku, name, n in count_rows(report):
            writer.writerow((safe_cell(image), safe_cell(sku), safe_cell(name), n))


def safe_cell(text: str) -> str:
    """The text with an apostrophe before it where a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
