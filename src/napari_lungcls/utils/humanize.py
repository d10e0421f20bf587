"""Numbers as people read them: shares, counts, durations, sizes."""

from __future__ import annotations

from collections.abc import Iterable


def percent(share: float | None, digits: int = 1) -> str:
    """Write a share as a percentage: `95.6 %`; a dash where it is not defined.

    What is neither nothing nor all never looks as if it were: `<0.1 %`, `>99.9 %`.

    Parameters
    ----------
    share
        0 to 1, or None.
    digits
        After the decimal point.
    """
    if share is None:
        return "–"
    value, step = 100 * float(share), 10.0**-digits
    text = f"{value:.{digits}f}"
    if value > 0 and float(text) == 0:
        text = f"<{step:.{digits}f}"
    elif value < 100 and float(text) == 100:
        text = f">{100 - step:.{digits}f}"
    return f"{text} %"


def count(n: int, singular: str) -> str:
    """Write a number of things: `1 point`, `12,000 points`."""
    return f"{n:,} {singular}{'' if n == 1 else 's'}"


def listing(words: Iterable[str], most: int = 6) -> str:
    """List names, but not endlessly: `a, b and 3 more`."""
    names = list(words)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def duration(seconds: float) -> str:
    """Write a duration: `42 s`, `3 min 5 s`, `2 h 1 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s" if whole >= 1 else f"{seconds:.1f} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def size(n: int) -> str:
    """Write a number of bytes: `3.4 MB`."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if n >= unit:
            return f"{n / unit:.3g} {name}" if n < 1000 * unit else f"{n // unit:,} {name}"
    return f"{n} bytes"
