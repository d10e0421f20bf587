"""The app of a server: routes, who may ask, and how it begins and ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from importlib.metadata import version

from fastapi import APIRouter, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, PlainTextResponse

from napari_lungcls.serving import api, errors, page, sagemaker
from napari_lungcls.serving.budget import Budget
from napari_lungcls.serving.dispatcher import Dispatcher
from napari_lungcls.serving.guard import BodyLimit, Guard
from napari_lungcls.serving.jobs import PaintJobs
from napari_lungcls.serving.kept_images import KeptImages
from napari_lungcls.serving.metrics import Counting, ServerMetrics
from napari_lungcls.serving.models import ServedModels
from napari_lungcls.serving.options import ServerOptions
from napari_lungcls.serving.service import Service

DESCRIPTION = """Classify points of lung sections, and paint maps of the classes.

Send an image (PNG, JPEG, TIFF) with coordinates `[[y, x], …]` in pixels to `/v1/classify`; paint a
whole image with `/v1/paint`, which answers at once with a job. SageMaker's `/ping` and
`/invocations` are there too. Errors are JSON with the problem and the remedy."""


def create_app(models: ServedModels, options: ServerOptions | None = None) -> FastAPI:
    """Make the app that serves models.

    Parameters
    ----------
    models
        What clients may use; see `read_models`.
    options
        Limits and permissions.

    Returns
    -------
    FastAPI
        An ASGI app, for uvicorn or any other server, or for Ray Serve's `ingress`.
    """
    options = options or ServerOptions()
    dispatcher = Dispatcher(options.max_waiting, options.together)
    jobs, pixels = PaintJobs(options), Budget(2 * options.max_megapixels * 1e6)
    service = Service(
        models=models,
        options=options,
        dispatcher=dispatcher,
        jobs=jobs,
        images=KeptImages(options, pixels),
        metrics=ServerMetrics(dispatcher, jobs),
        requests=Budget(options.max_waiting),
        pixels=pixels,
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.ending = True
        await asyncio.to_thread(dispatcher.close)
        await asyncio.to_thread(jobs.close, options.grace)
        service.images.close()

    app = FastAPI(
        title="napari-lungcls",
        version=version("napari-lungcls"),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # its page would be fetched from elsewhere
        redoc_url=None,
    )
    app.state.service = service
    errors.install(app)
    app.include_router(_health(service))
    app.include_router(api.routes(service))
    app.include_router(sagemaker.routes(service))
    app.include_router(page.routes())
    app.add_middleware(Counting, metrics=service.metrics)
    app.add_middleware(Guard, options=options)
    app.add_middleware(BodyLimit, most=int(options.max_image_mb * 1e6))
    if options.allow_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(options.allow_origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
        )
    return app


def _health(service: Service) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/healthz")
    def alive() -> dict[str, str]:
        """Whether the process runs."""
        return {"status": "ok"}

    @router.get("/readyz")
    def ready() -> JSONResponse:
        """Whether it takes requests: not while it ends, or while the line is full."""
        full = service.dispatcher.depth >= service.options.max_waiting
        state = "ending" if service.ending else "busy" if full else "ready"
        return JSONResponse({"status": state}, 200 if state == "ready" else 503)

    @router.get("/metrics")
    def metrics() -> PlainTextResponse:
        """Counters and times in Prometheus's format."""
        return PlainTextResponse(service.metrics.text(), media_type="text/plain; version=0.0.4")

    return router
