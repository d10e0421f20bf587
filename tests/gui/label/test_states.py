"""Labelling in random order; `LUNGCLS_STATE_RUNS` says how often, for a long run by hand."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from labelling_machine import Labelling
from napari_lungcls.gui.label import LabelPoints
from napari_lungcls.gui.label.keys import REDO, UNDO

RUNS = int(os.environ.get("LUNGCLS_STATE_RUNS", "6"))
STEPS = 40
WINDOW_RUNS, WINDOW_STEPS = 1, 20


def run(machine: Any, runs: int, steps: int, **options: Any) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=runs,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            **options,
        ),
    )


def test_points_are_what_they_should_be_whatever_is_done():
    run(Labelling, RUNS, STEPS)


def test_points_are_what_they_should_be_in_a_real_window(make_napari_viewer_proxy):
    class InWindow(Labelling):
        """The same with docks, napari's ✕ and keys on the canvas."""

        def new_viewer(self) -> Any:
            # Not shown: vispy on software OpenGL crashes when layers come and go as fast.
            return make_napari_viewer_proxy().__wrapped__

        def open_dock(self) -> None:
            self.panel = LabelPoints(self.viewer)
            self.viewer.window.add_dock_widget(self.panel, name="Label points")
            assert self.panel.labeller is self.labeller
            QApplication.processEvents()

        def close_dock(self) -> None:
            title = self.panel.parentWidget().title
            QTest.mouseClick(title.close_button, Qt.MouseButton.LeftButton)

        def end(self) -> None:
            self.viewer.close()
            self.labeller.close()

        def key(self, name: str) -> None:
            held = {
                UNDO: Qt.KeyboardModifier.ControlModifier,
                REDO: Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier,
            }
            canvas = self.viewer.window._qt_viewer.canvas.native
            key = getattr(Qt.Key, f"Key_{name[-1]}")
            QTest.keyClick(canvas, key, held.get(name, Qt.KeyboardModifier.NoModifier))
            QApplication.processEvents()

        def all_is_as_expected(self) -> None:
            super().all_is_as_expected()
            if hasattr(self, "panel"):
                shown = self.panel.points.currentData()
                assert shown is self.labeller.layer
                assert self.panel.images.layer is self.labeller.image

    # What fails here is made small without a window.
    run(InWindow, WINDOW_RUNS, WINDOW_STEPS, phases=[Phase.generate])
