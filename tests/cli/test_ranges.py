"""Regions and planes as they are written on the command line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_lungcls.cli.paint import parse_range, parse_region
from napari_lungcls.errors import InputError


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("0:10,20:30", (slice(0, 10), slice(20, 30))),
        (" 5:7 , :9", (slice(5, 7), slice(0, 9))),
        (":,3:", (slice(0, None), slice(3, None))),
    ],
)
def test_regions_are_read(text: str, region: Any) -> None:
    assert parse_region(text) == region


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_ranges_are_read(first: int, last: int) -> None:
    assert parse_range(f"{first}:{last}", "--planes") == slice(first, last)


@pytest.mark.parametrize(
    "text",
    ["", "5", "1:2", "1:2,3:4,5:6", "a:b,1:2", "-1:2,0:3", "1:2:3,0:4", "0.5:2,0:4", "9" * 5000],
)
def test_other_texts_are_no_region(text: str) -> None:
    with pytest.raises(InputError, match=f"--region {text}: write"):
        parse_region(text)


@given(st.text(max_size=12))
def test_any_text_is_a_region_or_refused(text: str) -> None:
    try:
        rows, columns = parse_region(text)
    except InputError:
        return
    assert rows.start >= 0
    assert columns.start >= 0
