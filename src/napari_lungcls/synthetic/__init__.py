"""Synthetic lung sections with exact label maps (docs/synthetic.md)."""

from napari_lungcls.synthetic.parameters import LungParameters
from napari_lungcls.synthetic.sampling import sample_points
from napari_lungcls.synthetic.sections import LungSection, make_section
from napari_lungcls.synthetic.stacks import LungStack, lazy_stack, make_stack

__all__ = [
    "LungParameters",
    "LungSection",
    "LungStack",
    "lazy_stack",
    "make_section",
    "make_stack",
    "sample_points",
]
