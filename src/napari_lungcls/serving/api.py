"""The routes of the server's own interface, version 1."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse

from napari_lungcls.inference.damage import as_json
from napari_lungcls.network.decision import predicted_class
from napari_lungcls.serving.dispatcher import Busy
from napari_lungcls.serving.errors import Refusal
from napari_lungcls.serving.jobs import PaintJob
from napari_lungcls.serving.kept_images import save_body
from napari_lungcls.serving.models import ServedModel
from napari_lungcls.serving.requests import (
    Asked,
    ClassifyFields,
    KeepFields,
    PaintFields,
    checked,
    opener,
    read_request,
)
from napari_lungcls.serving.service import Classified, Service
from napari_lungcls.utils.printable import printable

_IMAGE = {"image": {"type": "string", "format": "binary", "description": "PNG, JPEG or TIFF"}}


def _body(fields: type, example: dict[str, Any]) -> dict[str, Any]:
    """Describe a body that is read by hand, for OpenAPI."""
    schema = fields.model_json_schema()  # type: ignore[attr-defined]
    form = {**schema, "properties": _IMAGE | schema["properties"]}
    return {
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": form},
                "application/json": {"schema": schema, "example": example},
                "image/png": {"schema": _IMAGE["image"]},
            },
        }
    }


_CLASSIFY = _body(ClassifyFields, {"path": "mouse1/a.ome.tif", "coordinates": [[20, 10], [64, 80]]})
_PAINT = _body(PaintFields, {"path": "mouse1/a.ome.tif", "stride": 4, "format": "ome-zarr"})
_KEEP = _body(KeepFields, {"path": "mouse1/a.ome.tif"})
_PREDICTED = {
    "model": "lung",
    "classes": ["alveoli", "septa", "duct"],
    "predictions": [
        {
            "class": "septa",
            "confidence": 0.91,
            "probabilities": {"alveoli": 0.06, "septa": 0.91, "duct": 0.03},
        }
    ],
    "notes": [],
}


def routes(service: Service) -> APIRouter:
    """Make the routes."""
    router = APIRouter(prefix="/v1", tags=["v1"])

    @router.get("/models")
    def models() -> dict[str, Any]:
        """List the models, and say what the server takes."""
        options = service.options
        limits = {
            "megabytes": options.max_image_mb,
            "megapixels": options.max_megapixels,
            "points": options.max_points,
        }
        return {"models": [each.summary() for each in service.models], "limits": limits}

    @router.get("/models/{name}")
    def card(name: str) -> dict[str, Any]:
        """Say what is known about a model: data, metrics, calibration, versions, checksum."""
        return service.models.find(name).card()

    @router.post(
        "/classify",
        openapi_extra=_CLASSIFY,
        responses={200: {"content": {"application/json": {"example": _PREDICTED}}}},
    )
    async def classify(request: Request) -> dict[str, Any]:
        """Classify points of an image; its centre if there are no coordinates."""
        with service.admitted():
            asked = await read_request(request)
            fields: ClassifyFields = checked(ClassifyFields, asked.fields)
            model = service.models.find(fields.model, fields.sha256)
            image = opener(asked, fields, service)
            found = await service.classify(request, model, image, fields.coordinates)
        return classified(model, found)

    @router.post("/paint", status_code=202, openapi_extra=_PAINT)
    async def paint(request: Request) -> JSONResponse:
        """Paint an image: answers at once with a job, whose map can be fetched when it is done."""
        with service.admitted():
            asked = await read_request(request)
            fields: PaintFields = checked(PaintFields, asked.fields)
            model = service.models.find(fields.model, fields.sha256)
            image = opener(asked, fields, service)
            y0, y1, x0, x1 = fields.region or (0, 0, 0, 0)
            try:
                job = service.jobs.add(
                    model.model,
                    model.name,
                    image,
                    stride=fields.stride,
                    region=None if fields.region is None else (slice(y0, y1), slice(x0, x1)),
                    planes=None if fields.planes is None else slice(*fields.planes),
                    precision=fields.precision,
                    kind=fields.format,
                    probabilities=fields.probabilities,
                )
            except Busy:
                raise service.busy() from None
        told = described(job)
        return JSONResponse(told, 202, {"Location": told["url"]})

    @router.get("/jobs/{key}")
    def job(key: str) -> dict[str, Any]:
        """Say how far a painting is."""
        return described(_job(service, key))

    @router.delete("/jobs/{key}")
    def cancel(key: str) -> dict[str, Any]:
        """Cancel a painting, or delete its map if it has ended."""
        found = _job(service, key)
        service.jobs.remove(key)
        return described(found)

    @router.post("/images", status_code=201, openapi_extra=_KEEP)
    async def keep(request: Request) -> dict[str, Any]:
        """Keep an image for further requests, which name it by the `id` of the answer."""
        with service.admitted():
            sent = not request.headers.get("content-type", "").startswith("application/json")
            asked = Asked(dict(request.query_params), None) if sent else await read_request(request)
            fields: KeepFields = checked(KeepFields, asked.fields)
            if sent == (fields.path is not None):
                raise Refusal(400, "send an image, or name one by its path")
            image = service.images.add(fields.path, fields.channels)
            try:
                if sent:
                    await save_body(request.stream(), image.file)
                return await asyncio.to_thread(service.images.describe, image.key)
            except BaseException:
                service.images.remove(image.key)
                raise

    @router.get("/images/{key}")
    def has(key: str) -> dict[str, str]:
        """Say whether an image is still kept, and keep it on."""
        service.images.touch(key)
        return {"id": key}

    @router.delete("/images/{key}", status_code=204)
    def forget(key: str) -> None:
        """Forget an image."""
        service.images.remove(key)

    @router.get("/jobs/{key}/blocks/{number}")
    def block(key: str, number: int) -> FileResponse:
        """Give a block of a map that is still painted; `blocks` of the job are there."""
        found = _job(service, key)
        if found.blocks is None or not 0 <= number < found.blocks.count:
            raise Refusal(404, f"block {number} is not painted", f"ask {_url(found)} first")
        return FileResponse(found.path / str(number), media_type="application/gzip")

    @router.get("/jobs/{key}/{path:path}")
    def file(key: str, path: str) -> FileResponse:
        """Give the map, or a file of it: an OME-Zarr is read as `…/map.ome.zarr`."""
        found = _job(service, key)
        if found.state != "done":
            raise Refusal(409, f"the painting is {found.state}", f"ask {_url(found)} first")
        return FileResponse(_inside(found.folder, path))

    return router


def classified(model: ServedModel, found: Classified) -> dict[str, Any]:
    """Write predictions as a document."""
    document, names = model.model.document, model.model.scheme.names
    codes = predicted_class(found.probabilities, document.threshold)
    return {
        "model": model.name,
        "classes": list(names),
        "predictions": [
            {
                "class": names[code],
                "confidence": float(row[code]),
                "probabilities": dict(zip(names, map(float, row), strict=True)),
            }
            for code, row in zip(np.asarray(codes), found.probabilities, strict=True)
        ],
        "notes": found.notes,
    }


def described(job: PaintJob) -> dict[str, Any]:
    """Write a job as a document."""
    done = job.state == "done"
    return {
        "id": job.id,
        "url": _url(job),
        "state": job.state,
        "model": job.name,
        "done": job.done,
        "total": job.total,
        "seconds_left": job.remaining if job.state == "running" else None,
        "error": printable(job.error) or None,
        "notes": job.notes,
        "format": job.kind,
        "map": f"{_url(job)}/{job.path.name}" if done and job.blocks is None else None,
        "blocks": 0 if job.blocks is None else job.blocks.count,
        "precision": job.precision,
        "damaged": as_json(job.damage),
        "fractions": job.fractions if done else None,
    }


def _url(job: PaintJob) -> str:
    return f"/v1/jobs/{job.id}"


def _job(service: Service, key: str) -> PaintJob:
    return _found(lambda: service.jobs[key], "there is no such painting", "maps are kept an hour")


def _found(look: Callable[[], PaintJob], problem: str, remedy: str) -> PaintJob:
    try:
        return look()
    except KeyError:
        raise Refusal(404, problem, remedy) from None


def _inside(folder: Path, path: str) -> Path:
    """Find a file of a map; nothing outside its folder."""
    parts = PurePosixPath(path.replace("\\", "/"))
    top = folder.resolve()
    file = top.joinpath(*parts.parts).resolve() if not parts.is_absolute() else top
    if ".." in parts.parts or not file.is_relative_to(top) or not os.path.isfile(file):
        raise Refusal(404, f"{path}: the map has no such file")
    return file
