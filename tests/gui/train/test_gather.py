"""From layers to what training takes, and what is said when something is missing."""

import numpy as np
import pytest
from napari.layers import Image
from napari.layers import Points as PointsLayer

from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.errors import InputError
from napari_lungcls.gui.layers import place
from napari_lungcls.gui.points_layer import categories, class_colors, fill
from napari_lungcls.gui.train.pairs import counted, gather, obstacle, warnings

LUNG = ClassScheme.preset("lung")


def image(name: str = "section", **options: object) -> Image:
    return Image(np.zeros((60, 80, 3), np.uint8), rgb=True, name=name, **options)


def points(
    labels: list[str], picture: Image, scheme: ClassScheme = LUNG, name: str = "mine"
) -> PointsLayer:
    layer = PointsLayer(
        np.empty((0, picture.ndim)),
        ndim=picture.ndim,
        name=name,
        **place(picture),
        features={"class": categories([], scheme)},
        feature_defaults={"class": scheme.names[0]},
        **class_colors(scheme),
    )
    where = np.column_stack([np.arange(len(labels)), np.full(len(labels), 7.25)])
    fill(layer, Points.build(where, labels), scheme)
    return layer


def test_pairs_become_copies_in_pixels_of_the_image():
    picture = image(scale=(0.5, 0.5), translate=(10, 20), units="um")
    layer = points(["alveoli", "", "septa", "duct"], picture)
    ((stack, table),), scheme = gather([(picture, layer)])
    assert scheme.names == LUNG.names
    assert (stack.name, stack.pixel_size) == ("section", 0.5)
    assert list(table.labels) == ["alveoli", "septa", "duct"]
    np.testing.assert_allclose(table.coordinates, [[0, 7.25], [2, 7.25], [3, 7.25]])
    # Labelling goes on while training runs.
    layer.data = layer.data + 1
    layer.features = layer.features.assign(**{"class": "duct"})
    np.testing.assert_allclose(table.coordinates[0], [0, 7.25])
    assert list(table.labels) == ["alveoli", "septa", "duct"]


def test_points_are_counted_by_class():
    layer = points(["duct", "septa", "", "duct"], image())
    assert counted(layer) == "0 alveoli, 1 septa, 2 duct; 1 unlabelled point not used"
    assert counted(PointsLayer(np.zeros((3, 2)))) == "no classes"


def test_what_is_missing_is_said():
    picture = image()
    full = points(["alveoli", "septa", "duct"], picture)
    bare = PointsLayer(np.zeros((3, 2)), name="bare")
    empty = points([], picture)
    deep = Image(np.zeros((2, 60, 80)), name="deep")
    other = points(["a", "b"], picture, ClassScheme.of_names(["a", "b"]), "other")
    for pairs, line in (
        ([], "Add an image and its points"),
        ([(None, full)], "Open an image"),
        ([(picture, None)], "Label some points"),
        ([(picture, bare)], "Layer 'bare' has no classes"),
        ([(picture, empty)], "Layer 'mine' has no labelled points"),
        ([(deep, full)], "Layer 'mine' has 2 axes but image 'deep' has 3"),
        ([(picture, full), (picture, other)], "layer 'other' has a, b; give both the same classes"),
        ([(picture, points(["septa"], picture))], "No point is labelled alveoli or duct; label"),
    ):
        assert line in obstacle(pairs)
        with pytest.raises(InputError, match=line.split(";")[0]):
            gather(pairs)
    assert obstacle([(picture, full)]) == ""


def test_classes_are_counted_over_all_pairs():
    picture = image()
    first = points(["alveoli"] * 12 + ["septa"] * 11, picture)
    assert warnings([(picture, first)]) == "No point is labelled duct."
    second = points(["duct"] * 4, picture)
    assert warnings([(picture, first), (picture, second)]) == (
        "Only 4 duct: a class needs at least 10 points to be learned."
    )
    assert obstacle([(picture, first), (picture, second)]) == ""
    assert warnings([(picture, None)]) == ""
