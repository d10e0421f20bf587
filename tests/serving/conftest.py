"""A small model and image, and a server with them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import imageio.v3 as iio
import numpy as np
import pytest

from known_network import make_document, make_spec, random_state
from napari_lungcls.model import Model
from serving_here import serving

EDGE = 96


@pytest.fixture(scope="session")
def image() -> np.ndarray:
    """A made RGB image."""
    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 256, (12, 12, 3)).repeat(8, 0).repeat(8, 1)
    return (coarse + rng.integers(0, 20, (EDGE, EDGE, 3))).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def picture(image: np.ndarray) -> bytes:
    """The image as a PNG."""
    file = io.BytesIO()
    iio.imwrite(file, image, extension=".png")
    return file.getvalue()


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with random parameters."""
    spec = make_spec(stages=(-1, 0, 1, 2), hidden=8)
    model = Model(make_document(spec, pixel_size=1.0), random_state(spec), device="cpu")
    return model.save(tmp_path_factory.mktemp("models") / "lung.safetensors")


@pytest.fixture(scope="module")
def client(model_file: Path, image: np.ndarray, tmp_path_factory: Any) -> Iterator[httpx.Client]:
    """A client of a server that may read a folder with the image in it."""
    root = tmp_path_factory.mktemp("root")
    iio.imwrite(root / "section.png", image)
    (root.parent / "secret.png").write_bytes((root / "section.png").read_bytes())
    (root / "link.png").symlink_to(root.parent / "secret.png")
    with serving(model_file, roots=(root,)) as found:
        yield found
