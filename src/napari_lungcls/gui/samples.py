"""Sample data: what "Open Sample" in napari offers."""

from napari_lungcls.gui.readers import LayerData
from napari_lungcls.synthetic import make_section


def synthetic_section() -> list[LayerData]:
    """Make a synthetic lung section and, hidden below it, its exact truth.

    Returns
    -------
    list of layer data
        The RGB image and a labels layer of class codes plus 1 in the colours of the scheme,
        both scaled in micrometres.
    """
    section = make_section()
    place = {"scale": (section.pixel_size,) * 2, "units": ("um", "um")}
    colors: dict[int | None, str] = {None: "transparent", 0: "transparent"}
    colors.update(enumerate(section.scheme.colors, start=1))
    image = {"name": "synthetic lung", "rgb": True, **place}
    truth = {
        "name": "synthetic lung, truth",
        "visible": False,
        "colormap": colors,
        "metadata": {"classes": dict(enumerate(section.scheme.names, start=1))},
        **place,
    }
    return [(section.image, image, "image"), (section.truth, truth, "labels")]
