"""The model as scripts use it: the lines that the documentation promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
from numpy.typing import NDArray

import known_network  # noqa: F401  (one thread for networks this small)
import napari_lungcls as lc

SETTINGS = {
    "tile": 32, "stages": (0, 1), "epochs": 4, "batch_size": 6, "device": "cpu",
    "pretrained": "none",
}  # fmt: skip


def scene() -> tuple[NDArray[np.uint8], lc.Points]:
    """A lung of stripes: alveoli are bright, septa dark, ducts between."""
    rng = np.random.default_rng(0)
    kinds = np.arange(12) % 3
    image = np.array([220, 60, 140])[kinds].repeat(30)[None, :, None] + rng.normal(
        0, 8, (400, 360, 3)
    )
    columns = np.arange(90) % 12
    where = np.column_stack([rng.uniform(5, 395, 90), columns * 30 + rng.uniform(12, 18, 90)])
    names = np.array(["alveoli", "septa", "duct"], object)[kinds[columns]]
    return image.clip(0, 255).astype(np.uint8), lc.Points.build(where, names)


IMAGE, POINTS = scene()


@pytest.fixture(scope="module")
def model() -> lc.Model:
    return lc.train(IMAGE, POINTS, lc.TrainingSettings(zooms=(1, 4), val_fraction=0, **SETTINGS))


def test_the_lines_of_the_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lc.write_points("points.csv", POINTS)
    image = IMAGE

    points = lc.read_points("points.csv")
    model = lc.train(
        image, points, lc.TrainingSettings(zooms=(1, 4, 16), val_fraction=0, **SETTINGS)
    )
    model.save("lung.safetensors")
    model = lc.load("lung.safetensors")
    p = model.classify(image, [[157, 42], [102, 338]])
    m = model.paint(image, stride=4)

    assert p.shape == (2, 3)
    assert p.dtype == np.float32
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-6)
    assert p.argmax(1).tolist() == [1, 2]  # septa, duct
    assert m.classes.shape == (100, 90)
    assert m.classes.dtype == np.uint8
    assert m.probabilities.shape == (3, 100, 90)
    assert m.probabilities.dtype == np.float16
    assert m.scale == (4, 4)
    assert m.translate == (1.5, 1.5)
    truth = np.tile((np.arange(12) % 3).repeat(30)[2::4], (100, 1)) + 1
    assert (m.classes == truth).mean() > 0.9


def test_the_same_model_before_and_after_its_file(model: lc.Model, tmp_path: Path) -> None:
    path = model.save(tmp_path / "m.safetensors")
    again = lc.load(path, device="cpu")
    np.testing.assert_array_equal(
        again.classify(IMAGE, POINTS.coordinates), model.classify(IMAGE, POINTS.coordinates)
    )
    assert again.document == model.document
    assert again.scheme == lc.ClassScheme.preset("lung")


def test_training_is_the_generator_behind_train(model: lc.Model) -> None:
    settings = lc.TrainingSettings(zooms=(1, 4), val_fraction=0, **SETTINGS)
    run = lc.training(IMAGE, POINTS, settings)
    seen: list[Any] = []
    while True:
        try:
            seen.append(next(run))
        except StopIteration as end:
            other = end.value
            break
    assert [step.record.epoch for step in seen if step.record] == [1, 2, 3, 4]
    for name, array in model.state.items():
        np.testing.assert_array_equal(other.state[name], array)
    told: list[Any] = []
    lc.train(IMAGE, POINTS, settings.model_copy(update={"epochs": 1}), progress=told.append)
    assert told[-1].done == told[-1].total


def test_cancelled_training_gives_a_model() -> None:
    answers = iter([False] * 6 + [True] * 99)
    model = lc.train(
        IMAGE, POINTS, lc.TrainingSettings(zooms=(1,), val_fraction=0, **SETTINGS),
        cancelled=lambda: next(answers),
    )  # fmt: skip
    assert model.document.history == []
    assert model.classify(IMAGE, [[5, 5]]).shape == (1, 3)


def test_files_arrays_and_pairs_are_all_images_and_points(model: lc.Model, tmp_path: Path) -> None:
    iio.imwrite(tmp_path / "a.png", IMAGE)
    lc.write_points(tmp_path / "p.csv", POINTS)
    reference = model.evaluate(IMAGE, POINTS)
    pairs: list[Any] = [
        (tmp_path / "a.png", tmp_path / "p.csv"),
        (str(tmp_path / "a.png"), POINTS),
        (lc.open_image(tmp_path / "a.png"), str(tmp_path / "p.csv")),
        ([IMAGE, IMAGE[::2, ::2]], POINTS),
        (lc.ImageStack(IMAGE), POINTS),
    ]
    for image, points in pairs:
        found = model.evaluate(image, points)
        assert found.n == 90
        assert found.accuracy == pytest.approx(reference.accuracy, abs=0.05)
    both = model.evaluate(
        [(IMAGE, POINTS.select(slice_of(0, 50))), (IMAGE, POINTS.select(slice_of(50, 90)))]
    )
    assert both == reference


def slice_of(first: int, last: int) -> NDArray[np.intp]:
    return np.arange(first, last)


def test_evaluation_at_the_points_and_at_the_cells_under_them(model: lc.Model) -> None:
    done: list[Any] = []
    exact = model.evaluate(IMAGE, POINTS, progress=lambda i, n: done.append((i, n)))
    assert done[-1] == (90, 90)
    probabilities = model.classify(IMAGE, POINTS.coordinates)
    codes = POINTS.codes(model.scheme)
    assert exact.accuracy == pytest.approx((probabilities.argmax(1) == codes).mean())
    assert exact.accuracy > 0.9
    painted = model.evaluate(IMAGE, POINTS, painted=True, stride=2)
    assert painted.n == 90
    m = model.paint(IMAGE, stride=2)
    cells = ((POINTS.coordinates + 0.5) // 2).astype(int)
    right = m.classes[cells[:, 0], cells[:, 1]] == codes + 1
    assert painted.accuracy == pytest.approx(right.mean())


def test_painting_options(model: lc.Model, tmp_path: Path) -> None:
    whole = model.paint(IMAGE, stride=8)
    part = model.paint(IMAGE, 8, region=(slice(80, 240), slice(0, 120)), probabilities=False)
    assert part.probabilities is None
    assert part.translate == (83.5, 3.5)
    assert (part.classes == whole.classes[10:30, :15]).mean() > 0.97
    stack = lc.ImageStack(np.stack([IMAGE, 255 - IMAGE, IMAGE]), rgb=True)
    planes = model.paint(stack, 8, planes=slice(1, 3))
    assert planes.classes.shape == (2, 50, 45)
    np.testing.assert_array_equal(planes.classes[1], whole.classes)
    assert (planes.classes[0] != whole.classes).mean() > 0.3
    for name in ("m.ome.zarr", "m.ome.tif"):
        written = model.paint(IMAGE, 8, out=tmp_path / name)
        np.testing.assert_array_equal(np.asarray(written.classes[:]), whole.classes)
        np.testing.assert_array_equal(np.asarray(written.probabilities[:]), whole.probabilities)
        assert (written.scale, written.translate) == (whole.scale, whole.translate)
        read = lc.read_map(tmp_path / name)
        assert read.header == written.header
        with pytest.raises(lc.InputError, match="exists already"):
            model.paint(IMAGE, 8, out=tmp_path / name)
    told: list[Any] = []
    model.paint(IMAGE, 8, out=tmp_path / "m.ome.tif", overwrite=True, progress=told.append)
    assert told[-1].done == told[-1].total
    assert sum(whole.fractions().values()) == pytest.approx(1)


def test_a_cancelled_map_on_disk_holds_what_was_painted(model: lc.Model, tmp_path: Path) -> None:
    found = model.paint(IMAGE, 8, out=tmp_path / "m.ome.zarr", cancelled=lambda: True)
    assert not np.asarray(found.classes[:]).any()
    assert [path.name for path in tmp_path.iterdir()] == ["m.ome.zarr"]


def test_nothing_is_left_of_a_map_that_could_not_be_painted(
    model: lc.Model, tmp_path: Path
) -> None:
    with pytest.raises(lc.InputError, match="holds uint16 and the model was trained on uint8"):
        model.paint(IMAGE.astype(np.uint16), out=tmp_path / "m.ome.zarr")
    with pytest.raises(lc.InputError, match=r"^stride: .* not 0"):
        model.paint(IMAGE, 0, out=tmp_path / "m.ome.zarr")
    with pytest.raises(lc.InputError, match=r"written as .ome.zarr or .ome.tif"):
        model.paint(IMAGE, out=tmp_path / "m.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("coordinates", "message"),
    [
        ([[400, 5]], "lies outside image"),
        ([[5, 5, 5]], "have 3 axes"),
        ([5, 5], r"have the shape \(n, 2\), one row for each point, not \(2,\)"),
        (7, r"not \(\)"),
        ([], r"not \(0,\)"),
        ([[1, 2], [3]], "must be numbers, as many for each point"),
        ([["a", "b"]], "must be numbers"),
        ([[np.nan, 5]], "lies outside"),
    ],
)
def test_coordinates_that_are_none_are_refused(
    model: lc.Model, coordinates: Any, message: str
) -> None:
    with pytest.raises(lc.InputError, match=message):
        model.classify(IMAGE, coordinates)


def test_no_points_have_no_answers(model: lc.Model) -> None:
    assert model.classify(IMAGE, np.empty((0, 2))).shape == (0, 3)


@pytest.mark.parametrize("image", [[], "a.png", 3, [IMAGE], [(IMAGE,)], ["ab", "cd"], None])
def test_an_image_needs_points(image: Any) -> None:
    with pytest.raises(lc.InputError, match="give an image and its points, or a list of"):
        lc.train(image)


def test_classes_may_be_one_s_own() -> None:
    labels = np.where(POINTS.labels == "alveoli", "air", "tissue")
    points = lc.Points.build(POINTS.coordinates, labels)
    scheme = lc.ClassScheme.of_names(["air", "tissue"])
    settings = lc.TrainingSettings(zooms=(1,), val_fraction=0, **(SETTINGS | {"epochs": 1}))
    assert lc.train(IMAGE, points, settings, classes=scheme).scheme == scheme
    with pytest.raises(lc.InputError, match=r"class 'air' is unknown.*use classes="):
        lc.train(IMAGE, points, settings)


def test_a_threshold_rules_points_maps_and_figures_alike(tmp_path: Path) -> None:
    labels = np.where(POINTS.labels == "alveoli", "air", "tissue")
    points = lc.Points.build(POINTS.coordinates, labels)
    settings = lc.TrainingSettings(zooms=(1,), val_fraction=0, **(SETTINGS | {"epochs": 1}))
    plain = lc.train(IMAGE, points, settings, classes=lc.ClassScheme.of_names(["air", "tissue"]))
    document = plain.document.model_copy(update={"temperature": 2.0})
    # Where half of the points change sides, whichever side they are on.
    probabilities = lc.Model(document, plain.state).classify(IMAGE, points.coordinates)
    threshold = float(np.median(probabilities[:, 1]))
    document = document.model_copy(update={"threshold": threshold})
    model = lc.load(lc.Model(document, plain.state).save(tmp_path / "m.safetensors"))
    probabilities = model.classify(IMAGE, points.coordinates)
    called = probabilities[:, 1] >= threshold
    codes = points.codes(model.scheme)
    assert model.evaluate(IMAGE, points).accuracy == pytest.approx((called == codes).mean())
    for painted in (model.paint(IMAGE, 8), model.paint(IMAGE, 8, out=tmp_path / "m.ome.zarr")):
        assert painted.probabilities is not None
        as_kept = np.asarray(painted.probabilities[:])[1].astype(float)
        np.testing.assert_array_equal(np.asarray(painted.classes[:]) == 2, as_kept >= threshold)
    bare = model.paint(IMAGE, 8, probabilities=False)
    np.testing.assert_array_equal(bare.classes, np.asarray(painted.classes[:]))
    assert (bare.classes != plain.paint(IMAGE, 8).classes).any()
    predictions = model.predictions(IMAGE, points, painted=True, stride=8)
    cells = ((points.coordinates + 0.5) // 8).astype(int)
    np.testing.assert_array_equal(predictions.predicted + 1, bare.classes[cells[:, 0], cells[:, 1]])


def test_an_engine_or_device_that_is_not_there_is_refused(model: lc.Model, tmp_path: Path) -> None:
    path = model.save(tmp_path / "m.safetensors")
    # A file can be looked at without the engine; only its answers need one.
    other = lc.load(path, engine="jax")
    assert other.scheme == model.scheme
    with pytest.raises(lc.InputError, match="no engine 'jax'"):
        other.classify(IMAGE, [[5, 5]])
    with pytest.raises(lc.InputError, match="device: there is no 'cuda:77'"):
        lc.load(path, device="cuda:77").classify(IMAGE, [[5, 5]])


@pytest.mark.filterwarnings("ignore:.* per pixel and the model sees")
def test_the_model_finds_its_pixel_size_again(tmp_path: Path) -> None:
    settings = lc.TrainingSettings(zooms=(2,), val_fraction=0, **SETTINGS)
    model = lc.train(lc.ImageStack(IMAGE, pixel_size=0.5), POINTS, settings)
    assert model.document.pixel_size == 0.5
    model = lc.load(model.save(tmp_path / "m.safetensors"))
    fine = lc.ImageStack(IMAGE.repeat(2, 0).repeat(2, 1), pixel_size=0.25)
    where = POINTS.coordinates
    np.testing.assert_allclose(
        model.classify(fine, 2 * where + 0.5),
        model.classify(lc.ImageStack(IMAGE, pixel_size=0.5), where),
        atol=1e-4,
    )
    with pytest.warns(lc.LungclsWarning, match="does not tell its pixel size"):
        model.classify(IMAGE, where)
    with pytest.raises(lc.InputError, match="one of them must be wrong"):
        model.classify(lc.ImageStack(IMAGE, pixel_size=500), where)


def test_public_names_are_there_and_load_no_framework() -> None:
    code = (
        "import sys, napari_lungcls as lc\n"
        "assert set(lc.__all__) <= set(dir(lc))\n"
        "for name in lc.__all__: assert getattr(lc, name).__module__.startswith('napari_lungcls')\n"
        "print([m for m in ('torch', 'mxnet', 'napari', 'qtpy', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        lc.nonsense  # noqa: B018


@pytest.mark.gpu
def test_a_gpu_answers_alike(model: lc.Model, tmp_path: Path) -> None:
    gpu = lc.load(model.save(tmp_path / "m.safetensors"), device="cuda")
    np.testing.assert_allclose(
        gpu.classify(IMAGE, POINTS.coordinates), model.classify(IMAGE, POINTS.coordinates),
        atol=1e-3,
    )  # fmt: skip
    assert (gpu.paint(IMAGE).classes == model.paint(IMAGE).classes).mean() > 0.999
