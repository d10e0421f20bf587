"""Figures: what they show, and that drawing them changes nothing else."""

import io
import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import matplotlib.style
import numpy as np
import pytest
from matplotlib import colors
from matplotlib.figure import Figure
from PIL import Image

from napari_lungcls.evaluation.metrics import Metrics, score
from napari_lungcls.learning.progress import EpochRecord
from napari_lungcls.reporting import figures


def metrics_of(counts: list[list[int]], names: list[str]) -> Metrics:
    """Make the metrics whose confusion counts these are."""
    table = np.array(counts)
    truth, predicted = np.nonzero(table)
    repeat = table[truth, predicted]
    return score(np.repeat(truth, repeat), np.eye(len(names))[np.repeat(predicted, repeat)], names)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def record(epoch: int, val: float | None = 0.8, loss: float = 0.5) -> EpochRecord:
    return EpochRecord(epoch, 1e-3, loss, 0.75, None if val is None else 0.6, val, 1.0)


def test_confusion_shows_counts_and_shares_of_the_truth() -> None:
    figure = figures.confusion_figure(metrics_of([[6, 2], [0, 5]], ["a", "b"]), {"a": "#ff0000"})
    assert texts(figure) == ["6", "75.0 %", "2", "25.0 %", "0", "5", "100.0 %"]
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b"]
    assert axes.get_ylabel() == "true class"
    assert axes.get_xlabel() == "predicted class"
    assert {line.get_color() for line in axes.lines} >= {"#ff0000"}


def test_rows_without_points_have_no_shares() -> None:
    figure = figures.confusion_figure(metrics_of([[3, 0], [0, 0]], ["a", "b"]), {})
    assert texts(figure) == ["3", "100.0 %", "0", "—", "—"]


def test_ink_stands_out_from_every_cell() -> None:
    counts = [[20 - n, n] for n in range(21)]
    for row in counts:
        figure = figures.confusion_figure(metrics_of([row, [0, 1]], ["a", "b"]), {})
        cells = [colors.to_rgb(patch.get_facecolor()) for patch in figure.axes[0].patches]
        for text in figure.axes[0].texts:
            x, y = text.get_position()
            cell = cells[2 * round(y) + round(x)]
            assert contrast(cell, colors.to_rgb(text.get_color())) > 4


def contrast(*pair: tuple[float, ...]) -> float:
    """Contrast ratio of WCAG 2.2, 1 to 21."""

    def luminance(color: tuple[float, ...]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    low, high = sorted(luminance(color) for color in pair)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 10])
def test_no_text_leaves_the_picture_or_meets_another(count: int) -> None:
    names = ["a very long name of a class"] + [f"class {code}" for code in range(1, count)]
    figure = figures.confusion_figure(
        metrics_of(np.full((count, count), 12345).tolist(), names), {}
    )
    figure.draw_without_rendering()
    axes = figure.axes[0]
    boxes = [text.get_window_extent() for text in axes.texts]
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])
    for label in [*axes.get_xticklabels(), *axes.get_yticklabels(), axes.xaxis.label]:
        box = label.get_window_extent()
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
    strips = [line.get_window_extent() for line in axes.lines]
    for label in [axes.get_yticklabels()[0], axes.get_yticklabels()[-1]]:
        assert not any(label.get_window_extent().overlaps(strip) for strip in strips)


def test_many_classes_are_coloured_without_numbers() -> None:
    count = 30
    names = [f"class {code}" for code in range(count)]
    figure = figures.confusion_figure(metrics_of(np.eye(count, dtype=int).tolist(), names), {})
    axes = figure.axes[0]
    assert texts(figure) == []
    shares = axes.collections[0].get_array()
    assert shares is not None
    np.testing.assert_array_equal(np.reshape(shares, (count, count)), np.eye(count))
    assert figure.get_size_inches().max() < 20


def test_curves_show_what_was_recorded() -> None:
    history = [record(1, 0.7), record(2, 0.9), record(3, 0.8)]
    loss, accuracy = figures.curves_figure(history).axes
    assert [line.get_label() for line in accuracy.lines] == ["training", "validation"]
    np.testing.assert_array_equal(accuracy.lines[1].get_xydata(), [[1, 0.7], [2, 0.9], [3, 0.8]])
    np.testing.assert_array_equal(loss.lines[0].get_ydata(), [0.5, 0.5, 0.5])
    assert loss.get_ylim()[0] == 0
    assert accuracy.get_ylim() == (0.6, 1.0)


@pytest.mark.parametrize("epochs", [1, 2, 60])
def test_curves_without_validation(epochs: int) -> None:
    history = [record(epoch, None) for epoch in range(1, epochs + 1)]
    figure = figures.curves_figure(history)
    assert [line.get_label() for line in figure.axes[0].lines] == ["training"]
    figure.draw_without_rendering()
    low, high = figure.axes[0].get_xlim()
    ticks = [tick for tick in figure.axes[0].get_xticks() if low <= tick <= high]
    assert ticks
    assert all(tick == round(tick) >= 1 for tick in ticks)


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_ran_away_is_still_drawn(loss: float) -> None:
    figure = figures.curves_figure([record(1), record(2, loss=loss)])
    assert figures.png_of(figure).startswith(b"\x89PNG")


def test_svg_is_one_well_formed_element_and_repeatable() -> None:
    metrics = metrics_of([[1, 2], [3, 4]], ["--><b>", "$x$ & y"])
    svgs = [figures.svg_of(figures.confusion_figure(metrics, {}), "m") for _ in range(2)]
    assert svgs[0] == svgs[1]
    assert "<!--" not in svgs[0]
    ids = re.findall(r'\bid="([^"]+)"', svgs[0])
    assert len(set(ids)) == len(ids) > 10
    assert all(name.startswith("m-") for name in ids)
    assert set(re.findall(r'(?:url\(#|href="#)([^")]+)', svgs[0])) <= set(ids)
    inline = figures.svg_inline(svgs[0], 'a "quoted" <figure>')
    assert figures.INK not in inline
    assert ET.fromstring(inline).get("aria-label") == 'a "quoted" <figure>'
    ET.fromstring(figures.svg_file(svgs[0]))


def test_png_is_on_white_and_sharp_enough() -> None:
    figure = figures.confusion_figure(metrics_of([[5]], ["a"]), {})
    image = Image.open(io.BytesIO(figures.png_of(figure))).convert("RGB")
    assert image.getpixel((0, 0)) == (255, 255, 255)
    assert min(image.size) > 300


def test_names_in_any_script_are_drawn_without_a_warning() -> None:
    names = ["肺胞", "$\\frac{", "سبخة"]
    figure = figures.confusion_figure(metrics_of(np.ones((3, 3), int).tolist(), names), {})
    assert figures.svg_of(figure, "m")
    assert figures.png_of(figure)


def test_neither_pyplot_nor_global_settings_are_touched() -> None:
    code = (
        "import sys, napari_lungcls.reporting as r; assert 'matplotlib' not in sys.modules\n"
        "import matplotlib; before = matplotlib.rcParams.copy(); backend = matplotlib.get_backend\n"
        "from napari_lungcls.evaluation.metrics import score; import numpy as np\n"
        "from napari_lungcls.reporting import figures\n"
        "f = figures.confusion_figure(score([0, 1], np.eye(2), ['a', 'b']), {})\n"
        "figures.png_of(f); figures.svg_of(f, 'm')\n"
        "assert matplotlib.rcParams.copy() == before\n"
        "print('matplotlib.pyplot' in sys.modules, 'torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.split() == ["False", "False"], result.stderr


@pytest.mark.parametrize("style", ["dark_background", "ggplot"])
def test_the_users_style_does_not_reach_the_figures(style: str) -> None:
    metrics = metrics_of([[1, 2], [3, 4]], ["a", "b"])
    history = [record(1), record(2)]

    def inks() -> set[str]:
        svgs = (
            figures.svg_of(figures.confusion_figure(metrics, {}), "m"),
            figures.svg_of(figures.curves_figure(history), "c"),
        )
        return set(re.findall(r"#[0-9a-f]{6}\b", "".join(svgs)))

    plain = inks()
    with matplotlib.style.context(style):
        assert inks() == plain
