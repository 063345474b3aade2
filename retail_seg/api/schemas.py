"""What goes in and out as JSON: the source of the OpenAPI document and of `docs/schema/*.json`.

The names are those of the JSON Lines of `retail-seg scan` and `match`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from retail_seg.api.limits import PAGE

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Sku = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(max_length=1000)]
Box = Annotated[
    list[int],
    Field(min_length=4, max_length=4, description="Left, top, width, height: pixels of the upright photo (`xywh`)."),
]
Only = Annotated[str, StringConstraints(max_length=1000, pattern=r"^(category|brand|sku)=.+$")]
Point = Annotated[list[int], Field(min_length=2, max_length=2)]
#: Number expected, and the lower and upper end of the range that four counts in five fall into.
Expected = Annotated[list[float], Field(min_length=3, max_length=3)]


class Strict(BaseModel):
    """Nothing beside what is named."""

    model_config = ConfigDict(extra="forbid")


class Candidate(Strict):
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
    matches: list[Candidate]
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
    box: Box | None = None


class Instance(Answer):
    """One thing in a photo."""

    id: Annotated[int, Field(ge=1)]
    box: Box
    area: Count
    polygon: list[Point]
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
    expected: dict[str, Expected]
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
    keep: bool = Field(default=False, description="Keep the scan in the store; the answer has its number.")


class ProductFields(Strict):
    """What can be changed of a product."""

    name: Text = ""
    brand: Text = ""
    category: Text = ""
    gtin: Annotated[str, StringConstraints(max_length=20)] = ""
    attributes: dict[str, Text] = {}


class ProductIn(ProductFields):
    """A new product, perhaps with its first pictures."""

    sku: Sku
    photos: list[str] = Field(
        default=[],
        max_length=20,
        description="Pictures' files in base64; all are taken, or nothing is made.",
        json_schema_extra={"items": {"type": "string", "format": "photo-base64", "contentEncoding": "base64"}},
    )


class PicturesIn(Strict):
    """Pictures of a product, in JSON: one as `photo`, several as `photos`."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"anyOf": [{"required": ["photo"]}, {"required": ["photos"]}]}
    )

    photo: str = Field(
        default="",
        min_length=1,
        description="The picture's file in base64, at most 20 MB before encoding.",
        json_schema_extra={"format": "photo-base64", "contentEncoding": "base64"},
    )
    photos: list[str] = Field(
        default=[],
        min_length=1,
        max_length=20,
        description="Pictures' files in base64, each at most 20 MB before encoding.",
        json_schema_extra={"items": {"type": "string", "format": "photo-base64", "contentEncoding": "base64"}},
    )

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.photo and not self.photos:
            raise ValueError("give `photo` or `photos`")
        return self


class ProductPatch(Strict):
    """What is to be different (JSON merge patch): an attribute that is null goes."""

    name: Text | None = None
    brand: Text | None = None
    category: Text | None = None
    gtin: Annotated[str, StringConstraints(max_length=20)] | None = None
    attributes: dict[str, Text | None] | None = None


class ProductOut(Strict):
    """A product, as `retail-seg products` writes it."""

    sku: str
    name: str
    brand: str
    category: str
    gtin: str
    attributes: dict[str, str]
    references: Count = Field(description="How many reference pictures are in use.")


class Page(Strict):
    """Where the next page is."""

    next_cursor: str | None = Field(description="For `cursor` of the next request; null on the last page.")


class Products(Page):
    """A page of products."""

    items: Annotated[list[ProductOut], Field(max_length=PAGE)]


class ReferenceOut(Strict):
    """A reference picture, as `retail-seg show` writes it."""

    id: int
    sku: str
    content_hash: str
    views: Count
    embedder: str
    source: str
    width: Count
    height: Count
    created: str
    removed: str


class References(Page):
    """A page of a product's reference pictures."""

    items: Annotated[list[ReferenceOut], Field(max_length=PAGE)]


class AddedPicture(Strict):
    """What became of one picture."""

    name: str
    reference_id: int | None
    reason: str


class AddedPictures(Strict):
    """What became of all pictures of a request, in their order."""

    references: list[AddedPicture]


class ImportIn(Strict):
    """How a file is to be imported."""

    replace: bool = Field(default=False, description="Write changed fields of products that are there already.")
    fetch: bool = Field(default=False, description="Get pictures that are web addresses.")
    dry_run: bool = Field(default=False, description="Only find out what would change.")


class ImportOut(ImportIn):
    """An import, and how far it is."""

    id: str
    name: str
    by: str
    created: str
    state: Literal["running", "done", "failed", "cancelled"]
    share: Share
    text: str
    error: str
    counts: dict[str, Count] = Field(description="Lines that were added, changed, unchanged and refused so far.")
    resumed: Count = Field(description="How often it went on after a restart; lines done before it are not done again.")


class Imports(Page):
    """A page of imports."""

    items: Annotated[list[ImportOut], Field(max_length=PAGE)]


class ImportLine(Strict):
    """What became of a product of the file, or of a line that is none."""

    line: int
    sku: str
    status: Literal["added", "changed", "unchanged", "refused"]
    name: str
    changes: list[Annotated[list[str], Field(min_length=3, max_length=3)]]
    pictures: Count
    problems: list[str]
    change: int | None = Field(description="The log's number of what was written.")


class ImportLines(Page):
    """A page of an import's lines."""

    items: Annotated[list[ImportLine], Field(max_length=PAGE)]


class ScanRow(Strict):
    """A kept scan in a list."""

    scan: int
    at: str
    by: str
    image: str
    width: int
    height: int
    known: Count
    unknown: Count


class Scans(Page):
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
    expected: dict[str, Expected]
    answered: Share
    advice: list[str]


class Tensor(Strict):
    """Metadata of an input or output."""

    name: str
    datatype: str
    shape: list[int]


class ServerOut(Strict):
    """Metadata of the server."""

    name: str
    version: str
    extensions: list[str]


class ModelOut(Strict):
    """Metadata of a model."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[Tensor]
    outputs: list[Tensor]


class Models(Strict):
    """All models."""

    models: list[ModelOut]


class InferInput(Strict):
    """Photos in base64."""

    name: Literal["photo"]
    shape: Annotated[list[int], Field(min_length=1, max_length=2)]
    datatype: Literal["BYTES"]
    data: Annotated[list[str], Field(min_length=1, max_length=8)] = Field(
        json_schema_extra={"items": {"type": "string", "format": "photo-base64", "contentEncoding": "base64"}}
    )
    parameters: dict[str, Any] = {}


class InferIn(Strict):
    """A question to a model."""

    id: Text = ""
    inputs: Annotated[list[InferInput], Field(min_length=1, max_length=1)]
    outputs: list[dict[str, Any]] = []
    parameters: dict[str, Any] = {}


class InferOutput(Tensor):
    """Answers as texts of JSON."""

    data: list[str]


class InferOut(Strict):
    """What a model answers."""

    model_name: str
    model_version: str
    id: str
    outputs: list[InferOutput]


class Queues(Strict):
    """How much waits for the networks, and may."""

    answers: Count
    answers_most: Count
    changes: Count
    changes_most: Count


class Health(Strict):
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
