"""The audit of a viewer: which table is open, what is asked, and what is seen. No widgets."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
from napari.layers import Image
from psygnal import Signal

from napari_lungcls.annotation.columns import (
    CLASS_COLUMN,
    CROSSINGS_COLUMN,
    IMAGE_COLUMN,
    LINE_LENGTH_COLUMN,
    PLANE_SHAPE_COLUMN,
)
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import LungclsWarning
from napari_lungcls.gui.lifetime import ViewerPart
from napari_lungcls.gui.measure.images import open_image_of
from napari_lungcls.gui.questions.stage import Stage
from napari_lungcls.gui.titles import in_window
from napari_lungcls.stereology.audit import Audit, AuditQuestion
from napari_lungcls.stereology.column_reading import pair_column
from napari_lungcls.utils.names import comparable


class Auditing(ViewerPart):
    """The one audit of a viewer; a window shows it and asks for answers.

    Parameters
    ----------
    viewer
        The viewer; it is held weakly.

    Attributes
    ----------
    audit
        The open table, or None.
    has_lines
        Whether the open table has test lines.
    remarks
        What the core warned of when the table was opened.
    """

    changed = Signal()
    """Table, question or progress have changed, or answering has begun or ended."""

    def __init__(self, viewer: "napari.Viewer") -> None:
        super().__init__(viewer)
        self.audit: Audit | None = None
        self.has_lines = False
        self.remarks: list[str] = []
        self._stage: Stage | None = None
        self._steps: list[int] = []
        self._planes: dict[str, tuple[int, int]] = {}
        events = viewer.layers.events
        events.inserted.connect(self._on_layers)
        events.removed.connect(self._on_layers)

    @property
    def answering(self) -> bool:
        """Whether questions are being asked."""
        return self._stage is not None

    @property
    def path(self) -> Path | None:
        """File of the open table."""
        return None if self.audit is None else self.audit.path

    @property
    def question(self) -> AuditQuestion | None:
        """What is asked now; None when nothing is left that lies on an open image."""
        found = None if self.audit is None else self.audit.question
        return None if found is None or self.image_of(found.image) is None else found

    @property
    def can_undo(self) -> bool:
        """Whether there is an answer or a skip of this session to take back."""
        return bool(self._steps)

    def open(self, path: Path, scheme: ClassScheme) -> None:
        """Open a table of test points, and end the audit of another one.

        Raises
        ------
        InputError
            If it is no table of a design, or an answer names no class of the scheme.
        """
        self.stop()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", LungclsWarning)
            audit = Audit.open(path, scheme)
        self.remarks = [
            in_window(w.message if isinstance(w.message, LungclsWarning) else str(w.message))
            for w in caught
        ]
        self.audit, self._steps = audit, []
        shapes = pair_column(audit.points, PLANE_SHAPE_COLUMN).astype(int).tolist()
        names = audit.points.column(IMAGE_COLUMN)
        assert names is not None
        self._planes = {str(n).strip(): (h, w) for n, (h, w) in zip(names, shapes, strict=True)}
        self.has_lines = audit.points.column(LINE_LENGTH_COLUMN) is not None
        self.changed.emit()

    def start(self) -> None:
        """Begin to ask, where the answers end."""
        if self.audit is None or self._stage is not None:
            return
        self._advance()
        if self.question is not None:
            self._stage = Stage(self.viewer)
        self._show()

    def stop(self) -> None:
        """Ask no more, and show everything as it was before."""
        stage, self._stage = self._stage, None
        if stage is not None:
            stage.end()
            self.changed.emit()

    def answer(self, value: str | int) -> None:
        """Answer, save, and ask the next question.

        Raises
        ------
        InputError
            When the table cannot be saved.
        """
        if self.audit is not None and self.answering and self.question is not None:
            self._step(lambda audit: audit.answer(value))

    def skip(self) -> None:
        """Leave the question for the end."""
        if self.audit is not None and self.answering and self.question is not None:
            self._step(Audit.skip)

    def undo(self) -> None:
        """Take the last answer or skip back, and ask it again.

        Raises
        ------
        InputError
            When the table cannot be saved.
        """
        if self.audit is not None and self.answering and self._steps:
            for _ in range(self._steps.pop()):
                self.audit.undo()
            self._show()

    def image_of(self, name: str) -> Image | None:
        """Find the open image that the table calls `name`."""
        audit = self.audit
        if audit is None or name not in self._planes:
            return None
        folder = Path() if audit.path is None else audit.path.parent
        ndim = audit.points.ndim
        return open_image_of(self.viewer, name, folder, ndim, self._planes[name])

    def not_open(self) -> dict[str, int]:
        """Count the open questions on every image of the table that is not open."""
        missing = {name: 0 for name in self._planes if self.image_of(name) is None}
        if not missing or self.audit is None:
            return {}
        points = self.audit.points
        kinds = [CLASS_COLUMN, *([CROSSINGS_COLUMN] if self.has_lines else [])]
        columns: list[Any] = [points.column(kind) for kind in kinds]
        names: Any = points.column(IMAGE_COLUMN)
        for row, name in enumerate(names):
            if (name := str(name).strip()) in missing:
                missing[name] += sum(not comparable(str(texts[row])) for texts in columns)
        return {name: count for name, count in missing.items() if count}

    def _step(self, act: Callable[[Audit], None]) -> None:
        assert self.audit is not None
        act(self.audit)
        self._steps.append(1)
        self._advance()
        self._show()

    def _advance(self) -> None:
        """Leave questions on images that are not open for later; undo takes that back as well."""
        audit = self.audit
        assert audit is not None
        known: dict[str, bool] = {}
        skipped, left = 0, audit.total - audit.done
        while skipped < left and (asked := audit.question) is not None:
            if asked.image not in known:
                known[asked.image] = self.image_of(asked.image) is not None
            if known[asked.image]:
                break
            audit.skip()
            skipped += 1
        if skipped and self._steps:
            self._steps[-1] += skipped

    def _show(self) -> None:
        question = self.question
        if self._stage is not None:
            image = None if question is None else self.image_of(question.image)
            if question is None or image is None:
                self.stop()
                return
            self._stage.show(image, question)
        self.changed.emit()

    def _on_layers(self, event: Any) -> None:
        """Go on where an image was opened or closed; the mark comes and goes by itself."""
        if self.audit is None or not isinstance(event.value, Image):
            return
        if self.answering:
            self._advance()
        self._show()
