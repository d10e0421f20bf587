"""A machine that labels at random, against a plain model of what the points should be.

`test_states.py` runs it, on viewers without a window and on real ones.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition
from hypothesis.stateful import rule as stateful_rule
from napari.components import ViewerModel
from napari.layers import Points
from napari.layers._source import layer_source
from napari.utils.key_bindings import KeymapHandler, coerce_keybinding

from napari_lungcls.annotation import read_points
from napari_lungcls.annotation.autosave import Unfinished
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.gui import layers
from napari_lungcls.gui.label import summary
from napari_lungcls.gui.label.controller import Labeller, labeller_of
from napari_lungcls.gui.label.draft import Draft
from napari_lungcls.gui.label.keys import REDO, UNDO
from napari_lungcls.gui.session import session
from napari_lungcls.gui.writers import write_points_layer

SHAPES = {"array": (3, 20, 30), "file": (3, 20, 30), "wide": (3, 10, 90)}
ON_DISK = ("file", "wide")
"""Images that are known again when they are closed and opened; arrays are not."""

OUTSIDE = [(0, -2, 5), (1, 5, 95), (3, 5, 5)]

Rows = tuple[tuple[tuple[float, ...], str], ...]
numbers = st.integers(0, 99)
factors = st.sampled_from([0.35, 0.5, 1.0, 1.8, 5.0])
pixels = st.tuples(st.integers(0, 2), st.floats(0, 9), st.floats(0, 29))


class NotNowError(Exception):
    """There is nothing that a rule could act on."""


def assume(condition: object) -> None:
    """Let a rule do nothing; hypothesis's own would throw away all that was done before."""
    if not condition:
        raise NotNowError


def rule(**strategies: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a rule that may find that it cannot act now."""

    def decorate(act: Callable[..., None]) -> Callable[..., None]:
        @wraps(act)
        def try_to_act(self: Any, **drawn: Any) -> None:
            with suppress(NotNowError):
                act(self, **drawn)

        return stateful_rule(**strategies)(try_to_act)

    return decorate


@dataclass(frozen=True)
class State:
    """What one undo goes back to."""

    rows: Rows
    scheme: ClassScheme


@dataclass
class Expected:
    """What a layer should hold, and how it came to it."""

    layer: Any
    image: str
    now: State
    past: list[State] = field(default_factory=list)
    future: list[State] = field(default_factory=list)
    unsaved: bool = False

    def step(self, now: State) -> None:
        """Go on to a new state, if it is another."""
        if now != self.now:
            self.unsaved |= now.rows != self.now.rows
            self.past.append(self.now)
            self.now, self.future = now, []

    def walk(self, source: list[State], target: list[State]) -> None:
        """Undo from the past into the future, or redo the other way."""
        if source:
            target.append(self.now)
            found = source.pop()
            self.unsaved |= found.rows != self.now.rows
            self.now = found


class Labelling(RuleBasedStateMachine):
    """Label, relabel, undo, rename, rescale, close, open, save, die and restore."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.lives = 0
        self.images: dict[str, Any] = {}
        self.layers: list[Expected] = []
        self.left: list[Expected] = []
        self.handler = KeymapHandler()

    # What a real window does otherwise

    def new_viewer(self) -> Any:
        """Make a viewer."""
        return ViewerModel()

    def open_dock(self) -> None:
        """Show the labeller."""
        self.labeller.show()

    def close_dock(self) -> None:
        """Close the window."""
        self.labeller.hide()

    def end(self) -> None:
        """End with the viewer."""
        self.labeller.close()

    def key(self, name: str) -> None:
        """Press a key with the mouse over the image."""
        active = self.viewer.layers.selection.active
        self.handler.keymap_providers = [each for each in (active, self.viewer) if each is not None]
        assert self.handler.press_key(coerce_keybinding(name))

    # Beginning and end

    @initialize(clicks=st.lists(pixels, min_size=1, max_size=4))
    def begin(self, clicks: list[tuple[float, ...]]) -> None:
        """Open a viewer with images, and label."""
        self.live()
        self.put("A", clicks)

    def live(self) -> None:
        """Open a new viewer, as after a crash."""
        self.viewer = self.new_viewer()
        self.journals = self.folder / f"journals {self.lives}"
        self.labeller = Labeller(self.viewer, self.journals)
        session(self.viewer)._parts[Labeller] = self.labeller
        self.labeller.problem.connect(self._on_problem)
        self.said: list[str] = []
        self.images = {}
        for name in ("array", "file"):
            self.open(name)
        self.open_dock()
        self.labeller.choose_image(self.images["array"])

    def teardown(self) -> None:
        """Let go of everything."""
        if hasattr(self, "viewer"):
            self.end()
        shutil.rmtree(self.folder)

    def _on_problem(self, line: str) -> None:
        self.said.append(line)

    def open(self, name: str) -> None:
        """Open an image, or the array anew."""
        data = np.zeros(SHAPES[name], np.uint8)
        path = str(self.folder / f"{name}.tif") if name in ON_DISK else None
        with layer_source(path=path):
            self.images[name] = self.viewer.add_image(data, name=name)

    # What is where

    @property
    def expected(self) -> Expected | None:
        """The layer that is labelled."""
        found = [each for each in self.layers if each.layer is self.labeller.layer]
        return found[0] if found else None

    @property
    def chosen(self) -> str | None:
        """The image that is labelled."""
        return next((n for n, i in self.images.items() if i is self.labeller.image), None)

    def has_rows(self) -> bool:
        """Tell whether there is any point."""
        return any(each.now.rows for each in self.layers)

    def some(self, number: int, of: list[Any]) -> Any:
        """Choose one."""
        assume(of)
        return of[number % len(of)]

    # Labelling

    @rule(number=numbers, which=numbers)
    def choose_image(self, number: int, which: int) -> None:
        """Choose another image, and one of its layers."""
        name = self.some(number, list(self.images))
        self.labeller.choose_image(self.images[name])
        assert self.chosen == name
        if fitting := self.labeller.layers():
            self.labeller.choose_layer(fitting[which % len(fitting)])

    def put(self, key: str, clicks: list[tuple[float, ...]]) -> None:
        """Press the key of a class and click where pixels are seen."""
        if self.expected is not None and str(self.expected.layer.mode) == "select":
            self.expected.layer.selected_data = set()
        self.key(key)
        if self.expected is None:
            self.take_in(self.labeller.layer)
        image, layer, expected = self.labeller.image, self.labeller.layer, self.expected
        assert self.viewer.layers.selection.active is layer
        assert str(layer.mode) == "add"
        for pixel in clicks:
            layer.add(layer.world_to_data(image.data_to_world(pixel)))
            rows = (*expected.now.rows, (tuple(map(float, pixel)), self.labeller.current))
            expected.step(State(rows, expected.now.scheme))

    def key_of(self, number: int) -> str:
        """Choose the key of a class."""
        return self.some(number, [spec.key for spec in self.labeller.scheme.classes if spec.key])

    @precondition(lambda self: self.labeller.image is not None)
    @rule(number=numbers, clicks=st.lists(pixels, min_size=1, max_size=3))
    def label(self, number: int, clicks: list[tuple[float, ...]]) -> None:
        """Label some pixels."""
        self.put(self.key_of(number), clicks)

    @precondition(lambda self: self.labeller.image is not None)
    @rule(number=numbers, clicks=st.lists(pixels, max_size=1), outside=st.sampled_from(OUTSIDE))
    def click_outside(
        self, number: int, clicks: list[tuple[float, ...]], outside: tuple[float, ...]
    ) -> None:
        """Click beside the image."""
        self.put(self.key_of(number), clicks)
        layer, image = self.labeller.layer, self.labeller.image
        self.said.clear()
        layer.add(layer.world_to_data(image.data_to_world(outside)))
        assert "outside" in self.said[0]

    @precondition(lambda self: self.has_rows())
    @rule(number=numbers, rows=st.sets(numbers, min_size=1, max_size=4))
    def relabel(self, number: int, rows: set[int]) -> None:
        """Select points and press the key of a class."""
        expected = self.expected
        assume(expected is not None and expected.now.rows)
        key = self.key_of(number)
        where = {row % len(expected.now.rows) for row in rows}
        self.viewer.layers.selection.active = expected.layer
        expected.layer.visible = True
        expected.layer.mode = "select"
        expected.layer.selected_data = where
        self.key(key)
        assert "Ctrl-Z" in self.labeller.said
        name = self.labeller.current
        after = [(p, name if i in where else c) for i, (p, c) in enumerate(expected.now.rows)]
        expected.step(State(tuple(after), expected.now.scheme))

    @precondition(lambda self: self.has_rows())
    @rule(number=numbers, rows=st.sets(numbers, min_size=1, max_size=3))
    def delete(self, number: int, rows: set[int]) -> None:
        """Delete points of any layer, labelled or waiting."""
        expected = self.some(number, [each for each in self.layers if each.now.rows])
        where = {row % len(expected.now.rows) for row in rows}
        expected.layer.selected_data = where
        expected.layer.remove_selected()
        after = [row for i, row in enumerate(expected.now.rows) if i not in where]
        expected.step(State(tuple(after), expected.now.scheme))

    @precondition(lambda self: self.has_rows())
    @rule(number=numbers, row=numbers, pixel=pixels)
    def move(self, number: int, row: int, pixel: tuple[float, ...]) -> None:
        """Move a point."""
        expected = self.some(number, [each for each in self.layers if each.now.rows])
        row %= len(expected.now.rows)
        data = expected.layer.data.copy()
        data[row] = pixel
        expected.layer.data = data
        after = list(expected.now.rows)
        after[row] = (tuple(map(float, pixel)), after[row][1])
        expected.step(State(tuple(after), expected.now.scheme))

    @precondition(lambda self: self.expected is not None and self.expected.past)
    @rule(on_image=st.booleans(), times=st.integers(1, 4))
    def undo(self, on_image: bool, times: int) -> None:
        """Undo by key."""
        expected, image = self.expected, self.labeller.image
        self.viewer.layers.selection.active = image if on_image else expected.layer
        for _ in range(times):
            self.key(UNDO)
            expected.walk(expected.past, expected.future)

    @precondition(lambda self: self.expected is not None and self.expected.future)
    @rule(times=st.integers(1, 4))
    def redo(self, times: int) -> None:
        """Redo by key."""
        expected = self.expected
        self.viewer.layers.selection.active = expected.layer
        for _ in range(times):
            self.key(REDO)
            expected.walk(expected.future, expected.past)

    @precondition(lambda self: self.expected is not None)
    @rule(number=numbers, what=st.sampled_from(["rename", "add", "remove", "recolor", "swap"]))
    def edit_classes(self, number: int, what: str) -> None:
        """Change the classes."""
        expected = self.expected
        draft = Draft(self.labeller.scheme)
        index, names = number % len(draft.rows), self.labeller.scheme.names
        if what == "rename":
            draft.rename(index, f"class of {number}")
        elif what == "add":
            assume(len(names) < 6)
            draft.add()
        elif what == "remove":
            assume(len(names) > 1 and names[index] not in {c for _, c in expected.now.rows})
            draft.remove(index)
        elif what == "swap":
            other = (index + 1) % len(names)
            draft.rename(index, names[other])
            draft.rename(other, names[index])
        else:
            draft.recolor(index, f"#0000{number:02d}")
        assume(len({row.name for row in draft.rows}) == len(draft.rows))
        assume(len({row.color for row in draft.rows}) == len(draft.rows))
        scheme, renamed = draft.build()
        self.labeller.set_scheme(scheme, renamed)
        after = tuple((p, renamed.get(c, c)) for p, c in expected.now.rows)
        expected.step(State(after, scheme))

    # Places, names, selections

    @rule(
        number=numbers,
        what=st.sampled_from(["rescale", "push the layer", "rename", "select", "close the dock"]),
        scale=st.tuples(factors, factors, factors),
        turn=st.integers(0, 90),
    )
    def disturb(self, number: int, what: str, scale: tuple[float, ...], turn: int) -> None:
        """Do what must not move or change any point."""
        image = self.some(number, list(self.images.values()))
        if what == "rescale":
            self.place(image, scale, turn)
        elif what == "push the layer":
            self.some(number, self.layers).layer.translate = scale
        elif what == "rename":
            image.name = self.some(turn, [*SHAPES, "x"])
        elif what == "select":
            self.viewer.layers.selection.active = self.some(number, [None, *self.viewer.layers])
        else:
            self.close_and_open_the_dock()

    def place(self, image: Any, scale: tuple[float, ...], turn: int) -> None:
        """Scale, move and turn an image."""
        image.scale = scale
        image.translate = scale[::-1]
        angle = np.deg2rad(turn)
        matrix = np.eye(4)
        matrix[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        image.affine = matrix

    # Closing and opening

    def close_and_open_the_dock(self) -> None:
        """Close the window and open it again: it shows the same."""
        before = self.labeller, self.labeller.current, self.labeller.layer
        self.close_dock()
        assert not self.viewer.keymap
        self.open_dock()
        assert labeller_of(self.viewer) is self.labeller
        assert (self.labeller, self.labeller.current, self.labeller.layer) == before

    @precondition(lambda self: len(self.images) > 1)
    @rule(number=numbers)
    def close_image(self, number: int) -> None:
        """Close an image; its points wait."""
        name = self.some(number, list(self.images))
        self.viewer.layers.remove(self.images.pop(name))

    @precondition(lambda self: len(self.images) < len(SHAPES))
    @rule(number=numbers)
    def open_image(self, number: int) -> None:
        """Open an image that was closed; points know their file, and not another array."""
        name = self.some(number, [name for name in SHAPES if name not in self.images])
        self.open(name)
        if name not in ON_DISK:
            for expected in (*self.layers, *self.left):
                if expected.image == name:
                    expected.image = "gone"

    @precondition(lambda self: self.labeller.waiting())
    @rule(number=numbers, which=numbers)
    def say_which_image(self, number: int, which: int) -> None:
        """Choose the image of points that wait."""
        layer = self.some(number, self.labeller.waiting())
        name = self.some(which, list(self.images))
        self.labeller.attach(layer, self.images[name])
        (expected,) = [each for each in self.layers if each.layer is layer]
        expected.image = name

    @precondition(lambda self: self.layers)
    @rule(number=numbers)
    def close_layer(self, number: int) -> None:
        """Close a layer of points; what is unsaved is offered."""
        expected = self.some(number, self.layers)
        self.viewer.layers.remove(expected.layer)
        self.layers.remove(expected)
        if expected.unsaved and expected.now.rows:
            # The autosave knows files; whether an array is the same nobody can tell.
            expected.image = expected.image if expected.image in ON_DISK else "gone"
            self.left.append(expected)

    @precondition(lambda self: self.left)
    @rule(number=numbers, discard=st.booleans())
    def restore(self, number: int, discard: bool) -> None:
        """Take back what was left, or discard it and take that back."""
        # Names of journals are random within a second, and hypothesis wants to repeat a run.
        entry = self.some(number, sorted(self.labeller.recovery.unfinished, key=_content))
        if discard:
            self.labeller.recovery.discard(entry)
            assert len(self.labeller.recovery.unfinished) == len(self.left) - 1
            (aside,) = self.labeller.recovery.discarded
            self.labeller.recovery.take_back(aside)
            return
        layer = self.labeller.restore(entry)
        rows = _rows(layer)
        alike = [each for each in self.left if _same(each.now.rows, rows)]
        known = layers.image_id_of(layer)
        alike = [each for each in alike if self.is_on(each, layer)]
        assert alike, (rows, known, self.left)
        self.left.remove(alike[0])
        self.take_in(layer, alike[0].image, unsaved=True)

    # Files and crashes

    @precondition(lambda self: self.expected is not None)
    @rule(open_again=st.booleans())
    def save(self, open_again: bool) -> None:
        """Save the points, through napari as well, and perhaps open the file."""
        expected = self.expected
        assume(expected.now.rows)
        path, other = (self.folder / f"{n}.lungcls.csv" for n in ("saved", "by napari"))
        self.labeller.save(path)
        expected.unsaved = False
        found = read_points(path)
        rows = zip(map(tuple, found.coordinates), found.labels, strict=True)
        assert _same(tuple(rows), expected.now.rows)
        write_points_layer(str(other), *expected.layer.as_layer_data_tuple()[:2])
        assert path.read_bytes() == other.read_bytes()
        if open_again and len(self.layers) < 4:
            self.take_in(self.labeller.open(path))

    @precondition(lambda self: self.lives < 2 and any(each.now.rows for each in self.layers))
    @rule()
    def die(self) -> None:
        """Lose the viewer as if it was killed, and look at what is offered."""
        self.lives += 1
        if self.journals.exists():
            shutil.copytree(self.journals, self.folder / f"journals {self.lives}")
        unsaved = [each for each in self.layers if each.unsaved and each.now.rows]
        self.left = [*self.left, *unsaved]
        for each in self.left:
            # In a new process nobody knows an array again.
            each.image = each.image if each.image in ON_DISK else "gone"
        self.layers = []
        self.end()
        self.live()

    # What must hold

    def take_in(self, layer: Points, image: str | None = None, unsaved: bool = False) -> None:
        """Expect of a new layer what it holds, of the image that is labelled."""
        scheme = layers.scheme_of(layer)
        state = State(_rows(layer), scheme)
        self.layers.append(Expected(layer, image or self.chosen, state, unsaved=unsaved))

    def is_on(self, expected: Expected, layer: Points) -> bool:
        """Tell whether a layer is on the image that it should be on."""
        image = layers.image_of(self.viewer, layer)
        return image is self.images.get(expected.image)

    @invariant()
    def all_is_as_expected(self) -> None:
        """Compare every layer with what it should be."""
        if not hasattr(self, "viewer"):
            return
        waiting = self.labeller.waiting()
        for expected in self.layers:
            layer = expected.layer
            assert _same(_rows(layer), expected.now.rows), (_rows(layer), expected.now.rows)
            assert self.is_on(expected, layer)
            image = self.images.get(expected.image)
            assert (layer in waiting) == (image is None and len(layer.data) > 0)
            for where in layer.data if image is not None else ():
                np.testing.assert_allclose(
                    layer.data_to_world(where), image.data_to_world(where), atol=1e-6
                )
        found = [layer for layer in self.viewer.layers if isinstance(layer, Points)]
        assert len(found) == len(self.layers)
        assert len(self.labeller.recovery.unfinished) == len(self.left)
        expected = self.expected
        assert (self.labeller.layer is None) == (expected is None)
        if expected is not None:
            sheet = self.labeller.annotation
            assert sheet.scheme == self.labeller.scheme == expected.now.scheme
            assert sheet.unsaved == expected.unsaved
            assert bool(sheet.undo_text) == bool(expected.past)
            assert bool(sheet.redo_text) == bool(expected.future)
            assert layers.image_of(self.viewer, sheet.layer) is self.labeller.image
            assert summary.counts(self.labeller).total() == len(expected.now.rows)


def _content(entry: Unfinished) -> tuple[Any, ...]:
    points = entry.points
    return points.coordinates.tolist(), list(points.labels), entry.header.image, entry.header.source


def _rows(layer: Points) -> Rows:
    names = layer.features["class"].astype(object)
    return tuple((tuple(map(float, p)), c) for p, c in zip(layer.data, names, strict=True))


def _same(one: Rows, other: Rows) -> bool:
    if [c for _, c in one] != [c for _, c in other]:
        return False
    first, second = (np.array([p for p, _ in rows]) for rows in (one, other))
    return np.allclose(first, second, rtol=0, atol=1e-6)
