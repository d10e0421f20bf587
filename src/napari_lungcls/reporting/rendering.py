"""Rendering the figures of a report, as PNG, as SVG files, and as elements of a page."""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from napari_lungcls.reporting.figures import INK

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def png_of(figure: Figure) -> bytes:
    """Render a figure as PNG on white, 160 dots per inch."""
    buffer = io.BytesIO()
    with _any_script():
        figure.savefig(buffer, format="png", dpi=160, facecolor="white")
    return buffer.getvalue()


def svg_of(figure: Figure, prefix: str) -> str:
    """Render a figure as SVG without a background; the same figure gives the same text.

    Parameters
    ----------
    figure
        What to draw.
    prefix
        Begins every id, so that several figures can stand in one page.
    """
    buffer = io.StringIO()
    with _any_script():
        figure.savefig(buffer, format="svg", facecolor="none", metadata={"Date": None})
    # Comments repeat texts of the user; nothing needs them.
    svg = re.sub(r"<!--.*?-->\n?", "", buffer.getvalue(), flags=re.DOTALL)
    ids = {name: f"{prefix}-{i}" for i, name in enumerate(re.findall(r'\bid="([^"]+)"', svg))}
    return re.sub(r'(\bid="|url\(#|href="#)([^")]+)', lambda m: m[1] + ids.get(m[2], m[2]), svg)


def svg_file(svg: str) -> str:
    """Put a figure on white, for a file of its own."""
    return re.sub(r"<svg[^>]*>", r'\g<0>\n <rect width="100%" height="100%" fill="#fff"/>', svg)


def svg_inline(svg: str, description: str) -> str:
    """Make a figure an element of a page, in whose text colour it is drawn, light or dark."""
    label = html.escape(description)
    element = svg[svg.index("<svg") :].replace(INK, "currentColor")
    return element.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


@contextmanager
def _any_script() -> Iterator[None]:
    """Let names in scripts that matplotlib's font lacks be drawn as boxes, without a word.

    The page itself gives every name as text.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        yield
