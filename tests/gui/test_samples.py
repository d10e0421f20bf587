"""Sample data as napari would add it."""

from __future__ import annotations

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps.standardize_color import transform_color

from napari_lungcls.gui.samples import synthetic_section


def test_the_synthetic_section_comes_with_its_truth_in_place():
    (picture, image_options, image_kind), (classes, truth_options, truth_kind) = synthetic_section()
    assert (image_kind, truth_kind) == ("image", "labels")
    image, truth = Image(picture, **image_options), Labels(classes, **truth_options)
    assert image.rgb
    assert image.visible
    assert not truth.visible
    assert image.units == truth.units
    assert str(image.units[0]) == "micrometer"
    np.testing.assert_array_equal(image.scale, truth.scale)
    np.testing.assert_array_equal(image.extent.world, truth.extent.world)
    names = truth.metadata["classes"]
    assert set(np.unique(classes)) - {0} <= set(names)
    assert {"alveoli", "septa", "duct"} <= {names[code] for code in np.unique(classes) if code}
    septa = next(code for code, name in names.items() if name == "septa")
    np.testing.assert_allclose(truth.colormap.map(septa), transform_color("#ffe119")[0])
