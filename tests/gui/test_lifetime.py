"""What a widget listens to ends with the widget, and the widget with it."""

import gc
import weakref

from psygnal import Signal
from qtpy.QtWidgets import QWidget

from napari_lungcls.gui.lifetime import at_end, listen, when_destroyed


class Source:
    moved = Signal()


class Listener(QWidget):
    def __init__(self, source, heard):
        super().__init__()
        self.heard = heard
        listen(self, source.moved, slot=self.hear)

    def hear(self):
        self.heard.append("moved")


class Helper:
    def __init__(self):
        self.closed = 0

    def close(self):
        self.closed += 1


def destroy(qtbot, widget):
    with qtbot.waitSignal(widget.destroyed):
        widget.deleteLater()


def test_a_widget_hears_until_it_is_destroyed(qtbot):
    source, heard = Source(), []
    widget = Listener(source, heard)
    source.moved.emit()
    destroy(qtbot, widget)
    source.moved.emit()
    assert heard == ["moved"]


def test_nothing_keeps_a_destroyed_widget_alive(qtbot):
    source = Source()
    widget = Listener(source, [])
    known = weakref.ref(widget)
    destroy(qtbot, widget)
    del widget
    gc.collect()
    assert known() is None


def test_a_helper_is_closed_with_its_widget(qtbot):
    widget, helper = QWidget(), Helper()
    at_end(widget, helper.close)
    destroy(qtbot, widget)
    assert helper.closed == 1


def test_a_widget_that_the_collector_destroys_does_no_harm(qapp):
    source = Source()
    for _ in range(200):
        widget = Listener(source, [])
        # Only the collector can take a circle apart.
        widget.itself = widget
        at_end(widget, widget.hear)
    del widget
    gc.collect()
    source.moved.emit()


def test_what_was_forgotten_is_not_called(qtbot):
    widget, called = QWidget(), []
    forget = when_destroyed(widget, lambda: called.append(1))
    forget()
    destroy(qtbot, widget)
    assert not called
