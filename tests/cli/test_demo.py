"""`lungcls demo`, at a size that a test can afford."""

from __future__ import annotations

from html import escape
from pathlib import Path

import numpy as np
import pytest

import napari_lungcls as lc
from napari_lungcls import demo
from napari_lungcls.utils.humanize import percent


def test_json_has_the_keys_of_the_contract(small_demo):
    folder, found = small_demo
    assert list(found.json) == [
        "val_accuracy", "painted_accuracy", "seconds", "report", "share_errors",
    ]  # fmt: skip
    assert list(found.json["share_errors"]) == ["alveoli", "septa", "duct"]
    assert sum(found.json["share_errors"].values()) == pytest.approx(0, abs=0.02)
    assert 0 <= found.json["val_accuracy"] <= 1
    assert found.json["report"] == str(folder / "report" / "index.html")
    assert found.json["seconds"] > 0
    assert found.err.splitlines()[-1] == "demo 100/100 done"


def test_the_folder_holds_all_that_a_user_would_make(small_demo, run_cli):
    folder, found = small_demo
    assert sorted(path.name for path in folder.iterdir()) == [
        "lung.safetensors", "report", "studied.lungcls.csv", "studied.ome.tif",
        "unseen-map.ome.zarr", "unseen.ome.tif",
    ]  # fmt: skip
    assert len(lc.read_points(folder / "studied.lungcls.csv")) == 120
    image = lc.open_image(folder / "unseen.ome.tif")
    assert (image.shape, image.pixel_size) == ((96, 128), pytest.approx(demo.PIXEL_SIZE))
    assert lc.read_map(folder / "unseen-map.ome.zarr").classes.shape == (96, 128)
    again = run_cli(
        "evaluate", folder / "lung.safetensors", folder / "studied.ome.tif",
        "--points", folder / "studied.lungcls.csv", "--json",
    )  # fmt: skip
    assert again.json["n"] == 120
    page = Path(found.json["report"]).read_text(encoding="utf-8")
    assert all(f">{name}<" in page for name in ("image", "truth", "map"))


def test_painted_accuracy_is_the_share_of_right_cells(small_demo, small_plan):
    folder, found = small_demo
    section = demo.make_section(
        small_plan.unseen, pixel_size=demo.PIXEL_SIZE, seed=demo.TEST_SEED, parameters=demo.LUNG
    )
    cells = np.asarray(lc.read_map(folder / "unseen-map.ome.zarr").classes)
    right = counted = 0
    for i, j in np.ndindex(cells.shape):
        truth = section.truth[i, j]
        counted += truth > 0
        right += bool(truth > 0 and cells[i, j] == truth)
    assert found.json["painted_accuracy"] == pytest.approx(right / counted)


def test_share_errors_are_percentage_points_of_the_area(small_demo, small_plan):
    folder, found = small_demo
    section = demo.make_section(
        small_plan.unseen, pixel_size=demo.PIXEL_SIZE, seed=demo.TEST_SEED, parameters=demo.LUNG
    )
    cells = np.asarray(lc.read_map(folder / "unseen-map.ome.zarr").classes)
    truth = section.truth
    page = Path(found.json["report"]).read_text(encoding="utf-8")
    for code, off in enumerate(found.json["share_errors"].values(), 1):
        right = 100 * (truth == code).sum() / (truth > 0).sum()
        painted = 100 * ((cells == code) & (truth > 0)).sum() / (truth > 0).sum()
        assert off == pytest.approx(painted - right, abs=0.01)
        shares = f"{percent(painted / 100)}, exactly {percent(right / 100)}"
        assert escape(f"{shares}: {painted - right:+.1f} points") in page


def test_progress_never_runs_backwards(small_plan, tmp_path):
    shown: list[tuple[int, int, str]] = []
    demo.run_demo(tmp_path / "out", lambda *step: shown.append(step), plan=small_plan)
    done = [step[0] for step in shown]
    assert done == sorted(done)
    assert {total for _, total, _ in shown} == {100}
    assert (done[0], done[-1]) == (0, 100)
    # Reading has a range of its own, and training moves the bar from the first step on.
    reading = [d for d, _, words in shown if words.startswith("reading")]
    training = [d for d, _, words in shown if "epoch" in words]
    assert max(reading) <= min(training) < demo.TRAINED - 50 < max(training)


def test_the_truth_of_a_cell_is_that_under_its_middle():
    truth = np.arange(49, dtype=np.uint8).reshape(7, 7)
    np.testing.assert_array_equal(demo.truth_at_cells(truth, 1), truth)
    np.testing.assert_array_equal(demo.truth_at_cells(truth, 3), truth[[1, 4, 6]][:, [1, 4, 6]])
    # Between two pixels it is the one after it.
    np.testing.assert_array_equal(demo.truth_at_cells(truth, 4), truth[[2, 6]][:, [2, 6]])


def test_a_cancelled_demonstration_says_so(small_plan, tmp_path):
    with pytest.raises(lc.InputError, match="interrupted"):
        demo.run_demo(tmp_path / "out", lambda *_: None, _after(5), small_plan)


def _after(calls: int):
    """Say no that often, then yes."""
    left = iter(range(calls))
    return lambda: next(left, None) is None
