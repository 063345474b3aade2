"""The Open Inference Protocol (v2, KServe): the models `scan` and `match`, with photos in base64 as BYTES."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from retail_seg import __version__
from retail_seg.api.bodies import decoded, json_body
from retail_seg.api.inference_schemas import InferIn, InferOut, ModelList, ModelOut, ServerOut
from retail_seg.api.openapi import json_request, problems
from retail_seg.api.problems import Rejection
from retail_seg.api.service import Asked, Photo, Service
from retail_seg.people.roles import require

router = APIRouter(prefix="/v2", tags=["inference protocol"])
MODELS = ("scan", "match")
Name = Annotated[str, Path(max_length=100, description="`scan` or `match`.")]


@router.get("", response_model=ServerOut)
def server() -> Any:
    """The server's name and version."""
    return JSONResponse({"name": "retail-seg", "version": __version__, "extensions": []})


@router.get("/models", response_model=ModelList)
def models(request: Request) -> Any:
    """The models that can be asked."""
    return JSONResponse({"models": [_metadata(request.state.service, name) for name in MODELS]})


@router.get("/models/{name}", response_model=ModelOut, responses=problems(404, 422))
def model(request: Request, name: Name) -> Any:
    """What a model takes and gives; its version names the networks and the catalogue's revision."""
    _check(name)
    return JSONResponse(_metadata(request.state.service, name))


@router.get("/models/{name}/ready", response_class=Response, responses=problems(404, 422, 503))
def ready(request: Request, name: Name) -> Response:
    """Whether a model's networks are loaded."""
    _check(name)
    service: Service = request.state.service
    if not service.ready:
        raise Rejection("busy", f"{name} is not ready", headers={"Retry-After": "2"})
    return Response()


@router.post(
    "/models/{name}/infer", response_model=InferOut, openapi_extra=json_request(InferIn),
    responses=problems(400, 404, 413, 415, 422, 503),
)  # fmt: skip
async def infer(request: Request, name: Name) -> Any:
    """Ask a model about photos: each answer is the JSON object of `/v1/scan` or `/v1/match`. For staff."""
    _check(name)
    require("staff")
    service: Service = request.state.service
    asked = await json_body(request, InferIn)
    if [one.name for one in asked.inputs] != ["photo"]:
        raise Rejection("invalid", "inputs: give one, named photo", ((("body", "inputs"), "is not `photo` alone"),))
    texts = asked.inputs[0].data
    if asked.inputs[0].shape not in ([len(texts)], [len(texts), 1]):
        raise Rejection(
            "invalid", "inputs: shape and data differ", ((("body", "inputs", 0, "shape"), "is not that of data"),)
        )
    photos = [
        Photo(decoded(text, "inputs", 0, "data", at), f"photo {at}", request.state.request_id)
        for at, text in enumerate(texts)
    ]
    found = await asyncio.gather(*(_ask(service, name, photo) for photo in photos))
    data = [json.dumps(one, ensure_ascii=False) for one in found]
    output = {"name": "answer", "datatype": "BYTES", "shape": [len(data)], "data": data}
    version = _metadata(service, name)["versions"][0]
    return JSONResponse({"model_name": name, "model_version": version, "id": asked.id, "outputs": [output]})


async def _ask(service: Service, name: str, photo: Photo) -> dict[str, Any]:
    if name == "scan":
        return (await asyncio.wrap_future(service.scan(photo, Asked("scan")))).report.to_dict()
    found = await asyncio.wrap_future(service.match(photo, Asked("match")))
    versions = await run_in_threadpool(service.matcher.versions, segmented=False)
    return {"image": photo.name, **found.to_dict(), **versions}


def _check(name: str) -> None:
    if name not in MODELS:
        raise Rejection("not-found", f"there is no model {name[:100]}; ask {' or '.join(MODELS)}")


def _metadata(service: Service, name: str) -> dict[str, Any]:
    versions = service.matcher.versions(segmented=name == "scan")
    version = " ".join(f"{key}={value}" for key, value in versions.items())
    return {
        "name": name,
        "versions": [version],
        "platform": "retail-seg",
        "inputs": [{"name": "photo", "datatype": "BYTES", "shape": [-1]}],
        "outputs": [{"name": "answer", "datatype": "BYTES", "shape": [-1]}],
    }
