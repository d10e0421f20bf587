"""A lazy stack of synthetic sections that makes each of them once, and ahead in a thread."""

from __future__ import annotations

import threading
import weakref
from typing import Any

import dask.array as da
import numpy as np
from dask.delayed import delayed
from numpy.typing import NDArray

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.synthetic.sections import LungSection, check_section, make_section
from napari_lungcls.synthetic.stacks import LungStack


class KeptStack:
    """Parallel sections as in `make_stack`, made when asked for and then kept.

    Parameters
    ----------
    shape
        Planes, rows and columns.
    pixel_size, spacing
        µm per pixel, and from plane to plane.
    seed
        As for `make_section`.

    Raises
    ------
    InputError
        When a size is not positive or the seed is negative.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        pixel_size: float = 1.8,
        spacing: float = 5.0,
        seed: int = 0,
    ) -> None:
        check_section(shape, seed, pixel_size, spacing)
        self.shape, self.pixel_size, self.spacing, self.seed = shape, pixel_size, spacing, seed
        self._made: dict[int, LungSection] = {}
        self._locks = [threading.Lock() for _ in range(shape[0])]

    def section(self, k: int) -> LungSection:
        """Give plane `k`; whoever asks while it is being made waits for it."""
        with self._locks[k]:
            if k not in self._made:
                self._made[k] = make_section(
                    self.shape[1:],
                    pixel_size=self.pixel_size,
                    seed=self.seed,
                    z=k * self.spacing,
                )
            return self._made[k]

    def lazy(self) -> LungStack:
        """Give the stack as dask arrays, one plane per chunk."""
        plane = self.shape[1:]
        images = [
            da.from_delayed(delayed(self._image)(k), (*plane, 3), dtype=np.uint8)  # type: ignore[no-untyped-call]
            for k in range(self.shape[0])
        ]
        truths = [
            da.from_delayed(delayed(self._truth)(k), plane, dtype=np.uint8)  # type: ignore[no-untyped-call]
            for k in range(self.shape[0])
        ]
        return LungStack(
            da.stack(images),  # type: ignore[no-untyped-call]
            da.stack(truths),  # type: ignore[no-untyped-call]
            self.pixel_size,
            self.spacing,
            ClassScheme.preset("lung-full"),
            self.seed,
        )

    def make_ahead(self) -> threading.Thread:
        """Make all planes in a thread, from the middle outwards, while the stack is in use."""
        middle = (self.shape[0] - 1) // 2  # Where napari begins.
        order = sorted(range(self.shape[0]), key=lambda k: abs(k - middle))
        thread = threading.Thread(
            target=_make, args=(weakref.ref(self), order), name="synthetic lung", daemon=True
        )
        thread.start()
        return thread

    def _image(self, k: int) -> NDArray[np.uint8]:
        return self.section(k).image

    def _truth(self, k: int) -> NDArray[np.uint8]:
        return self.section(k).truth


def _make(known: weakref.ref[KeptStack], order: list[int]) -> None:
    for k in order:
        stack: Any = known()
        if stack is None:
            return  # The image was closed.
        stack.section(k)
        del stack
