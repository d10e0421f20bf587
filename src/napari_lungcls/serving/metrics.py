"""What Prometheus reads of a server."""

from __future__ import annotations

import time
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from napari_lungcls.serving.dispatcher import Dispatcher
from napari_lungcls.serving.jobs import PaintJobs


class ServerMetrics:
    """Counts requests and points, and reads the line and the jobs when asked.

    Parameters
    ----------
    dispatcher, jobs
        Of the server.
    """

    def __init__(self, dispatcher: Dispatcher, jobs: PaintJobs) -> None:
        own = self._registry = CollectorRegistry()
        ProcessCollector(registry=own)
        PlatformCollector(registry=own)
        self.requests = Counter(
            "lungcls_requests", "Requests by route and status", ["route", "status"], registry=own
        )
        self.seconds = Histogram(
            "lungcls_request_seconds", "Seconds of a request by route", ["route"], registry=own
        )
        self.points = Counter("lungcls_points", "Points classified", registry=own)
        for name, words, read in (
            ("lungcls_waiting", "Classifications that wait or run", lambda: dispatcher.depth),
            ("lungcls_batches", "Batches predicted", lambda: dispatcher.batches),
            ("lungcls_batched_requests", "Requests in them", lambda: dispatcher.requests),
            ("lungcls_paintings", "Paintings that wait or run", lambda: jobs.active),
        ):
            Gauge(name, words, registry=own).set_function(read)

    def text(self) -> bytes:
        """Write all of them in Prometheus's format."""
        return generate_latest(self._registry)


class Counting:
    """Counts requests and their time, by route and status.

    Parameters
    ----------
    app
        What answers them.
    metrics
        Where they are counted.
    """

    def __init__(self, app: ASGIApp, metrics: ServerMetrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def answer(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, answer)
        finally:
            route: Any = scope.get("route")
            path = getattr(route, "path", "other")
            self._metrics.requests.labels(path, str(status)).inc()
            self._metrics.seconds.labels(path).observe(time.perf_counter() - began)
