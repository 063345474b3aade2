"""What goes in and out of plans, checks and tasks; the objects are those of the commands `plan` and `check`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from retail_seg.api.limits import PAGE, PHOTOS
from retail_seg.api.schemas import Count, Only, Page, Strict, Text

PHOTO_TEXT = {"type": "string", "format": "photo-base64", "contentEncoding": "base64"}


class CheckIn(Strict):
    """Photos of one fixture, and the plan that they are held against."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"anyOf": [{"required": ["photo"]}, {"required": ["photos"]}]}
    )

    plan: Annotated[str, Field(min_length=1, max_length=200, description="Name of a kept plan.")]
    photo: str = Field(default="", min_length=1, description="One photo in base64.", json_schema_extra={**PHOTO_TEXT})
    photos: list[str] = Field(
        default=[], min_length=1, max_length=PHOTOS, description="Several.", json_schema_extra={"items": {**PHOTO_TEXT}}
    )
    side: Annotated[int, Field(ge=64, le=4096)] | None = None
    only: Annotated[list[Only], Field(max_length=100)] = Field(default=[], description="As in a scan.")
    labels: bool = Field(default=False, description="Find and read price labels, too.")
    keep: bool = Field(default=False, description="Keep the check: findings become tasks, what is mended is done.")

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.photo and not self.photos:
            raise ValueError("give `photo` or `photos`")
        return self


class CheckAnswer(BaseModel):
    """What `POST /v1/checks` answers, and a line of `retail-seg check`."""

    plan: str
    photos: list[dict[str, Any]]
    positions: list[dict[str, Any]]
    findings: list[dict[str, Any]]
    labels: list[dict[str, Any]] | None = Field(default=None, description="Price labels, where they were asked for.")
    notes: list[str] = Field(default_factory=list)
    check: int | None = Field(default=None, description="The kept check's number.")
    tasks_opened: list[int] = Field(default_factory=list)
    tasks_mended: list[int] = Field(default_factory=list)
    failed: list[str] = Field(default_factory=list, description="Photos that could not be read, and why.")


class KeptCheckOut(BaseModel):
    """A kept check in a list."""

    id: int
    at: str
    by: str
    plan: str
    version: Count
    fixture: str
    shop: str
    taken: str
    summary: dict[str, Any]


class CheckPage(Page):
    """A page of kept checks."""

    items: Annotated[list[KeptCheckOut], Field(max_length=PAGE)]


class PlanIn(Strict):
    """How a plan's file is kept."""

    name: Text = Field(default="", description="Name of the plan; that of the file without it.")


class PlanOut(BaseModel):
    """A kept plan."""

    id: int
    name: str
    version: Count
    kind: str
    fixtures: list[str]
    positions: Any = Field(description="How many it has, in a list; itself: each of them.")


class PlanPage(Page):
    """A page of plans."""

    items: Annotated[list[PlanOut], Field(max_length=PAGE)]


class KeptPlanOut(Strict):
    """A plan that was taken in."""

    name: str
    version: Count
    problems: list[str] = Field(description="Lines that were refused, and why.")
    notes: list[str]


class TaskPatch(Strict):
    """What becomes of a task."""

    state: Literal["open", "taken", "done", "not true"]
    who: Annotated[str, Field(max_length=100)] = ""
    note: Text = ""


class TaskOut(BaseModel):
    """What somebody is to do about a finding."""

    id: int
    place: str
    state: str
    who: str
    note: str
    opened: str
    changed: str
    closed_check: int
    finding: dict[str, Any]


class TaskPage(Page):
    """A page of tasks, the dearest first."""

    items: Annotated[list[TaskOut], Field(max_length=PAGE)]
