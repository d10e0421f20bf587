"""Fuzz everything that reads what strangers wrote, as often as asked.

    python benchmarks/fuzz.py --inputs 100000
    python benchmarks/fuzz.py --inputs 1000 model npz http
    python benchmarks/fuzz.py --replay model:4711
    python benchmarks/fuzz.py --atheris csv -max_total_time=60

Prints JSON: for each format the number of inputs, how many were read and how many refused, the
crashes, the longest time that one took, and by how much the memory of the process grew. Input
number n of a format depends on `--seed` and n alone. A crash is any other error than a refusal,
more than `--seconds` of processor time, more than `--megabytes` of address space beside what the
program had before, or the end of the process; it is given with its number and in base64. Hangs are
inputs over which a library in C loops, so that no handler of Python runs. The exit code is 1 if
there was a crash.

`--atheris` has the libFuzzer of atheris choose the inputs, where that is installed.
"""

from __future__ import annotations

import argparse
import base64
import json
import logging
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
ATHERIS = "--atheris"


def instrumented() -> AbstractContextManager[Any]:
    """Have atheris watch what is imported of the program, where it is asked for."""
    if not any(word.partition("=")[0] == ATHERIS for word in sys.argv):
        return nullcontext()
    try:
        import atheris
    except ModuleNotFoundError:
        sys.exit("atheris is not installed; pip install atheris, or leave --atheris out")
    watching: AbstractContextManager[Any] = atheris.instrument_imports(include=["napari_lungcls"])
    return watching


with instrumented():
    from fuzz.targets import HTTP, NAMES, target

MOST_CRASHES = 20
"""Kept of each format; all are counted."""

HANGS = 2
"""Times the allowed time after which a library is taken to loop for ever."""

THREADS_MB = 4096
"""Address space that the threads of a server may reserve beside."""


class TooSlow(BaseException):
    """An input took more time than allowed; no handler of the program may catch this."""


def made(name: str, number: int, seed: int) -> bytes:
    """Make one input."""
    random, found = Random(f"{seed} {name} {number}"), target(name)
    return found.mutate(random.choice(found.seeds), random)


def run(name: str, begin: int, end: int, words: argparse.Namespace) -> None:
    """Try inputs in this process, and write after each what became of all to a file."""
    logging.disable()  # Libraries tell of damage in their own ways.
    for data in target(name).seeds:
        target(name).read(data)
    _limit(words.megabytes + (THREADS_MB if name == HTTP else 0))
    signal.signal(signal.SIGPROF, _too_slow)
    before = _peak_mb()
    found: dict[str, Any] = {"read": 0, "refused": 0, "slowest_s": 0.0, "crashes": []}
    state, count = Path(words.state), 0
    stop = time.monotonic() + 60 * words.minutes
    skipped = set(map(int, filter(None, words.skip.split(","))))
    for number in range(begin, end):
        if number in skipped:
            continue
        data = made(name, number, words.seed)
        # The process may end here; whoever started it then knows the input.
        state.with_suffix(".at").write_text(str(number))
        start = time.process_time()
        error = _error(name, data, words.seconds)
        found["slowest_s"] = max(found["slowest_s"], time.process_time() - start)
        if error in ("read", "refused"):
            found[error] += 1
        else:
            count += 1
            if count <= MOST_CRASHES:
                found["crashes"].append(_crash(number, error, data))
        if number % 500 == 499 or error not in ("read", "refused"):
            _note(state, found, number + 1, count, before)
            if time.monotonic() > stop:
                return
    _note(state, found, end, count, before)


def _note(state: Path, found: dict[str, Any], following: int, count: int, before: float) -> None:
    """Write down what became of the inputs before the next one."""
    done = found | {"next": following, "count": count, "grown_mb": _peak_mb() - before}
    state.write_text(json.dumps(done))


def _error(name: str, data: bytes, seconds: float) -> str:
    """Give `read`, `refused`, or what went wrong."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    # Python hears of no signal while a library loops: this one ends the process.
    signal.setitimer(signal.ITIMER_VIRTUAL, HANGS * seconds)
    try:
        return "read" if target(name).read(data) else "refused"
    except TooSlow:
        return f"took more than {seconds:g} s: {traceback.format_exc(limit=-2)}"
    except Exception:
        return traceback.format_exc(limit=-3)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _crash(number: int, error: str, data: bytes) -> dict[str, Any]:
    return {"number": number, "error": error, "input": base64.b64encode(data).decode()}


def _too_slow(*_: object) -> None:
    raise TooSlow


def _limit(megabytes: int) -> None:
    """Let the process have only so much more address space."""
    status = Path("/proc/self/statm")
    if status.exists():
        now = int(status.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + megabytes * 2**20,) * 2)


def _peak_mb() -> float:
    each = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * each / 2**20, 1)


def campaign(name: str, words: argparse.Namespace) -> dict[str, Any]:
    """Try all inputs of a format in processes that may end, one after the other."""
    whole: dict[str, Any] = {
        "inputs": 0, "read": 0, "refused": 0, "crashes": 0, "hangs": 0, "slowest_s": 0.0,
        "grown_mb": 0.0, "seconds": 0.0, "examples": [],
    }  # fmt: skip
    begin, start, ended = 0, time.perf_counter(), list[str]()
    end_of_time = start + 60 * words.minutes
    with tempfile.TemporaryDirectory(prefix="lungcls-fuzz-") as folder:
        state = Path(folder) / "state.json"
        while begin < words.inputs and (left := end_of_time - time.perf_counter()) > 0:
            state.unlink(missing_ok=True)
            end = min(words.inputs, begin + words.batch)
            command = [sys.executable, "-W", "ignore", __file__, name, "--seed", str(words.seed),
                       "--seconds", str(words.seconds), "--megabytes", str(words.megabytes),
                       "--state", str(state), "--range", f"{begin}:{end}",
                       "--minutes", str(left / 60),
                       "--skip", ",".join(ended)]  # fmt: skip
            code = subprocess.run(command, check=False).returncode
            done = json.loads(state.read_text()) if state.exists() else {"next": begin}
            for key in ("read", "refused"):
                whole[key] += done.get(key, 0)
            whole["crashes"] += done.get("count", 0)
            whole["examples"] += done.get("crashes", [])
            for key in ("slowest_s", "grown_mb"):
                whole[key] = max(whole[key], done.get(key, 0.0))
            begin = done["next"]
            if code:
                at = int(state.with_suffix(".at").read_text())
                data, hangs = made(name, at, words.seed), code == -signal.SIGVTALRM
                words_of = "a library loops" if hangs else f"the process ended with {code}"
                whole["hangs" if hangs else "crashes"] += 1
                whole["examples"].append(_crash(at, words_of, data))
                ended.append(str(at))
    whole["examples"] = whole["examples"][:MOST_CRASHES]
    return whole | {"inputs": begin, "seconds": round(time.perf_counter() - start, 1)}


def with_atheris(name: str, options: list[str]) -> None:
    """Let atheris choose inputs until it is stopped."""
    import atheris

    logging.disable()
    with instrumented():
        found = target(name)
    corpus = Path(tempfile.mkdtemp(prefix=f"lungcls-{name}-"))
    for number, data in enumerate(found.seeds):
        (corpus / f"seed{number}").write_bytes(data)
    atheris.Setup([sys.argv[0], str(corpus), *options], lambda data: found.read(data) and None)
    atheris.Fuzz()


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("formats", nargs="*", help=", ".join(NAMES))
    parser.add_argument("--inputs", type=int, default=1000, help="of each format")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers")
    parser.add_argument("--seconds", type=float, default=5.0, help="of processor time for an input")
    parser.add_argument("--megabytes", type=int, default=1024, help="that an input may take")
    parser.add_argument("--minutes", type=float, default=1e9, help="for a format, at the most")
    parser.add_argument("--batch", type=int, default=20_000, help="inputs of one process")
    parser.add_argument("--out", type=Path, help="file for the JSON, written after each format")
    parser.add_argument("--replay", metavar="FORMAT:NUMBER", help="read one input, and show errors")
    parser.add_argument(ATHERIS, metavar="FORMAT", help="options for libFuzzer may follow")
    parser.add_argument("--range", help=argparse.SUPPRESS)
    parser.add_argument("--skip", default="", help=argparse.SUPPRESS)
    parser.add_argument("--state", help=argparse.SUPPRESS)
    words, others = parser.parse_known_args()
    if words.atheris:
        with_atheris(words.atheris, others)
        return
    names = words.formats or NAMES
    if others or not set(names) <= set(NAMES):
        parser.error(f"formats are {', '.join(NAMES)}")
    if words.replay:
        name, _, number = words.replay.partition(":")
        print("read" if target(name).read(made(name, int(number), words.seed)) else "refused")
    elif words.range:
        run(names[0], *map(int, words.range.split(":")), words)
        # The threads of a server would wait for each other.
        os._exit(0)
    else:
        results: dict[str, Any] = {}
        for name in names:
            results[name] = campaign(name, words)
            if words.out is not None:
                words.out.write_text(json.dumps(results, indent=2))
        print(json.dumps(results, indent=2))
        sys.exit(any(result["crashes"] for result in results.values()))


if __name__ == "__main__":
    main()
