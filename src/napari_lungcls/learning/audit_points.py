"""Keeping points that are to audit a map out of what its model learns from."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from napari_lungcls.annotation.columns import DESIGN_ID_COLUMN
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.images.pairs import Pair


def without_audit(pairs: Sequence[Pair], *, use_audit: bool | None) -> list[Pair]:
    """Leave out the points that a design drew, unless they are to be learned from.

    A model knows the points it has learned from: an audit by them would find too few errors.
    They are used neither for training nor for validation, which chooses the epoch.

    Parameters
    ----------
    pairs
        Images with their points.
    use_audit
        Whether to learn from them all the same; None where nobody can ask for it.

    Raises
    ------
    InputError
        When no other points are left.

    Warns
    -----
    LungclsWarning
        When some are left out.
    """
    audits = [points.is_audit for _, points in pairs]
    count = sum(int(audit.sum()) for audit in audits)
    if use_audit or not count:
        return list(pairs)
    sources = ", ".join(
        dict.fromkeys(p.source for (_, p), audit in zip(pairs, audits, strict=True) if audit.any())
    )
    kept = [
        (stack, points.select(~audit))
        for (stack, points), audit in zip(pairs, audits, strict=True)
        if not audit.all()
    ]
    learn = {"use_audit": True} if use_audit is not None else {}
    if not kept:
        raise InputError(
            f"{sources}: all points are of an audit, by which a model is judged that has not seen "
            "them",
            suggestion=("label other points", *(("or", learn) if learn else ())),
        )
    warnings.warn(
        LungclsWarning(
            f"{sources}: {count} points of an audit are left out, as nothing may learn from them",
            suggestion=(learn, "to learn from them all the same") if learn else (),
        ),
        stacklevel=3,
    )
    return kept


def designs_of(pairs: Sequence[Pair]) -> list[str]:
    """Name the designs that drew some of the points."""
    found: list[str] = []
    for _, points in pairs:
        column = points.column(DESIGN_ID_COLUMN)
        if column is not None:
            found += [text.strip() for text in column[points.is_audit]]
    return list(dict.fromkeys(text for text in found if text))
