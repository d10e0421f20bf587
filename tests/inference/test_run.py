"""Painting runs: progress, cancelled and failed runs, and what a map says about itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from known_maps import BRIGHTNESS, RAMP, paint
from known_network import BYTES, make_document, make_spec
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.inference.grid import MapGrid
from napari_lungcls.inference.map_data import Block
from napari_lungcls.inference.run import map_header, run_painting
from napari_lungcls.model import Model
from napari_lungcls.network.predictor import Predictor
from napari_lungcls.network.spec import NetworkSpec


@dataclass
class Recorder:
    """A store that remembers what happened to it, and may fail."""

    fail_at: int = -1
    events: list[str] = field(default_factory=list)

    def write(
        self,
        block: Block,
        classes: Any,
        probabilities: Any = None,
        *,
        complete: bool = True,
    ) -> None:
        assert complete
        if len(self.events) == self.fail_at:
            raise OSError("disk full")
        rows, columns = block.rows, block.columns
        assert classes.shape == (rows.stop - rows.start, columns.stop - columns.start)
        assert probabilities is None or probabilities.shape[1:] == classes.shape
        self.events.append("write" if probabilities is None else "write with probabilities")

    def finish(self) -> None:
        self.events.append("finish")

    def abandon(self, *, keep: bool = False) -> None:
        self.events.append("keep" if keep else "abandon")


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MapGrid, "block", 8)


GREY = ImageStack(np.full((64, 64), 200, np.float32), source="a.tif")


def run(store: Recorder, stack: ImageStack = GREY, spec: NetworkSpec = RAMP, **options: Any) -> Any:
    return run_painting(
        Predictor(BRIGHTNESS, make_document(spec)), MapGrid.over(stack, 4), store, **options
    )


def drain(generator: Any) -> tuple[list[Any], Any]:
    steps = []
    while True:
        try:
            steps.append(next(generator))
        except StopIteration as end:
            return steps, end.value


def test_progress_counts_blocks(small_blocks: None) -> None:
    store = Recorder()
    steps, complete = drain(run(store))
    assert complete is True
    assert [(step.done, step.total) for step in steps] == [(i, 4) for i in range(5)]
    assert store.events == ["write with probabilities"] * 4 + ["finish"]
    assert steps[-1].remaining == 0
    assert steps[0].block is None
    assert steps[0].remaining is None
    assert all(step.seconds > 0 for step in steps[1:])
    assert {(s.block.rows.start, s.block.columns.start) for s in steps[1:]} == {
        (0, 0), (0, 8), (8, 0), (8, 8)
    }  # fmt: skip


def test_probabilities_can_be_left_out(small_blocks: None) -> None:
    store = Recorder()
    drain(run(store, probabilities=False))
    assert store.events == ["write"] * 4 + ["finish"]


@pytest.mark.parametrize("after", [0, 2])
def test_a_cancelled_run_keeps_what_is_painted(small_blocks: None, after: int) -> None:
    store, answers = Recorder(), iter([False] * after + [True] * 9)
    steps, complete = drain(run(store, cancelled=lambda: next(answers)))
    assert complete is False
    assert len(steps) == 1 + after
    assert store.events == ["write with probabilities"] * after + ["keep"]


def test_a_cancelled_map_is_0_where_nothing_was_painted(small_blocks: None) -> None:
    answers = iter([False] * 2 + [True] * 9)
    painted = paint(GREY, cancelled=lambda: next(answers))
    assert (painted.classes[:8] == 1).all()
    assert (painted.classes[8:] == 0).all()


@pytest.mark.parametrize("fail_at", [0, 2])
def test_a_failed_run_is_abandoned(small_blocks: None, fail_at: int) -> None:
    store = Recorder(fail_at)
    with pytest.raises(OSError, match="disk full"):
        drain(run(store))
    assert store.events == ["write with probabilities"] * fail_at + ["abandon"]


def test_a_run_that_nobody_waits_for_is_abandoned(small_blocks: None) -> None:
    store = Recorder()
    generator = run(store)
    next(generator)
    next(generator)
    generator.close()
    assert store.events == ["write with probabilities", "abandon"]


@pytest.mark.parametrize(
    ("stack", "spec", "message"),
    [
        (ImageStack(np.zeros((64, 64), np.uint8), source="b.tif"), RAMP, "b.tif holds uint8"),
        (GREY, make_spec(normalisation=BYTES), "a.tif holds float32 and the model was trained on"),
        (
            ImageStack(np.zeros((15, 15), np.float32)),
            RAMP,
            "zoom 2 is larger than the image allows",
        ),
    ],
)
def test_an_image_that_does_not_fit_is_refused_and_nothing_left(
    stack: ImageStack, spec: NetworkSpec, message: str
) -> None:
    store = Recorder()
    with pytest.raises(InputError, match=message):
        drain(run(store, stack, spec))
    assert store.events == ["abandon"]


def test_an_unknown_pixel_size_is_said_aloud() -> None:
    with pytest.warns(LungclsWarning, match=r"a.tif does not tell its pixel size"):
        paint(GREY, pixel_size=0.5)


def test_a_hole_in_the_image_is_a_hole_in_the_map_and_said_aloud() -> None:
    image = np.full((200, 200), 200, np.float32)
    image[20, 30] = np.nan
    with pytest.warns(LungclsWarning, match=r"a.tif holds NaN or infinite values; \d+ cells that"):
        painted = paint(ImageStack(image, source="a.tif"))
    assert painted.classes[5, 7] == 0
    assert (painted.probabilities[:, painted.classes == 0] == 0).all()
    assert (painted.classes[40:] == 1).all()


def test_the_header_says_where_the_map_comes_from() -> None:
    grid = MapGrid.over(GREY, 4)
    document = make_document(RAMP, created="2026-11-20T12:00:00+00:00")
    header = map_header(grid, document, probabilities=False)
    assert header.scheme == document.scheme
    assert header.provenance["image"] == "a.tif"
    assert header.provenance["model_created"] == "2026-11-20T12:00:00+00:00"
    assert header.provenance["zooms"] == [1, 2]
    assert not header.probabilities


def test_the_map_can_be_watched_while_it_is_painted(small_blocks: None) -> None:
    model = Model(make_document(RAMP), {})
    model._engine = BRIGHTNESS
    seen = []
    for step in model.painting(GREY, 4):
        assert step.map is not None
        seen.append(int((step.map.classes == 1).sum()))
    assert seen == sorted(set(seen))
    assert (seen[0], len(seen)) == (0, 5)


def test_what_is_looked_at_is_painted_first(small_blocks: None) -> None:
    store, looks = Recorder(), iter([(15.0, 15.0), (0.0, 9.0), None, None])
    steps, _ = drain(run(store, in_view=lambda: next(looks)))
    order = [(s.block.rows.start, s.block.columns.start) for s in steps[1:]]
    assert order == [(8, 8), (0, 8), (0, 0), (8, 0)]
