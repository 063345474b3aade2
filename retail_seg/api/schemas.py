"""What goes in and out as JSON: the source of the OpenAPI document and of `docs/schema/*.json`.

The names are those of the JSON Lines of `retail-seg scan` and `match`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationInfo

from retail_seg.api.limits import PAGE

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Sku = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(max_length=1000)]
BoxNumbers = Annotated[
    list[int],
    Field(min_length=4, max_length=4, description="Left, top, width, height: pixels of the upright photo (`xywh`)."),
]
Only = Annotated[str, StringConstraints(max_length=1000, pattern=r"^(category|brand|sku)=.+$")]
PointNumbers = Annotated[list[int], Field(min_length=2, max_length=2)]
#: Number expected, and the lower and upper end of the range that four counts in five fall into.
ExpectedNumbers = Annotated[list[float], Field(min_length=3, max_length=3)]


def _flag(value: Any, info: ValidationInfo) -> Any:
    """Of a form `true` and `false` alone: Pydantic would take a dozen other texts."""
    if not isinstance(value, str) or info.context != "form":
        return value
    if value not in ("true", "false"):
        raise ValueError("give true or false")
    return value == "true"


Flag = Annotated[bool, BeforeValidator(_flag)]


class Strict(BaseModel):
    """Nothing beside what is named."""

    model_config = ConfigDict(extra="forbid")


class CandidateOut(Strict):
    """One product that a crop may be."""

    sku: str
    name: str
    score: float = Field(description="Cosine of the best reference, -1 to 1.")
    reference_id: int
    probability: Share


class Answer(Strict):
    """What a crop is."""

    decision: Literal["known", "unknown"]
    certainty: Literal["sure", "likely", "unknown"]
    sku: str | None
    probability: Share = Field(description="That the first candidate is right.")
    none_of_them: Share = Field(description="That it is none of the candidates.")
    margin: float
    matches: list[CandidateOut]
    reason: str = Field(default="", description="Why a crop was not compared at all.")
    odd: bool = Field(default=False, description="Facings beside it that look the same say another product.")


class Versions(Strict):
    """What made an answer."""

    version: str
    embedder: str = Field(description="Name and fingerprint of the embedder.")
    revision: Count = Field(description="The catalogue's revision.")


class MatchAnswer(Answer, Versions):
    """What `POST /v1/match` answers, and a line of `retail-seg match`."""

    image: str
    label: str = ""
    box: BoxNumbers | None = None


class Instance(Answer):
    """One thing in a photo."""

    id: Annotated[int, Field(ge=1)]
    box: BoxNumbers
    area: Count
    polygon: list[PointNumbers]
    confidence: Share
    merged: bool
    row: Count
    position: Count
    run: Count
    facing: Count


class ScanAnswer(Versions):
    """What `POST /v1/scan` answers, and a line of `retail-seg scan`."""

    image: str
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    box_format: Literal["xywh"]
    instances: list[Instance]
    counts: dict[str, Count] = Field(description="Facings that are surely the product, by SKU.")
    likely: dict[str, Count]
    unknown: Count
    expected: dict[str, ExpectedNumbers]
    answered: Share
    segmenter: str = Field(description="Name and fingerprint of the segmenter.")
    scan: int | None = Field(default=None, description="The kept scan's number, where `keep` was asked for.")
    sha256: str = Field(default="", description="Of the photo's file, in lines of a folder that is watched.")


class PhotoIn(Strict):
    """A photo in JSON."""

    photo: str = Field(
        description="The photo's file in base64, at most 20 MB before encoding.",
        min_length=1,
        json_schema_extra={"format": "photo-base64", "contentEncoding": "base64"},
    )
    name: Text = Field(default="", description="What the answer and errors call it.")


class MatchIn(PhotoIn):
    """A picture to name."""

    top: Annotated[int, Field(ge=1, le=100, description="Candidates.")] = 5
    only: Annotated[list[Only], Field(max_length=100)] = Field(
        default=[], description="Answer among these alone: `category=NAME`, `brand=NAME`, `sku=NUMBER`."
    )


class ScanIn(MatchIn):
    """A photo to count."""

    side: Annotated[int, Field(ge=64, le=4096)] | None = Field(
        default=None, description="Longer side in pixels to work at; chosen without it."
    )
    keep: Flag = Field(default=False, description="Keep the scan in the store; the answer has its number.")


class Page(Strict):
    """Where the next page is."""

    next_cursor: str | None = Field(description="For `cursor` of the next request; null on the last page.")


class ScanRow(Strict):
    """A kept scan in a list."""

    scan: int
    at: str
    by: str
    image: str
    width: int
    height: int
    sure: Count
    likely: Count
    unknown: Count


class ScanPage(Page):
    """A page of kept scans."""

    items: Annotated[list[ScanRow], Field(max_length=PAGE)]


class Decided(Instance):
    """One thing in a kept scan; who said what it is, where somebody did."""

    decided: str = ""
    decided_by: str = ""
    decided_at: str = ""


class KeptScan(BaseModel):
    """A kept scan: a line of `retail-seg scan` as it stands today."""

    scan: int
    at: str
    by: str
    image: str
    width: int
    height: int
    box_format: Literal["xywh"]
    instances: list[Decided]
    counts: dict[str, Count]
    likely: dict[str, Count]
    unknown: Count
    expected: dict[str, ExpectedNumbers]
    answered: Share
    advice: list[str]


class Queue(Strict):
    """How much waits, and may."""

    waiting: Count
    most: Count


class Queues(Strict):
    """What waits: photos to scan, shelves to check, pictures to name, changes that embed pictures."""

    scan: Queue
    check: Queue
    match: Queue
    change: Queue


class HealthOut(Strict):
    """Whether the server answers, and what with."""

    status: Literal["ok", "closing"]
    version: str
    embedder: str
    revision: Count
    products: Count
    references: Count
    queue: Queues


class Place(Strict):
    """One thing that is wrong with a request, and where."""

    place: list[str | int]
    message: str


class Problem(BaseModel):
    """An error (RFC 9457): `type` is stable, `detail` is one sentence for a person."""

    type: str
    title: str
    status: int
    detail: str
    instance: str = Field(description="The request's id, as in `X-Request-ID` and in the log.")
    errors: list[Place] = []


def schema_of(model: type[BaseModel], title: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of one model, by itself."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **model.model_json_schema()}
