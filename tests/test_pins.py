"""The two lists of pins agree in all that MXNet does not forbid."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]
OLDER = {"numpy", "imagecodecs", "pandas", "zarr"}
"""What needs numpy 2 in its newest release."""


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_the_lists_differ_in_numpy_and_what_needs_a_newer_one() -> None:
    usual, old = pins("constraints.txt"), pins("constraints-mxnet.txt")
    assert old["numpy"].startswith("1.")
    assert {name for name in usual if usual[name] != old.get(name)} == OLDER
    assert old.keys() - usual.keys() == {"graphviz", "mxnet"}
