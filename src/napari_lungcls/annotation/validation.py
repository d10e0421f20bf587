"""What pydantic found wrong, in the words of one line."""

from __future__ import annotations

from pydantic import ValidationError

_SHOWN = 60


def one_line(error: ValidationError) -> str:
    """Name the first field that `error` complains about, what is wrong, and how many follow.

    Returns
    -------
    str
        For example ``classes[1].color: 'blu' is not a colour (got 'blu'; 2 more problems)``.
    """
    problems = error.errors(include_url=False, include_context=False)
    first = problems[0]
    where = "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]
    ).removeprefix(".")
    message = first["msg"].removeprefix("Value error, ")
    notes = []
    if first["type"] not in {"missing", "value_error"}:
        notes.append(f"got {shown(first['input'])}")
    if len(problems) > 1:
        more = len(problems) - 1
        notes.append(f"{more} more problem{'s' if more > 1 else ''}")
    tail = f" ({'; '.join(notes)})" if notes else ""
    return f"{where}: {message}{tail}" if where else f"{message}{tail}"


def shown(value: object) -> str:
    """Give `value` as Python writes it, cut to what fits in a message."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
