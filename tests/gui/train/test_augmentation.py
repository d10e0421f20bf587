"""The button that shows augmented tiles, and its dialog."""

import imageio.v3 as iio
import numpy as np

from napari_lungcls.gui import dialogs


def test_the_button_shows_tiles_draws_others_and_saves_them(
    window, add_scene, qtbot, tmp_path, monkeypatch
):
    preview = window.preview
    assert not preview.button.isEnabled()
    assert preview.button.toolTip() == "Open an image first."
    add_scene()
    qtbot.waitUntil(preview.button.isEnabled)
    window.form.set("elastic", 3.0)
    preview.button.click()
    assert not preview.button.isEnabled()
    qtbot.waitUntil(lambda: preview.job is None)
    first = preview.dialog.picture
    assert preview.dialog.isVisible()
    shown = preview.dialog.shown.pixmap()
    assert (shown.height(), shown.width(), 3) == first.shape
    preview.dialog.again.click()
    qtbot.waitUntil(lambda: preview.job is None)
    assert preview.dialog.picture.shape == first.shape
    assert not np.array_equal(preview.dialog.picture, first)
    target = tmp_path / "sheet.png"
    monkeypatch.setattr(
        dialogs.QFileDialog, "getSaveFileName", lambda *_: (str(target), "PNG (*.png)")
    )
    preview.dialog.save.click()
    qtbot.waitUntil(target.exists)
    np.testing.assert_array_equal(iio.imread(target), preview.dialog.picture)
    preview.dialog.close()


def test_a_refusal_stands_below_the_button(window, viewer, add_scene, qtbot):
    image, _ = add_scene()
    image.data = image.data.astype(np.uint16)
    window.form.set("stain", 0.05)
    qtbot.waitUntil(window.preview.button.isEnabled)
    window.preview.button.click()
    qtbot.waitUntil(lambda: window.preview.job is None)
    assert "8-bit RGB" in window.preview.words.text()
    assert not window.preview.dialog.isVisible()
    window.form.set("stain", 0.0)
    window.preview.button.click()
    qtbot.waitUntil(lambda: window.preview.job is None)
    assert window.preview.words.text() == ""
    window.preview.dialog.close()
