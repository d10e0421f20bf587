"""Run the tests: first those that time a window, alone, then all others side by side.

    python scripts/suite.py [arguments of pytest]

With arguments it is pytest itself.
"""

from __future__ import annotations

import os
import subprocess
import sys

ALONE = "tests/gui/test_journeys.py"
"""Windows whose longest standstill is measured: nothing else may run beside them."""

MOST = 4
"""Processes at most: each holds PyTorch, napari and images of its own, about 1.5 GB."""


def main() -> int:
    """Return pytest's exit code; of two, the first that is not 0."""
    if len(sys.argv) > 1:
        return _pytest(*sys.argv[1:])
    first = _pytest(ALONE)
    processes = str(min(MOST, os.cpu_count() or 1))
    # Each process has a processor of its own; threads of several would only wait for each other.
    others = _pytest(
        "--numprocesses", processes, "--dist", "worksteal", f"--ignore={ALONE}", OMP_NUM_THREADS="1"
    )
    return first or others


def _pytest(*arguments: str, **environment: str) -> int:
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(command, env=os.environ | environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
