"""Numbers as people read them."""

from __future__ import annotations

import pytest

from napari_lungcls.utils.humanize import count, duration, percent, size


@pytest.mark.parametrize(
    ("share", "whole", "fine"),
    [
        (None, "–", "–"),
        (0, "0 %", "0.0 %"),
        (0.0001, "<1 %", "<0.1 %"),
        (0.004999, "<1 %", "0.5 %"),
        (0.005001, "1 %", "0.5 %"),
        (0.37, "37 %", "37.0 %"),
        (0.9951, ">99 %", "99.5 %"),
        (0.9999, ">99 %", ">99.9 %"),
        (1, "100 %", "100.0 %"),
    ],
)
def test_percentages_round_nothing_away(share: float | None, whole: str, fine: str) -> None:
    assert (percent(share, 0), percent(share)) == (whole, fine)


def test_counts() -> None:
    assert [count(n, "point") for n in (0, 1, 12000)] == ["0 points", "1 point", "12,000 points"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.31, "0.3 s"), (42, "42 s"), (59.7, "1 min 0 s"), (185, "3 min 5 s"), (7260, "2 h 1 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_sizes() -> None:
    assert [size(n) for n in (12, 3400, 5_310_000, 12_345_000_000, 10**13)] == [
        "12 bytes",
        "3.4 kB",
        "5.31 MB",
        "12.3 GB",
        "10,000 GB",
    ]
