"""Fuzz the readers of points with damaged files, as often as asked.

    python benchmarks/fuzz.py --runs 100000
    python benchmarks/fuzz.py --runs 1000 qupath imagej

Prints JSON: for each format the number of inputs, how many were read and how many refused, the
longest time one took, and the crashes, each with its error and the input in base64. The exit code
is 1 if there was one. The same seed gives the same inputs.
"""

from __future__ import annotations

import argparse
import base64
import json
import logging
import sys
import time
import traceback
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from fuzz.targets import TARGETS, mutated

MOST_CRASHES = 10
"""Kept of each format; all are counted."""


def fuzz(name: str, runs: int, seed: int) -> dict[str, Any]:
    """Give what became of so many damaged files of a format."""
    read, seeds = TARGETS[name]
    random = Random(f"{seed} {name}")
    found = {"inputs": runs, "read": 0, "refused": 0, "crashes": 0, "slowest_s": 0.0}
    crashes: list[dict[str, str]] = []
    begin = time.perf_counter()
    for _ in range(runs):
        data = mutated(random.choice(seeds), random)
        start = time.perf_counter()
        try:
            found["read" if read(data) else "refused"] += 1
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            found["crashes"] += 1
            if len(crashes) < MOST_CRASHES:
                where = traceback.format_exc(limit=-2)
                crashes.append({"error": where, "input": base64.b64encode(data).decode()})
        found["slowest_s"] = max(found["slowest_s"], time.perf_counter() - start)
    return found | {"seconds": round(time.perf_counter() - begin, 1), "examples": crashes}


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("formats", nargs="*", choices=[*TARGETS, []], default=[])
    parser.add_argument("--runs", type=int, default=1000, help="inputs of each format")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers")
    words = parser.parse_args()
    logging.disable()  # roifile tells of every damaged name.
    results = {name: fuzz(name, words.runs, words.seed) for name in words.formats or TARGETS}
    print(json.dumps(results, indent=2))
    sys.exit(any(result["crashes"] for result in results.values()))


if __name__ == "__main__":
    main()
