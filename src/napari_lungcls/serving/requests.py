"""What a request asks for: its image, and its fields, however it was sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from fastapi import Request
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import UploadFile

from napari_lungcls.errors import InputError
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.network.engines.protocol import Precision
from napari_lungcls.serving.errors import Refusal
from napari_lungcls.serving.images import named_image, sent_image
from napari_lungcls.serving.options import ServerOptions

if TYPE_CHECKING:
    from napari_lungcls.serving.service import Service

ImageOpener = Callable[[], AbstractContextManager[ImageStack]]

PICTURES = ("image/", "application/x-image", "application/octet-stream")


class ImageFields(BaseModel):
    """What every request may say.

    Attributes
    ----------
    model
        Name of the model; the only one if left out.
    sha256
        Checksum of the model's file; one of another is not used.
    path
        Image below the server's folder, in place of one that is sent.
    image_id
        An image that the server keeps, in place of one that is sent.
    pixel_size
        Micrometres per pixel, if the image does not say.
    channels
        Which channels to use, as on the command line.
    """

    model_config = ConfigDict(extra="forbid")

    model: str | None = None
    sha256: str | None = None
    path: str | None = None
    image_id: str | None = None
    pixel_size: float | None = Field(default=None, gt=0)
    channels: str | None = None


class KeepFields(BaseModel):
    """What is said about an image that the server is to keep.

    Attributes
    ----------
    path
        Image below the server's folder, in place of one that is sent.
    channels
        Which channels to use, as on the command line.
    """

    model_config = ConfigDict(extra="forbid")

    path: str | None = None
    channels: str | None = None


class ClassifyFields(ImageFields):
    """Fields of a classification.

    Attributes
    ----------
    coordinates
        `(n, ndim)` positions `(…, y, x)` in pixels of the image; its centre if left out.
    """

    coordinates: list[list[float]] | None = None


class PaintFields(ImageFields):
    """Fields of a painting.

    Attributes
    ----------
    stride
        Image pixels between cells.
    region
        First and last row and column, `[y0, y1, x0, x1]`.
    planes
        First plane and the one after the last, along the axis before `(y, x)`.
    format
        What is written; `blocks` can be fetched while the rest is painted.
    probabilities
        Whether those of all classes are written too.
    precision
        What the network computes with.
    """

    stride: int = Field(default=4, ge=1, le=64)
    region: tuple[int, int, int, int] | None = None
    planes: tuple[int, int] | None = None
    format: Literal["ome-zarr", "ome-tiff", "png", "blocks"] = "ome-zarr"
    probabilities: bool = False
    precision: Precision = "auto"


@dataclass(frozen=True)
class Asked:
    """The fields of a request, and the bytes of its image if it was sent."""

    fields: dict[str, Any]
    data: bytes | None


async def read_request(request: Request) -> Asked:
    """Read a request: a form with a file `image`, JSON with a `path`, or a bare picture.

    Raises
    ------
    Refusal
        If it is of another kind.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    query: dict[str, Any] = dict(request.query_params)
    if kind == "multipart/form-data":
        async with request.form(max_files=1, max_fields=16) as form:
            image = form.get("image")
            fields = {k: v for k, v in form.items() if isinstance(v, str)}
            data = await image.read() if isinstance(image, UploadFile) else None
        return Asked(_decoded(query | fields), data)
    if kind == "application/json":
        try:
            found = json.loads(await request.body())
        except ValueError as error:
            raise Refusal(400, f"the request is no JSON: {error}") from error
        if not isinstance(found, dict):
            raise Refusal(400, "the request is no JSON object", "see /openapi.json")
        return Asked(query | found, None)
    if kind.startswith(PICTURES):
        return Asked(_decoded(query), await request.body())
    raise Refusal(
        415,
        f"a request of type {kind or 'unknown'} is not understood",
        "send multipart/form-data with a file 'image', application/json with a 'path', or a bare "
        "image/png, image/jpeg or image/tiff",
    )


def checked(model: type[BaseModel], fields: dict[str, Any]) -> Any:
    """Check fields.

    Raises
    ------
    Refusal
        Naming the first that is wrong.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the request"
        raise Refusal(400, f"{where}: {first['msg']}", "see /openapi.json") from error


def opener(asked: Asked, fields: ImageFields, service: Service) -> ImageOpener:
    """Give what opens the image of a request.

    Raises
    ------
    Refusal
        If it has none, or two.
    """
    data, path, key = asked.data, fields.path, fields.image_id
    if sum(each is not None for each in (data, path, key)) != 1:
        raise Refusal(
            400,
            "a request has one image",
            "send a file 'image', or name one with 'path' or 'image_id'",
        )
    options, size, channels = service.options, fields.pixel_size, fields.channels
    if key is not None:
        if channels is not None:
            raise Refusal(400, "channels are chosen when an image is sent", "leave channels out")
        return lambda: service.images.open(key, size)
    if path is not None:
        return lambda: named_image(path, options, size, channels)
    assert data is not None
    return lambda: sent_image(data, options, service.pixels, size, channels)


def positions(
    coordinates: list[list[float]] | None, stack: ImageStack, options: ServerOptions
) -> NDArray[np.float64]:
    """Give the points of a request, `(n, ndim)`; without any the centre of the image.

    Raises
    ------
    Refusal
        If they are too many or no table.
    """
    if coordinates is None:
        if stack.leading:
            raise Refusal(400, "a stack has no centre", "give coordinates (…, y, x)")
        return (np.array([stack.plane_shape], np.float64) - 1) / 2
    if len(coordinates) > options.max_points:
        raise Refusal(
            413,
            f"{len(coordinates)} points, and {options.max_points} are taken at most",
            "send them in parts",
        )
    try:
        found = np.array(coordinates, np.float64).reshape(len(coordinates), -1)
    except ValueError as error:
        raise Refusal(400, "the coordinates have rows of different lengths") from error
    if not np.isfinite(found).all():
        raise InputError("the coordinates hold what is no number")
    return found if len(found) else np.empty((0, stack.ndim))


def _decoded(fields: dict[str, Any]) -> dict[str, Any]:
    """Read what a form can only send as text: JSON, if it is some."""
    texts = ("model", "sha256", "path", "image_id", "channels", "format", "precision")

    def read(name: str, value: Any) -> Any:
        if name in texts or not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            return value

    return {name: read(name, value) for name, value in fields.items()}
