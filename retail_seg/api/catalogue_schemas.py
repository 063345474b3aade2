"""What goes in and out of products, their pictures and imports; the names are those of the command line's JSON."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from retail_seg.api.limits import PAGE
from retail_seg.api.schemas import Count, Flag, Page, Share, Sku, Strict, Text


class ProductFields(Strict):
    """What can be changed of a product."""

    name: Text = ""
    brand: Text = ""
    category: Text = ""
    gtin: Annotated[str, StringConstraints(max_length=20)] = ""
    attributes: dict[str, Text] = Field(default_factory=dict)


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


class ProductPage(Page):
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


class ReferencePage(Page):
    """A page of a product's reference pictures."""

    items: Annotated[list[ReferenceOut], Field(max_length=PAGE)]


class AddedPictureOut(Strict):
    """What became of one picture."""

    name: str
    reference_id: int | None
    reason: str


class AddedPictures(Strict):
    """What became of all pictures of a request, in their order."""

    references: list[AddedPictureOut]


class ImportIn(Strict):
    """How a file is to be imported."""

    replace: Flag = Field(default=False, description="Write changed fields of products that are there already.")
    fetch: Flag = Field(default=False, description="Get pictures that are web addresses.")
    dry_run: Flag = Field(default=False, description="Only find out what would change.")


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


class ImportPage(Page):
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


class ImportLinePage(Page):
    """A page of an import's lines."""

    items: Annotated[list[ImportLine], Field(max_length=PAGE)]
