"""The server on many machines: the app of `lungcls serve` under Ray Serve.

    pip install 'napari-lungcls[serve]' 'ray[serve]'
    LUNGCLS_SERVED=/shared/lung.safetensors serve run ray_serve:app

Every replica reads the models anew and has its own line of waiting requests. A job of painting is
known to the replica that took it and to no other: maps are painted on a Dask cluster, and points
are asked about here.
"""

from __future__ import annotations

import os
from pathlib import Path

from fastapi import FastAPI
from ray import serve

from napari_lungcls.serving.app import create_app
from napari_lungcls.serving.models import read_models
from napari_lungcls.serving.options import ServerOptions


def build() -> FastAPI:
    """Make the app of one replica, in its process."""
    files = os.environ["LUNGCLS_SERVED"].split(os.pathsep)
    return create_app(read_models(map(Path, files)), ServerOptions())


@serve.deployment(num_replicas=2, max_ongoing_requests=32)
@serve.ingress(build)
class Replica:
    """One copy of the app; Ray starts as many as the decorator says, on any machine."""


app = Replica.bind()
