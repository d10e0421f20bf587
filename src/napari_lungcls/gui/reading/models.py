"""A model dropped on the viewer: it joins the session, and Paint opens with it."""

from pathlib import Path

from napari_lungcls.errors import InputError
from napari_lungcls.gui.readers import LayerData


def take_model(path: str) -> list[LayerData]:
    """Read a model, make it the current one, and open Paint. No layer is made.

    Raises
    ------
    InputError
        When the file is no model of ours, or no viewer is open.
    """
    from napari import current_viewer

    from napari_lungcls.gui.docks import open_dock
    from napari_lungcls.gui.preferences import preferences
    from napari_lungcls.gui.session import session
    from napari_lungcls.model import load

    viewer = current_viewer()
    if viewer is None:
        raise InputError(f"{path}: a model is opened in a viewer; start napari first")
    file = Path(path)
    model = load(file, device=preferences().device)
    session(viewer).add(model, file.stem, file)
    open_dock(viewer, "Paint")
    return []
