"""What a server allows: limits on bytes, pixels, points, time and waiting requests."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class ServerOptions(BaseModel):
    """Limits and permissions of a server.

    Attributes
    ----------
    max_image_mb
        Megabytes of a request's body.
    max_megapixels
        Pixels of an image that is sent, in millions, all planes together.
    max_points
        Points of one request.
    max_waiting
        Requests that wait or run; one more is answered 503 with `Retry-After`.
    max_images
        Images that are kept for further requests.
    max_jobs
        Paintings that wait or run, and finished ones that are kept.
    timeout
        Seconds after which a classification is given up.
    grace
        Seconds that a shutdown waits for what was accepted.
    keep_jobs
        Seconds that the map of a finished painting is kept, and an image nobody asks about.
    unattended
        Seconds after which a painting in blocks is cancelled if nobody asks about it.
    together
        Waiting requests that are predicted at once.
    roots
        Folders whose images may be named by path; none if empty.
    token
        What clients must send as `Authorization: Bearer TOKEN`; None: nothing.
    allow_origins
        Addresses of web pages that may call the server from a browser.
    class_order
        Order of the classes in SageMaker's list of probabilities; empty: the model's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_image_mb: float = Field(default=64, gt=0)
    max_megapixels: float = Field(default=400, gt=0)
    max_points: int = Field(default=100_000, ge=1)
    max_waiting: int = Field(default=64, ge=1)
    max_images: int = Field(default=16, ge=1)
    max_jobs: int = Field(default=8, ge=1)
    timeout: float = Field(default=60, gt=0)
    grace: float = Field(default=25, gt=0)
    keep_jobs: float = Field(default=3600, gt=0)
    unattended: float = Field(default=600, gt=0)
    together: int = Field(default=16, ge=1)
    roots: tuple[Path, ...] = ()
    token: str | None = None
    allow_origins: tuple[str, ...] = ()
    class_order: tuple[str, ...] = ()
