"""Sections about predictions: what they show, and what they say it rests on."""

import csv
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.evaluation.calibration import Calibration, fit_calibration
from napari_lungcls.evaluation.predictions import PointPredictions
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.network.model_file import ModelDocument
from napari_lungcls.network.spec import NetworkSpec, Normalisation
from napari_lungcls.reporting import curves, figures
from napari_lungcls.reporting.mistakes import worst_mistakes
from napari_lungcls.reporting.runs import evaluation_report, training_report

LUNG = ClassScheme.preset("lung")
SPEC = NetworkSpec(
    zooms=(1, 4),
    tile=32,
    stages=(1, 2),
    hidden=0,
    classes=3,
    normalisation=Normalisation(mean=(100.0,) * 3, std=(50.0,) * 3, dtype="uint16"),
)


def sample(n: int = 60) -> tuple[PointPredictions, Calibration]:
    """Give predictions on a 16-bit image, and what calibrated them."""
    rng = np.random.default_rng(0)
    codes = np.arange(n) % 3
    logits = rng.normal(0, 2, (n, 3)) + 2 * np.eye(3)[codes]
    found = fit_calibration(logits, codes)
    probabilities = softmax(logits / found.temperature, axis=1).astype(np.float32)
    image = ImageStack(rng.integers(0, 300, (150, 200, 3), dtype=np.uint16), rgb=True)
    names = np.array(LUNG.names, object)
    points = Points.build(rng.uniform(0, 149, (n, 2)), names[codes])
    pairs = [(image, points)]
    return PointPredictions(codes, probabilities, LUNG, found.temperature, pairs=pairs), found


def document(found: Calibration, predictions: PointPredictions, **split: object) -> ModelDocument:
    return ModelDocument(
        network=SPEC,
        scheme=LUNG,
        temperature=found.temperature,
        calibration=found.model_dump(mode="json"),
        validation=predictions.metrics().model_dump(mode="json"),
        split={"train": 100, "validation": 60, **split},
    )


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_an_evaluation_has_every_figure_with_its_numbers(tmp_path: Path) -> None:
    predictions, found = sample()
    metrics = predictions.metrics()
    page = evaluation_report(tmp_path, document(found, predictions), metrics, {}, predictions)
    text = page.read_text(encoding="utf-8")
    for name in ("reliability", "roc", "precision_recall", "class_counts", "mistakes"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        ET.fromstring((tmp_path / f"{name}.svg").read_text(encoding="utf-8"))
        assert rows(tmp_path / f"{name}.csv")
    areas = {row["class"]: row for row in rows(tmp_path / "one_vs_rest.csv")}
    for name, figured in metrics.per_class.items():
        row = areas[name]
        assert float(row["auc"]) == pytest.approx(figured.auc)
        assert float(row["auc_low"]) < float(row["auc"]) < float(row["auc_high"])
        assert float(row["average_precision"]) == pytest.approx(figured.average_precision)
    bins = rows(tmp_path / "reliability.csv")
    for part in ("before", "after"):
        assert sum(int(row["n"]) for row in bins if row["predictions"] == part) == 60
    assert f"Expected calibration error {metrics.ece:.3f}" in text


def test_mistakes_come_worst_first_with_what_was_seen() -> None:
    predictions, found = sample()
    mistakes = worst_mistakes(predictions, document(found, predictions), shown=3)
    wrong = predictions.predicted != predictions.codes
    assert len(mistakes) == wrong.sum() > 3
    assert [m.p_truth for m in mistakes] == sorted(m.p_truth for m in mistakes)
    assert all(m.truth != m.predicted for m in mistakes)
    assert [len(m.pictures) for m in mistakes] == [2] * 3 + [0] * (len(mistakes) - 3)
    for picture in mistakes[0].pictures:
        assert (picture.dtype, picture.shape) == (np.uint8, (192, 192, 3))
        ticks = picture[84:108, 60:132]
        assert (ticks == 0).all(axis=2).any()
        assert (ticks == 255).all(axis=2).any()


def test_figures_of_a_split_at_random_say_so(tmp_path: Path) -> None:
    predictions, found = sample()
    counts = {"train": [40, 30, 30], "validation": [20, 20, 20]}
    drawn = {}
    for random in (True, False):
        said = ["Patches were split at random."] if random else []
        model = document(found, predictions, cautions=said, class_counts=counts)
        page = training_report(tmp_path / str(random), model, {"model": "m", "seconds": 1.0})
        text = page.read_text(encoding="utf-8")
        assert ("split at random" in text) == random
        assert "cross-fitted" in text
        for name in ("confusion", "reliability"):
            drawn[name, random] = (page.parent / f"{name}.png").read_bytes()
    for name in ("confusion", "reliability"):
        assert drawn[name, True] != drawn[name, False]
    first, *_ = rows(tmp_path / "True" / "class_counts.csv")
    assert first == {"class": "alveoli", "training": "40", "validation": "20"}


@pytest.mark.parametrize("count", [1, 3, 40])
def test_counts_and_notes_fit_any_number_of_classes(count: int) -> None:
    names = ["a name that is far too long for an axis", *(f"$x_{k}" for k in range(1, count))]
    note = "A long sentence about what all of this rests on, which must be broken. " * 3
    drawn = curves.counts_figure({"evaluated": list(range(count))}, names, {}, note)
    drawn.draw_without_rendering()
    title = drawn.texts[0].get_window_extent()
    assert title.x1 <= drawn.bbox.x1
    assert title.y0 > drawn.axes[0].get_window_extent().y1
    assert figures.svg_of(drawn, "x")
