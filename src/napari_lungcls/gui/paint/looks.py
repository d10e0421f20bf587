"""Whether the chosen image looks like those of the chosen model, found out in the background."""

from collections.abc import Sequence

from qtpy.QtCore import QObject, Signal

from napari_lungcls.errors import LungclsWarning
from napari_lungcls.gui.workers import start_call
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.network.model_file import ModelDocument
from napari_lungcls.network.suitability import Suitability, assess_image


class ImageLooks(QObject):
    """Compares one image with one model at a time; the last answer is remembered."""

    found = Signal()
    """There is an answer for what was asked last."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._asked: tuple[ModelDocument, ImageStack] | None = None
        self._misfits: Sequence[LungclsWarning] = ()

    def of(self, document: ModelDocument, stack: ImageStack) -> Sequence[LungclsWarning]:
        """Give what speaks against an image; nothing until that is found out."""
        asked = document, stack
        if self._asked is not None and all(a is b for a, b in zip(asked, self._asked, strict=True)):
            return self._misfits
        self._asked, self._misfits = asked, ()
        if document.appearance is not None:
            # Text of a failure would say what painting says anyway.
            start_call(
                lambda: assess_image(stack, document),
                owner=self,
                returned=lambda fit: self._take(asked, fit),
                failed=lambda _: None,
            )
        return ()

    def _take(self, asked: tuple[ModelDocument, ImageStack], fit: Suitability) -> None:
        if self._asked is asked:
            self._misfits = fit.misfits
            if fit.misfits:
                self.found.emit()
