"""A server under load: whether answers are right, how long they take, whether memory is flat.

    python benchmarks/serving.py [--clients 64] [--seconds 120] [--model MODEL] [--points 8]

starts a server in a process of its own, and clients that ask without pause and do not repeat
what was refused. Each sends a picture of 512² with some random points, and compares the answer with
what the model says in this process. Prints JSON:

- `statuses`: how many answers of each status; only 200 and 503 are intended;
- `largest_difference`: of probabilities from the model's own;
- `requests_per_second`, and `p50_ms` and `p99_ms` of answers with status 200;
- `memory_mb`: of the server after a tenth of the time, at the end, and the ratio;
- `after_sigterm`: statuses of what was under way when the server was told to end in the middle
  of the load, and the seconds until it had ended;
- `together_over_alone`: requests per second with requests predicted together over one by one,
  alternating, the median of several runs.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import imageio.v3 as iio
import numpy as np

import napari_lungcls as lc
from napari_lungcls.annotation import ClassScheme
from napari_lungcls.network.model_file import ModelDocument
from napari_lungcls.network.spec import NetworkSpec, Normalisation
from napari_lungcls.network.state import initial_state
from napari_lungcls.synthetic import make_section

EDGE = 512
AS_SERVER = "--as-server"


def main() -> None:
    """Measure, and print JSON."""
    args = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        path = args.model or _untrained(Path(folder) / "lung.safetensors")
        model = lc.load(path, device="cpu")
        size = model.document.pixel_size or 1.0
        image = make_section((EDGE, EDGE), pixel_size=size, seed=1).image
        file = io.BytesIO()
        iio.imwrite(file, image, extension=".png")
        asked = _asked(model, lc.as_stack(image, pixel_size=size), args.points)
        load = _Load(file.getvalue(), asked)
        result = _long(path, load, args)
        result["together_over_alone"] = _compared(path, load, args)
    print(json.dumps(result, indent=2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="a server under load")
    add = parser.add_argument
    add("--clients", type=int, default=64)
    add("--seconds", type=float, default=120)
    add("--points", type=int, default=8, help="of a request")
    add("--model", type=Path, help="default: a network of the default shape, untrained")
    add("--runs", type=int, default=3, help="pairs of runs together and alone")
    add("--waiting", type=int, default=32, help="the server's --max-waiting")
    return parser.parse_args()


def _untrained(path: Path) -> Path:
    scheme = ClassScheme.preset("lung")
    normalisation = Normalisation(mean=(180, 150, 180), std=(50, 50, 40))
    spec = NetworkSpec(classes=len(scheme), normalisation=normalisation)
    document = ModelDocument(network=spec, scheme=scheme, pixel_size=1.0, engine="torch")
    return lc.Model(document, initial_state(spec, 0), device="cpu").save(path)


def _asked(model: lc.Model, image: Any, points: int) -> list[tuple[str, Any]]:
    """Give requests, and what the model says to each."""
    rng = np.random.default_rng(0)
    where = rng.uniform(0, EDGE - 1, (16, points, 2)).round(1)
    return [(json.dumps(each.tolist()), model.classify(image, each)) for each in where]


class _Load:
    """Clients that ask without pause."""

    def __init__(self, picture: bytes, asked: list[tuple[str, Any]]) -> None:
        self._picture, self._asked = picture, asked
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.milliseconds: list[float] = []
        self.difference = 0.0

    def run(self, address: str, clients: int, end: threading.Event) -> list[threading.Thread]:
        threads = [
            threading.Thread(target=self._ask, args=(address, i, end)) for i in range(clients)
        ]
        for thread in threads:
            thread.start()
        return threads

    def _ask(self, address: str, seed: int, end: threading.Event) -> None:
        rng = np.random.default_rng(seed)
        with httpx.Client(base_url=address, timeout=120) as client:
            while not end.is_set():
                where, expected = self._asked[rng.integers(len(self._asked))]
                files, data = {"image": self._picture}, {"coordinates": where}
                began, status, difference = time.perf_counter(), "", 0.0
                try:
                    answer = client.post("/v1/classify", files=files, data=data)
                    status = str(answer.status_code)
                    if status == "200":
                        rows = [
                            list(p["probabilities"].values()) for p in answer.json()["predictions"]
                        ]
                        difference = float(np.abs(np.array(rows) - expected).max())
                except httpx.HTTPError as error:
                    status = type(error).__name__
                seconds = time.perf_counter() - began
                with self._lock:
                    self.statuses[status] += 1
                    self.difference = max(self.difference, difference)
                    if status == "200":
                        self.milliseconds.append(1000 * seconds)
                if status != "200":
                    time.sleep(0.05)


@contextmanager
def _server(path: Path, waiting: int, together: int) -> Iterator[tuple[str, Any]]:
    command = [sys.executable, __file__, AS_SERVER, str(path), str(waiting), str(together)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    address = next(
        line.split("running on ")[1].split()[0] for line in process.stderr if "running on" in line
    )
    drain = threading.Thread(target=process.stderr.read, daemon=True)
    drain.start()
    try:
        yield address, process
    finally:
        process.kill()
        process.wait()


def _serve(path: str, waiting: str, together: str) -> None:
    import uvicorn

    from napari_lungcls.serving.app import create_app
    from napari_lungcls.serving.models import read_models
    from napari_lungcls.serving.options import ServerOptions

    options = ServerOptions(max_waiting=int(waiting), together=int(together))
    app = create_app(read_models([Path(path)], device="cpu"), options)
    uvicorn.run(app, port=0, timeout_graceful_shutdown=int(options.grace), access_log=False)


def _long(path: Path, load: _Load, args: argparse.Namespace) -> dict[str, Any]:
    """Load a server for the whole time, then tell it to end in the middle of the load."""
    with _server(path, args.waiting, 16) as (address, process):
        end = threading.Event()
        load.forget()
        threads = load.run(address, args.clients, end)
        time.sleep(args.seconds / 10)
        first = _memory(process.pid)
        time.sleep(args.seconds * 9 / 10)
        last = _memory(process.pid)
        milliseconds = np.array(load.milliseconds)
        found: dict[str, Any] = {
            "clients": args.clients,
            "seconds": args.seconds,
            "cpus": os.cpu_count(),
            "statuses": dict(load.statuses),
            "largest_difference": load.difference,
            "requests_per_second": round(len(milliseconds) / args.seconds, 2),
            "p50_ms": round(float(np.median(milliseconds)), 1),
            "p99_ms": round(float(np.percentile(milliseconds, 99)), 1),
            "memory_mb": {"early": first, "end": last, "ratio": round(last / first, 3)},
        }
        load.forget()
        process.send_signal(signal.SIGTERM)
        began = time.perf_counter()
        process.wait(60)
        seconds = time.perf_counter() - began
        end.set()
        for thread in threads:
            thread.join()
        found["after_sigterm"] = {"statuses": dict(load.statuses), "seconds": round(seconds, 2)}
        return found


def _compared(path: Path, load: _Load, args: argparse.Namespace) -> dict[str, Any]:
    """Compare requests predicted together with one by one, turn about."""
    rates: dict[int, list[float]] = {1: [], 16: []}
    for _ in range(args.runs):
        for together in rates:
            with _server(path, args.clients + 1, together) as (address, _):
                end, seconds = threading.Event(), max(5.0, args.seconds / 12)
                threads = load.run(address, args.clients, end)
                time.sleep(seconds / 5)
                load.forget()
                time.sleep(seconds)
                rates[together].append(len(load.milliseconds) / seconds)
                end.set()
                for thread in threads:
                    thread.join()
    ratios = [a / b for a, b in zip(rates[16], rates[1], strict=True)]
    return {
        "median": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "requests_per_second": {str(k): [round(v, 2) for v in each] for k, each in rates.items()},
    }


def _memory(process: int) -> float:
    """Resident megabytes."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


if __name__ == "__main__":
    if sys.argv[1:2] == [AS_SERVER]:
        _serve(*sys.argv[2:5])
    else:
        main()
