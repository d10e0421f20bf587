"""What people say about an image: class schemes and labelled points."""

from napari_lungcls.annotation.files import read_points, write_points
from napari_lungcls.annotation.points import Points
from napari_lungcls.annotation.schemes import ClassScheme, ClassSpec

__all__ = ["ClassScheme", "ClassSpec", "Points", "read_points", "write_points"]
