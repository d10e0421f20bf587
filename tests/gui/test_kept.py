"""Models that are kept on disk until somebody saves them."""

import pytest

from known_maps import bright_model
from napari_lungcls.errors import InputError
from napari_lungcls.gui.kept import Kept, folder, keep, left_behind
from napari_lungcls.model import load
from napari_lungcls.utils.locks import Claimed


def test_a_kept_model_is_offered_to_the_next_session_only():
    model = bright_model()
    first, second = keep(model), keep(model)
    assert first.path != second.path
    assert load(first.path).document == model.document
    assert first.name.startswith("made 20")
    # Their session lives.
    assert left_behind() == []
    with pytest.raises(Claimed):
        Kept(first.path)
    first.release()
    (offered,) = left_behind()
    assert offered.path == first.path
    # Whoever is offered a model has it: no other window offers it as well.
    assert left_behind() == []
    for kept in (offered, second):
        kept.remove()
    assert list(folder().iterdir()) == []


def test_what_a_killed_process_left_half_written_is_not_offered():
    keep(bright_model()).release()
    (folder() / ".lung.safetensors.x1.safetensors").write_bytes(b"half")
    (offered,) = left_behind()
    assert not offered.name.startswith(".")
    offered.release()


def test_a_folder_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("LUNGCLS_MODELS", str(tmp_path / "file"))
    with pytest.raises(InputError, match="the model could not be kept here"):
        keep(bright_model())
