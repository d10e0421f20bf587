"""Images that a client sends once and asks about often: kept for a while, and not too many."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_lungcls.images.stack import ImageStack
from napari_lungcls.run_identity import diagonal_samples
from napari_lungcls.serving.budget import Budget
from napari_lungcls.serving.dispatcher import Busy
from napari_lungcls.serving.errors import Refusal
from napari_lungcls.serving.images import FILE, named_image, stored_image
from napari_lungcls.serving.options import ServerOptions

IN_USE = 60.0
"""Seconds for which an image is not given up for another."""


@dataclass(eq=False)
class KeptImage:
    """An image that requests may name.

    Attributes
    ----------
    key
        Random: whoever knows it may ask about the image.
    folder
        Holds the image if it was sent, and goes with it.
    name
        Path below the server's folder if it was named.
    channels
        Which channels to use.
    used
        When it was last asked about.
    """

    key: str
    folder: Path
    name: str | None
    channels: str | None
    used: float = field(default_factory=time.monotonic)

    @property
    def file(self) -> Path:
        """Where the bytes of a sent image lie."""
        return self.folder / FILE


class KeptImages:
    """The images of all clients.

    Parameters
    ----------
    options
        Limits of the server.
    pixels
        Of images that are open.
    """

    def __init__(self, options: ServerOptions, pixels: Budget) -> None:
        self._options, self._pixels = options, pixels
        self._top = Path(tempfile.mkdtemp(prefix="lungcls-images-"))
        self._images: dict[str, KeptImage] = {}
        self._lock = threading.Lock()

    def add(self, name: str | None, channels: str | None) -> KeptImage:
        """Make room for an image.

        Raises
        ------
        Busy
            If too many are kept that were asked about a moment ago.
        """
        with self._lock:
            now = time.monotonic()
            for old in sorted(self._images.values(), key=lambda each: each.used):
                full = len(self._images) >= self._options.max_images
                if now - old.used > (IN_USE if full else self._options.keep_jobs):
                    self._forget(old.key)
            if len(self._images) >= self._options.max_images:
                raise Busy
            key = secrets.token_urlsafe(16)
            image = KeptImage(key, self._top / key, name, channels)
            image.folder.mkdir()
            self._images[key] = image
        return image

    def open(self, key: str, pixel_size: float | None) -> AbstractContextManager[ImageStack]:
        """Open an image.

        Raises
        ------
        Refusal
            If it is not there any more.
        """
        image = self.touch(key)
        if image.name is not None:
            return named_image(image.name, self._options, pixel_size, image.channels)
        return stored_image(image.file, self._options, self._pixels, pixel_size, image.channels)

    def touch(self, key: str) -> KeptImage:
        """Find an image, and note that it is used.

        Raises
        ------
        Refusal
            If it is not there any more.
        """
        with self._lock:
            image = self._images.get(key)
            if image is None:
                raise Refusal(404, "there is no such image any more", "send it again")
            image.used = time.monotonic()
        return image

    def describe(self, key: str) -> dict[str, Any]:
        """Say what an image is, so that a client can tell whether it is the one it means."""
        with self.open(key, None) as stack:
            return {
                "id": key,
                "shape": list(stack.shape),
                "levels": [list(level.shape[: stack.ndim]) for level in stack.levels],
                "dtype": stack.dtype.name,
                "rgb": stack.rgb,
                "samples": diagonal_samples(stack),
            }

    def remove(self, key: str) -> None:
        """Forget an image, if it is there."""
        with self._lock:
            self._forget(key)

    def close(self) -> None:
        """Forget all."""
        shutil.rmtree(self._top, ignore_errors=True)

    def _forget(self, key: str) -> None:
        image = self._images.pop(key, None)
        if image is not None:
            shutil.rmtree(image.folder, ignore_errors=True)


async def save_body(chunks: AsyncIterator[bytes], path: Path) -> None:
    """Write a body to a file as it arrives; memory holds a piece of it."""
    with path.open("wb") as file:
        async for chunk in chunks:
            file.write(chunk)
