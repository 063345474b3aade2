"""The parts of the OpenAPI document that FastAPI cannot work out by itself: bodies of two kinds, errors, tokens."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from retail_seg.api import catalogue_schemas, inference_schemas, schemas, shelf_schemas
from retail_seg.api.gate import OPEN
from retail_seg.api.limits import PHOTOS
from retail_seg.api.problems import MEDIA_TYPE

#: Where the models of bodies stand.
MODULES = (schemas, catalogue_schemas, inference_schemas, shelf_schemas)
REF = "#/components/schemas/"
METHODS = ("get", "post", "put", "patch", "delete")
#: What every request with a token may be answered beside what its own route says.
ALWAYS = (401, 429, 500, 503)
TITLES = {
    400: "The request cannot be read", 401: "No token, or one that is unknown, revoked or expired",
    403: "The token's role does not suffice", 404: "There is no such thing", 409: "It is there already",
    412: "It has been changed meanwhile", 413: "The body is too large", 415: "A kind of body that is not taken",
    422: "A value cannot be used", 429: "Too often; see Retry-After", 500: "An error of the program",
    503: "Too much at once; see Retry-After",
}  # fmt: skip
_RETRY = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "string"}}}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problem answers of a route, for `responses=`."""
    return {status: _problem(status) for status in sorted({*statuses, 403})}


def _problem(status: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "description": TITLES[status],
        "content": {MEDIA_TYPE: {"schema": {"$ref": f"{REF}Problem"}}},
    }
    return found | ({"headers": _RETRY} if status in (429, 503) else {})


def photo_request(model: type[BaseModel]) -> dict[str, Any]:
    """A body that is a form with the file `photo`, or JSON with it in base64."""
    schema = model.model_json_schema()
    photo = {"type": "string", "format": "binary", "description": "The photo's file, at most 20 MB."}
    form = {**schema, "properties": {**schema["properties"], "photo": photo}, "title": f"{schema['title']}Form"}
    return {
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": form},
                "application/json": {"schema": {"$ref": f"{REF}{schema['title']}"}},
            },
        },
        "x-models": [schema["title"]],
    }


def pictures_request() -> dict[str, Any]:
    """A body that is a form with one file `photo` or more, or JSON with `photos` in base64."""
    file = {"type": "string", "format": "binary"}
    photos = {"type": "array", "items": file, "minItems": 1, "maxItems": PHOTOS, "description": "20 MB each at most."}
    form = {"type": "object", "properties": {"photo": photos}, "required": ["photo"], "additionalProperties": False}
    found = json_request(catalogue_schemas.PicturesIn)
    found["requestBody"]["content"]["multipart/form-data"] = {"schema": form}
    return found


def photos_request(model: type[BaseModel]) -> dict[str, Any]:
    """A body that is a form with one file `photo` or more and other fields, or JSON with the photos in base64."""
    schema = model.model_json_schema()
    others = {name: one for name, one in schema["properties"].items() if name not in ("photo", "photos")}
    file = {"type": "string", "format": "binary"}
    photos = {"type": "array", "items": file, "minItems": 1, "maxItems": PHOTOS, "description": "20 MB each at most."}
    required = [name for name in schema.get("required", ()) if name in others]
    form = {
        "type": "object", "properties": {"photo": photos, **others}, "required": ["photo", *required],
        "additionalProperties": False,
    }  # fmt: skip
    found = json_request(model)
    found["requestBody"]["content"]["multipart/form-data"] = {"schema": form}
    return found


def file_request(model: type[BaseModel]) -> dict[str, Any]:
    """A body that is a form with a `file` and what is asked of it."""
    schema = model.model_json_schema()
    file = {"type": "string", "format": "binary", "description": "The table or zip; its name's ending says which."}
    form = {**schema, "properties": {"file": file, **schema["properties"]}, "required": ["file"], "title": "ImportForm"}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}}


def json_request(model: type[BaseModel]) -> dict[str, Any]:
    """A body of JSON by a model."""
    name = model.__name__
    content = {"application/json": {"schema": {"$ref": f"{REF}{name}"}}}
    return {"requestBody": {"required": True, "content": content}, "x-models": [name]}


def document(app: FastAPI) -> dict[str, Any]:
    """The whole OpenAPI 3.1 document, made once."""
    if app.openapi_schema is None:
        app.openapi_schema = _document(app)
    return app.openapi_schema


def _document(app: FastAPI) -> dict[str, Any]:
    found = get_openapi(
        title=app.title, version=app.version, openapi_version="3.1.0", description=app.description, routes=app.routes
    )
    parts = found.setdefault("components", {})
    models = parts.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        models.pop(unused, None)
    parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    _add_model(models, schemas.Problem)
    for path, operations in found["paths"].items():
        for method in METHODS:
            if operation := operations.get(method):
                _complete(operation, path, models)
    return found


def _complete(operation: dict[str, Any], path: str, models: dict[str, Any]) -> None:
    """One operation with its models, its token and the problems that any request may meet."""
    for name in operation.pop("x-models", ()):
        _add_model(models, next(getattr(module, name) for module in MODULES if hasattr(module, name)))
    answers = operation["responses"]
    if "422" in answers and "application/json" in answers["422"].get("content", {}):
        answers["422"] = _problem(422)
    if path in OPEN:
        return
    operation["security"] = [{"token": []}]
    answers |= {str(status): _problem(status) for status in ALWAYS if str(status) not in answers}


def _add_model(models: dict[str, Any], model: type[BaseModel]) -> None:
    schema = model.model_json_schema(ref_template=REF + "{model}")
    models |= schema.pop("$defs", {})
    models[model.__name__] = schema
