"""Where the windows compute: on this computer, or on a server whose address is chosen here."""

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QLabel, QWidget

from napari_lungcls.any_model import AnyModel
from napari_lungcls.errors import InputError
from napari_lungcls.gui.dialogs import ask_open
from napari_lungcls.gui.lifetime import at_end, listen
from napari_lungcls.gui.parts import beside, button, column, narrow, note, redden
from napari_lungcls.gui.remembered import choices
from napari_lungcls.gui.session import NamedModel
from napari_lungcls.gui.titles import in_window
from napari_lungcls.gui.workers import start_call
from napari_lungcls.remote.deferred import DeferredModel
from napari_lungcls.utils.addresses import web_address

FORM = "compute on"
HERE = "This computer"
KEPT = 5
"""Addresses that are offered again."""

SHOWN = 10
"""Most letters of a file's name on a button."""

TOKEN = "Choose a file with the server's token, if it asks for one."

NOT_SAVED = (
    "The server must have the model's file, and this model is in none: save it in Train, serve the "
    "file there, and choose it again."
)


class ComputeOn(QWidget):
    """A field for the address of a server, a button that tries it, and its token's file."""

    changed = Signal()
    """Another place was chosen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.box = QComboBox()
        self.box.setEditable(True)
        self.box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.box.setObjectName("compute_on")
        self.box.setToolTip(
            "This computer, or the address of a server that runs lungcls serve with the same\n"
            "model file, such as https://lab.example:8080; used by Paint and Classify by click"
        )
        narrow(self.box, 9)
        self.try_button = button(
            "Try the server", "compute_try", "See whether the server has this model"
        )
        self.token_button = button("Token…", "compute_token")
        self.words = note(name="compute_words")
        self.token_file: Path | None = None
        layout = column(self)
        layout.addWidget(beside(QLabel("Compute on"), (self.box, 1)))
        layout.addWidget(beside((self.try_button, 1), (self.token_button, 1)))
        layout.addWidget(self.words)
        self._named: NamedModel | None = None
        self._chosen: object = None
        self._for_points: AnyModel | None = None
        at_end(self, self.close)
        self._show_known()
        self._last = self.server
        line = self.box.lineEdit()
        assert line is not None
        line.editingFinished.connect(self._on_edit)
        self.box.activated.connect(self._on_edit)
        self.try_button.clicked.connect(self._on_try)
        self.token_button.clicked.connect(self._on_token)
        listen(self, choices().forgotten, slot=self._on_forgotten)
        self._say("")

    @property
    def server(self) -> str:
        """The address, or nothing for this computer."""
        text = self.box.currentText().strip()
        return "" if text in ("", HERE) else text

    def set_model(self, named: NamedModel | None) -> None:
        """Choose the model that the server is asked for."""
        self._named = named
        self._say("")

    def refusal(self) -> str:
        """Say why the chosen place cannot compute the model; empty if it may."""
        if not self.server or self._named is None:
            return ""
        try:
            web_address(self.server)
        except InputError as error:
            return in_window(error)
        path = self._named.path
        return "" if path is not None and path.exists() else NOT_SAVED

    def model(self) -> AnyModel | None:
        """Give the chosen model as the chosen place computes it; connects to nothing yet."""
        named = self._named
        if named is None or not self.server or self.refusal():
            return None if named is None else named.model
        assert named.path is not None
        return DeferredModel(named.model.document, named.path, self.server, self.token_file)

    def model_for_points(self) -> AnyModel | None:
        """Give the same while the choice is the same, so that an image is sent once."""
        chosen = (self._named, self.server, self.token_file, self.refusal())
        if chosen != self._chosen:
            self.close()
            self._chosen, self._for_points = chosen, self.model()
        return self._for_points

    def close(self) -> None:
        """Let go of the server."""
        if isinstance(self._for_points, DeferredModel):
            self._for_points.close(forget=False)

    def keep(self) -> None:
        """Remember the place: it was used."""
        known = [self.server, *self._known()] if self.server else self._known()
        token = None if self.token_file is None else str(self.token_file)
        kept = list(dict.fromkeys(known))[:KEPT]
        choices().put(FORM, {"server": self.server, "known": kept, "token_file": token})

    def _known(self) -> list[str]:
        known = choices().get(FORM).get("known")
        return [str(each) for each in known][:KEPT] if isinstance(known, list) else []

    def _show_known(self) -> None:
        stored = choices().get(FORM)
        self.box.clear()
        self.box.addItems([HERE, *self._known()])
        self.box.setCurrentText(str(stored.get("server") or HERE))
        token = stored.get("token_file")
        self._take_token(Path(token) if isinstance(token, str) else None)

    def _take_token(self, path: Path | None) -> None:
        self.token_file = path
        name = "" if path is None else path.name
        short = name if len(name) <= SHOWN else f"{name[: SHOWN - 1]}…"
        self.token_button.setText(f"Token: {short}" if name else "Token…")
        self.token_button.setToolTip(f"{TOKEN}\nChosen: {name}" if name else TOKEN)

    def _on_forgotten(self) -> None:
        self._show_known()
        self._on_edit()

    def _on_edit(self, _: object = None) -> None:
        if not self.box.currentText().strip():
            self.box.setCurrentText(HERE)
        line = self.box.lineEdit()
        assert line is not None
        line.setCursorPosition(0)  # of a long address the beginning says more
        if self.server != self._last:
            self._last = self.server
            self._say("")
            self.changed.emit()

    def _on_token(self, _: bool = False) -> None:
        """Choose another file, or none if that is given up."""
        self._take_token(ask_open(self, "Token of the server", "All files (*)"))
        self._say("")
        self.changed.emit()

    def _on_try(self, _: bool = False) -> None:
        self._on_edit()
        model = self.model()
        if not isinstance(model, DeferredModel):
            return
        self._say("asking…")
        self.try_button.setEnabled(False)
        start_call(
            _trying(model),
            owner=self,
            title="Asking the server",
            returned=lambda _: self._say(f"{model.server} has this model."),
            failed=lambda line: self._say(line, refused=True),
            ended=self._show_buttons,
        )

    def _say(self, line: str, *, refused: bool = False) -> None:
        problem = self.refusal()
        self.words.setText(problem or line)
        self.words.setVisible(bool(problem or line))
        redden(self.words, refused or bool(problem))
        self._show_buttons()

    def _show_buttons(self) -> None:
        able = bool(self.server) and self._named is not None and not self.refusal()
        self.try_button.setVisible(bool(self.server))
        self.try_button.setEnabled(able)
        self.token_button.setVisible(bool(self.server))


def _trying(model: DeferredModel) -> Callable[[], None]:
    def ask() -> None:
        try:
            model.prepare()
        finally:
            model.close()

    return ask
