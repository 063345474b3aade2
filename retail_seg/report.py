"""What a scan found, as frozen values ► JSON Lines, CSV of counts."""

from __future__ import annotations

import csv
import itertools
import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TextIO

Decision = Literal["known", "unknown"]
Certainty = Literal["sure", "likely", "unknown"]

CSV_COLUMNS = ("image", "sku", "name", "count", "likely", "expected", "low", "high")
#: Products that no facing is sure or likely to be are left out of what is expected below this number.
EXPECTED_FROM = 0.5
#: An 80 % range: a tenth lies below it and a tenth above; as quantiles and as standard deviations of a normal.
TENTH, DEVIATIONS = 0.1, 1.2816
#: Up to so many facings the range is exact, beyond it the normal approximation's.
EXACT = 60
#: What made a report, in `Report.versions`.
VERSIONS = ("version", "segmenter", "embedder", "revision")
#: What the four numbers of a box are: left, top, width and height, in pixels of the upright photo.
BOX_FORMAT = "xywh"
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

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Match:
        """What `to_dict` gave."""
        return cls(**{name: values[name] for name in ("sku", "name", "score", "reference_id", "probability")})


@dataclass(frozen=True)
class Identification:
    """What a crop is: the product when it is known, how probable the first candidate is, and the candidates, the most
    probable first.

    decision      "known" where the first candidate is sure
    certainty     "sure", "likely" or "unknown": what the first candidate may be called
    none_of_them  probability that it is none of the candidates; with theirs it sums to one
    margin        the score by which the first candidate leads the second, 0 where it does not
    reason        why a crop was not compared at all, empty otherwise
    checked       a person said what it is: `sku`, or nothing of the catalogue
    odd           facings beside it that look the same say another product
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
    checked: bool = False
    odd: bool = False

    @property
    def proposed(self) -> Match | None:
        """The first candidate where it is likely, but not sure."""
        return self.matches[0] if self.certainty == "likely" and self.sku is None and self.matches else None

    @property
    def chances(self) -> dict[str, float]:
        """How probable it is to be each of the products that it may be, by SKU."""
        if self.checked:
            return {} if self.sku is None else {self.sku: 1.0}
        found = {match.sku: match.probability for match in self.matches if match.probability > 0}
        return found or ({} if self.sku is None else {self.sku: self.probability})

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
            **({"odd": True} if self.odd else {}),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Identification:
        """What `to_dict` gave; the name is that of the product among the candidates."""
        matches = tuple(map(Match.from_dict, values["matches"]))
        sku = values["sku"]
        return cls(
            values["decision"],
            sku,
            next((match.name for match in matches if match.sku == sku), ""),
            values["probability"],
            values["margin"],
            matches,
            values.get("reason", ""),
            certainty=values["certainty"],
            none_of_them=values["none_of_them"],
            odd=values.get("odd", False),
        )


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
    def proposed(self) -> str | None:
        """SKU of the first candidate where it is likely, but not sure."""
        match = self.identification.proposed
        return None if match is None else match.sku

    @property
    def best_sku(self) -> str | None:
        """What it is or, short of that, what it is likely to be; None for what is unknown."""
        return self.sku or self.proposed

    @property
    def best_name(self) -> str:
        """Name of `best_sku`, its SKU where it has none; empty for what is unknown."""
        match = self.identification.proposed
        return self.name if match is None else match.name or match.sku

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

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ReportLine:
        """What `to_dict` gave."""
        left, top, width, height = values["box"]
        plain = ("id", "area", "confidence", "merged", "row", "position", "run", "facing")
        return cls(
            box=(left, top, width, height),
            polygon=tuple((x, y) for x, y in values["polygon"]),
            identification=Identification.from_dict(values),
            **{name: values[name] for name in plain},
        )


class Expected(NamedTuple):
    """How many facings of a product to expect, and the range that four counts in five fall into."""

    value: float
    low: int
    high: int


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
        """Number of facings per SKU that are surely it, sorted by SKU."""
        return _counted(line.sku for line in self.instances)

    @property
    def likely(self) -> dict[str, int]:
        """Number of facings per SKU that are likely it beside those of `counts`, sorted by SKU."""
        return _counted(line.proposed for line in self.instances)

    @property
    def unknown(self) -> int:
        """Number of facings that are neither sure nor likely to be a product of the catalogue."""
        return sum(line.best_sku is None for line in self.instances)

    @property
    def answered(self) -> float:
        """Share of the facings that are sure, 1 where there are none."""
        return sum(line.sku is not None for line in self.instances) / len(self.instances) if self.instances else 1.0

    @property
    def expected(self) -> dict[str, Expected]:
        """How many facings of each SKU to expect, by the probabilities of all candidates, sorted by SKU.

        Of products that are counted or likely, and of others of which at least EXPECTED_FROM is expected. The range
        takes the facings' mistakes to be independent: where one look-alike stands for all of a row, it is too narrow.
        """
        chances: dict[str, list[float]] = {}
        for line in self.instances:
            for sku, chance in line.identification.chances.items():
                chances.setdefault(sku, []).append(chance)
        named = self.names
        found = {sku: expected_of(chances[sku]) for sku in sorted(chances)}
        return {sku: one for sku, one in found.items() if sku in named or one.value >= EXPECTED_FROM}

    @property
    def names(self) -> dict[str, str]:
        """Name of every SKU that was counted or is likely."""
        return {line.best_sku: line.best_name for line in self.instances if line.best_sku is not None}

    @property
    def _all_names(self) -> dict[str, str]:
        """Name of every SKU that is a candidate."""
        return {match.sku: match.name for line in self.instances for match in line.matches} | self.names

    def to_dict(self) -> dict[str, Any]:
        """The report as the JSON object that `retail-seg scan` writes."""
        return {
            "image": self.image,
            "width": self.width,
            "height": self.height,
            "box_format": BOX_FORMAT,
            "instances": [line.to_dict() for line in self.instances],
            "counts": self.counts,
            "likely": self.likely,
            "unknown": self.unknown,
            "expected": {sku: [round(one.value, 2), one.low, one.high] for sku, one in self.expected.items()},
            "answered": round(self.answered, 4),
            **self.versions,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Report:
        """What `to_dict` gave; counts follow from the instances."""
        lines = tuple(map(ReportLine.from_dict, values["instances"]))
        versions = {name: values[name] for name in VERSIONS if name in values}
        return cls(values["image"], values["width"], values["height"], lines, versions)

    def to_json(self) -> str:
        """The report as one line of JSON."""
        import json

        return json.dumps(self.to_dict(), ensure_ascii=False)


def _counted(skus: Iterable[str | None]) -> dict[str, int]:
    return dict(sorted(Counter(sku for sku in skus if sku is not None).items()))


def expected_of(chances: Sequence[float]) -> Expected:
    """Sum of independent chances (0 to 1), with the range of 80 % of it (Poisson-binomial distribution)."""
    mean = math.fsum(chances)
    if len(chances) <= EXACT:
        return Expected(mean, *_exact_range(chances))
    reach = DEVIATIONS * math.sqrt(math.fsum(chance * (1 - chance) for chance in chances))
    low, high = math.ceil(mean - reach - 0.5), math.ceil(mean + reach - 0.5)
    return Expected(mean, max(low, 0), min(high, len(chances)))


def _exact_range(chances: Sequence[float]) -> tuple[int, int]:
    """The least counts that at least a tenth, and nine tenths, of the distribution reach up to."""
    spread = [1.0]
    for chance in chances:
        spread = [
            stay * (1 - chance) + come * chance for stay, come in zip([*spread, 0.0], [0.0, *spread], strict=True)
        ]
    up_to = [share + 1e-9 for share in itertools.accumulate(spread)]  # what is one in truth may add up to a bit less
    return bisect_left(up_to, TENTH), bisect_left(up_to, 1 - TENTH)


@dataclass(frozen=True)
class CountRow:
    """A row of a table of counts: facings that are sure, likely, and to be expected; "" as SKU for what is unknown."""

    image: str
    sku: str
    name: str
    count: int
    likely: int = 0
    expected: Expected | None = None


def count_rows(report: Report) -> list[CountRow]:
    """A row per SKU of one report; what is unknown stands last, without an SKU."""
    names, counts, likely = report._all_names, report.counts, report.likely
    expected = report.expected
    rows = [
        CountRow(report.image, sku, names.get(sku, ""), counts.get(sku, 0), likely.get(sku, 0), expected.get(sku))
        for sku in sorted({*counts, *likely, *expected})
    ]
    return [*rows, CountRow(report.image, "", "unknown", report.unknown)] if report.unknown else rows


def total_rows(reports: Sequence[Report]) -> list[CountRow]:
    """The rows of several photos together, without an image; what is expected adds up over all their facings."""
    lines = tuple(line for report in reports for line in report.instances)
    return count_rows(Report("", 0, 0, lines))


def write_counts_csv(reports: Iterable[Report], file: TextIO) -> None:
    """Write one row per photo and SKU, with a header; no cell can start a formula in a spreadsheet.

    `count` is of the sure ones, or of the unknown ones in the row without an SKU.
    """
    writer = csv.writer(file)
    writer.writerow(CSV_COLUMNS)
    for row in (row for report in reports for row in count_rows(report)):
        many = (f"{row.expected.value:.2f}", row.expected.low, row.expected.high) if row.expected else ("", "", "")
        writer.writerow((safe_cell(row.image), safe_cell(row.sku), safe_cell(row.name), row.count, row.likely, *many))


def safe_cell(text: str) -> str:
    """The text with an apostrophe before it where a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
