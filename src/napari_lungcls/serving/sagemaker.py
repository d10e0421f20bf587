"""SageMaker's contract: `/ping`, `/invocations`, and the address that its clients call.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html. A bare
picture is one request. Without coordinates the class of its centre is meant; the header
`X-Amzn-SageMaker-Custom-Attributes` may say more: `coordinates=[[20,10]];pixel-size=1.8;
class-order=alveoli,duct,septa`.
"""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request, Response

from napari_lungcls.serving.errors import Refusal
from napari_lungcls.serving.models import ServedModel
from napari_lungcls.serving.requests import (
    Asked,
    ClassifyFields,
    checked,
    opener,
    read_request,
)
from napari_lungcls.serving.service import Service

JSON, LINES = "application/json", "application/jsonlines"
ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
TARGET = "x-amzn-sagemaker-target-model"


def routes(service: Service) -> APIRouter:
    """Make the routes."""
    router = APIRouter(tags=["SageMaker"])

    @router.get("/ping")
    def ping() -> Response:
        """Whether requests are taken: 200 with an empty body."""
        return Response(status_code=503 if service.ending else 200)

    @router.post("/invocations")
    async def invocations(request: Request) -> Response:
        """Classify the centre of a picture, or the points in the custom attributes."""
        return await _invoke(service, request, _target(request))

    @router.post("/endpoints/{name}/invocations")
    async def endpoint(name: str, request: Request) -> Response:
        """Do the same for the model that is called like the endpoint, as boto3 asks."""
        return await _invoke(service, request, _target(request) or name)

    return router


def _target(request: Request) -> str | None:
    target = request.headers.get(TARGET)
    return None if target is None else target.rpartition("/")[2].partition(".")[0]


async def _invoke(service: Service, request: Request, name: str | None) -> Response:
    kind = _accepted(request.headers.get("accept", "*/*"))
    attributes = _attributes(request.headers.get(ATTRIBUTES, ""))
    order = attributes.pop("class-order", ",".join(service.options.class_order))
    with service.admitted():
        asked = await read_request(request)
        known = {key.replace("-", "_"): value for key, value in attributes.items()}
        values = asked.fields | {name: _value(name, value) for name, value in known.items()}
        fields: ClassifyFields = checked(ClassifyFields, values)
        model = _model(service, name or fields.model)
        places = _places(model, order)
        image = opener(Asked(values, asked.data), fields, service)
        found = await service.classify(request, model, image, fields.coordinates)
    rows = [[float(row[i]) for i in places] for row in found.probabilities]
    if kind == LINES:
        text = "".join(json.dumps({"prediction": row}) + "\n" for row in rows)
    else:
        text = json.dumps(rows if fields.coordinates is not None else rows[0])
    return Response(text, media_type=kind)


def _model(service: Service, name: str | None) -> ServedModel:
    """Find a model; SageMaker says 400 where there is none."""
    try:
        return service.models.find(name)
    except Refusal as error:
        raise Refusal(400, str(error.detail), error.remedy) from None


def _accepted(header: str) -> str:
    """Choose what is answered: a list, or one object a line."""
    for part in header.split(","):
        kind = part.partition(";")[0].strip().lower()
        if kind == LINES:
            return LINES
        if kind in ("", "*", "*/*", JSON, "application/*"):
            return JSON
    raise Refusal(406, f"Accept: {header}: is not written", f"accept {JSON} or {LINES}")


def _attributes(header: str) -> dict[str, str]:
    found = {}
    for part in filter(None, (each.strip() for each in header.split(";"))):
        key, equals, value = part.partition("=")
        if not equals:
            raise Refusal(400, f"{part}: is no attribute", "write key=value;key=value")
        found[key.strip().lower()] = value.strip()
    return found


def _value(name: str, text: str) -> Any:
    if name in ("coordinates", "pixel_size"):
        try:
            return json.loads(text)
        except ValueError as error:
            raise Refusal(400, f"{name}: {text} is no JSON") from error
    return text


def _places(model: ServedModel, order: str) -> list[int]:
    names = list(model.model.scheme.names)
    wanted = [each.strip() for each in order.split(",") if each.strip()] or names
    if sorted(wanted) != sorted(names):
        raise Refusal(
            400, f"class-order {order}: is not all classes once", f"they are {', '.join(names)}"
        )
    return [names.index(name) for name in wanted]
