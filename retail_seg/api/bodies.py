"""Bodies of requests ► checked values: JSON by a model, a photo as a form's file or in base64."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException

from retail_seg.api.limits import PHOTO_BYTES
from retail_seg.api.problems import Rejection, invalid
from retail_seg.api.service import Photo

if TYPE_CHECKING:
    from fastapi import Request

M = TypeVar("M", bound=BaseModel)
JSON_TYPES = ("application/json", "application/merge-patch+json")
FORM = "multipart/form-data"
#: Fields of a form that may stand in it several times.
LISTS = ("only",)


def media_type(request: Request) -> str:
    """The kind of body that a request says it has."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def json_body(request: Request, model: type[M]) -> M:
    """A body of JSON as the model takes it; raises Rejection."""
    if media_type(request) not in JSON_TYPES:
        raise Rejection("media-type", "Send JSON, with the header `Content-Type: application/json`")
    return _checked(model, _parsed(await request.body()), strict=True)


async def photo_body(request: Request, model: type[M]) -> tuple[Photo, M]:
    """A photo with what is asked of it, of a form with the file `photo` or of JSON with it in base64."""
    kind = media_type(request)
    if kind == FORM:
        return await _of_form(request, model)
    if kind not in JSON_TYPES:
        raise Rejection("media-type", f"Send {FORM} with the file `photo`, or application/json with it in base64")
    asked = await json_body(request, model)
    values = asked.model_dump()
    return Photo(decoded(values["photo"], "photo"), values["name"] or "photo", request.state.request_id), asked


async def _of_form(request: Request, model: type[M]) -> tuple[Photo, M]:
    async with _Form(request, files=1) as form:
        values: dict[str, Any] = {key: form.getlist(key) if key in LISTS else form[key] for key in form}
        file = values.pop("photo", None)
        asked = _checked(model, {**values, "photo": "form"})
        if not isinstance(file, UploadFile):
            raise Rejection("invalid", "photo: send the photo as a file", ((("body", "photo"), "is no file"),))
        name = str(values.get("name") or file.filename or "photo")
        return Photo(checked_size(await file.read(), "photo"), name, request.state.request_id), asked


async def form_of_files(request: Request, field: str, most: int, model: type[M]) -> tuple[list[Photo], M]:
    """The files of a form's field, in their order, and its other fields by a model; raises Rejection."""
    async with _Form(request, files=most) as form:
        values: dict[str, Any] = {key: form.getlist(key) if key in LISTS else form[key] for key in form if key != field}
        asked = _checked(model, {**values, field: "form"})
        found = [one for one in form.getlist(field) if isinstance(one, UploadFile)]
        if len(found) != len(form.getlist(field)) or not found:
            raise Rejection("invalid", f"{field}: send one file or more", ((("body", field), "is no file"),))
        names = [one.filename or f"{field} {number}" for number, one in enumerate(found, 1)]
        read = [checked_size(await one.read(), field) for one in found]
        return list(map(Photo, read, names)), asked


async def files_of(request: Request, field: str, most: int) -> list[Photo]:
    """The files of a form's field, in their order; raises Rejection for a form without any."""
    async with _Form(request, files=most) as form:
        others = sorted({key for key in form if key != field})
        if others:
            raise Rejection("invalid", f"{others[0]}: is no field of this form", ((("body", others[0]), "is unknown"),))
        found = form.getlist(field)
        if not found or not all(isinstance(one, UploadFile) for one in found):
            raise Rejection("invalid", f"{field}: send one file or more", (((("body", field)), "is no file"),))
        return [
            Photo(checked_size(await one.read(), field), one.filename or f"{field} {number}")
            for number, one in enumerate(found, 1)
            if isinstance(one, UploadFile)
        ]


@asynccontextmanager
async def open_file(request: Request, model: type[M]) -> AsyncIterator[tuple[str, UploadFile, M]]:
    """A form's one `file` with its name, open in the block, and the other fields by a model."""
    if media_type(request) != FORM:
        raise Rejection("media-type", f"Send {FORM} with the file `file`")
    async with _Form(request, files=1) as form:
        values: dict[str, Any] = dict(form.items())
        file = values.pop("file", None)
        asked = _checked(model, values)
        if not isinstance(file, UploadFile):
            raise Rejection("invalid", "file: send the table or zip as a file", ((("body", "file"), "is no file"),))
        yield file.filename or "file", file, asked


class _Form:
    """A multipart form, open in the block: its files are on disk where they are large."""

    def __init__(self, request: Request, files: int) -> None:
        self._request, self._files = request, files
        self._form: FormData | None = None

    async def __aenter__(self) -> FormData:
        from starlette.exceptions import HTTPException

        try:
            self._form = await self._request.form(max_files=self._files, max_fields=200, max_part_size=2**16)
        except (MultiPartException, HTTPException, ValueError, KeyError, UnicodeError) as error:
            told = getattr(error, "message", None) or getattr(error, "detail", None) or str(error)
            raise Rejection("bad-request", f"The form cannot be read ({told})") from None
        return self._form

    async def __aexit__(self, *error: object) -> None:
        if self._form is not None:
            await self._form.close()


def decoded(text: str, *place: str | int) -> bytes:
    """The bytes that base64 stands for; raises Rejection with the place."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Rejection("invalid", f"{place[0]}: is not base64", ((("body", *place), "is not base64"),)) from None
    return checked_size(data, *place)


def checked_size(data: bytes, *place: str | int) -> bytes:
    """The bytes of a photo's file; raises Rejection for too many."""
    if len(data) > PHOTO_BYTES:
        detail = f"{place[0]}: is larger than {PHOTO_BYTES // 10**6} MB; save the photo smaller"
        raise Rejection("too-large", detail, ((("body", *place), "is too large"),))
    return data


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data, parse_float=_number)
    except (ValueError, RecursionError) as error:
        raise Rejection("bad-request", f"The body is not JSON ({type(error).__name__}); send one JSON object") from None


def _number(text: str) -> int | float:
    """5.0 is a whole number in JSON Schema."""
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _checked(model: type[M], values: Any, *, strict: bool = False) -> M:
    """The values as the model takes them; those of a form are texts, others are `strict`ly what they are."""
    try:
        return model.model_validate(values, strict=strict, context="" if strict else "form")
    except ValidationError as error:
        raise invalid(error, "body") from None
