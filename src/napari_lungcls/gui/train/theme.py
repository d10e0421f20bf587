"""Colours of the training window's pictures, from the theme in use."""

from dataclasses import dataclass

from napari.utils.theme import get_theme
from qtpy.QtGui import QColor

TRUE = QColor("#1f9e6b")
FALSE = QColor("#d1495b")


@dataclass(frozen=True)
class Colours:
    """What a picture needs of a theme."""

    ground: QColor
    plot: QColor
    line: QColor
    text: QColor

    @classmethod
    def of(cls, theme: str) -> "Colours":
        """Look up the colours of a theme."""
        found = get_theme(theme)
        return cls(
            *(
                QColor(*colour.as_rgb_tuple()[:3])
                for colour in (found.background, found.foreground, found.highlight, found.text)
            )
        )


def mixed(ground: QColor, colour: QColor, share: float) -> QColor:
    """Lay `share` of a colour over a ground."""
    pairs = zip(ground.getRgb()[:3], colour.getRgb()[:3], strict=True)
    return QColor(*(round(g + (c - g) * share) for g, c in pairs))


def readable_on(ground: QColor) -> QColor:
    """Give black or white, whichever is read more easily on a ground."""
    red, green, blue = (_linear(value / 255) for value in ground.getRgb()[:3])
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    # Equal contrast against black and white lies where (L + 0.05)² = 0.05 · 1.05.
    return QColor("black") if luminance > 0.179 else QColor("white")


def _linear(value: float) -> float:
    """Undo the curve of sRGB, as WCAG 2 does."""
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)
