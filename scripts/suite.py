"""Run the tests: first most of them side by side, then, alone, those that time a window.

    python scripts/suite.py [--coverage | arguments of pytest]

With `--coverage` it also measures what the tests run, but not while windows are timed; with
other arguments it is pytest itself.
"""

from __future__ import annotations

import os
import subprocess
import sys

ALONE = "tests/gui/test_journeys.py"
"""Windows whose longest standstill is measured: nothing else may run beside them."""

MOST = 4
"""Processes at most: each holds PyTorch, napari and images of its own, about 1.5 GB."""

NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"


def main() -> int:
    """Return pytest's exit code; of two, the first that is not 0."""
    measured = sys.argv[1:] == ["--coverage"]
    if len(sys.argv) > 1 and not measured:
        return _pytest(*sys.argv[1:])
    processes = str(min(MOST, os.cpu_count() or 1))
    # Each process has a processor of its own; threads of several would only wait for each other.
    most = _pytest(
        "--numprocesses", processes, "--dist", "worksteal", f"--ignore={ALONE}",
        *(["--cov"] if measured else []),
        OMP_NUM_THREADS="1",
    )  # fmt: skip
    # Last, when the tests of the other environment have ended as well.
    return _pytest(ALONE) or most


def _pytest(*arguments: str, **environment: str) -> int:
    command = [sys.executable, "-m", "pytest", *arguments]
    # Tests start many processes, and each would compile all modules anew.
    inherited = {name: value for name, value in os.environ.items() if name != NO_BYTECODE}
    return subprocess.run(command, env=inherited | environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
