"""An image that does not suit the model is said above the button, and can be adapted to."""

import numpy as np

from known_network import make_document, make_spec, random_state
from napari_lungcls.gui.paint import PaintMap
from napari_lungcls.gui.session import session
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.model import Model
from napari_lungcls.network.adaptation import image_tiles, rebased_on
from napari_lungcls.network.appearance import describe_images
from napari_lungcls.synthetic import make_section


def test_a_misfit_is_said_and_adapting_paints(viewer, qtbot):
    image = make_section((128, 128), pixel_size=2.0, seed=1).image
    stack, spec = ImageStack(image, rgb=True), make_spec(stages=(1,))
    looks = describe_images([(stack, 1.0)], spec.normalisation)
    document = make_document(spec, rgb=True, appearance=looks, device="cpu", history=[{"epoch": 1}])
    known = rebased_on(document, random_state(spec), image_tiles([(stack, (1.0,))]))
    panel = PaintMap(viewer)
    viewer.window.add_dock_widget(panel, name="Paint")
    session(viewer).add(Model(*known, device="cpu"), "sections")
    dim = viewer.add_image((image * 0.6).astype(np.uint8), rgb=True, name="dim")
    qtbot.waitUntil(lambda: "does not look like" in panel.caution.text())
    assert "use Adapt to this image if its tissue is the same" in panel.caution.text()
    panel.choices.image_box.choose(viewer.add_image(image, rgb=True, name="bright"))
    qtbot.waitUntil(lambda: "does not look like" not in panel.caution.text())
    panel.choices.image_box.choose(dim)
    assert not panel.choices.adapt.isChecked()
    panel.choices.adapt.setChecked(True)
    panel.start()
    qtbot.waitUntil(lambda: not panel.painting.busy, timeout=30_000)
    assert panel.painting.last.map.header.provenance["adapted"]["image"] == "dim"
