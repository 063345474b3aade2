"""What goes in and out by the Open Inference Protocol (KServe v2)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from retail_seg.api.schemas import Strict, Text


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


class ModelList(Strict):
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
    parameters: dict[str, Any] = Field(default_factory=dict)


class InferIn(Strict):
    """A question to a model."""

    id: Text = ""
    inputs: Annotated[list[InferInput], Field(min_length=1, max_length=1)]
    outputs: list[dict[str, Any]] = Field(default_factory=list)
    parameters: dict[str, Any] = Field(default_factory=dict)


class InferOutput(Tensor):
    """Answers as texts of JSON."""

    data: list[str]


class InferOut(Strict):
    """What a model answers."""

    model_name: str
    model_version: str
    id: str
    outputs: list[InferOutput]
