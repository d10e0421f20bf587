"""Starting weights for the backbone: from a file, or the published ImageNet ones."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError, LungclsWarning, Suggestion
from napari_lungcls.network.parameters import PARTS, backbone_shapes, stage_channels
from napari_lungcls.network.weight_files import Shape, WeightFile, read_weights
from napari_lungcls.utils import downloads
from napari_lungcls.utils.downloads import Progress, is_cached


@dataclass(frozen=True)
class PretrainedSource(downloads.Published):
    """One published file of weights."""

    stem: ClassVar[str] = "resnet18"


# torchvision's own file, then timm's copy of the same weights at a fixed revision.
IMAGENET = (
    PretrainedSource(
        "https://download.pytorch.org/models/resnet18-f37072fd.pth",
        "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
    ),
    PretrainedSource(
        "https://huggingface.co/timm/resnet18.tv_in1k/resolve/"
        "bbd144b3e5565108aad885f145491d11bc6ce807/model.safetensors",
        "694f673df6520a3158624e8a89af086f59923ee4cd7436fe5bc3bc71d295ad81",
    ),
)
"""torchvision's `ResNet18_Weights.IMAGENET1K_V1` in the order in which they are tried."""


def fetch(
    sources: Sequence[PretrainedSource],
    cache: Path | None = None,
    progress: Progress | None = None,
    timeout: float = downloads.TIMEOUT,
) -> tuple[Path, PretrainedSource]:
    """Find one of `sources` in the cache, or download it; see `downloads.fetch`."""
    remedy = (
        f"fetch {sources[0].url} on another machine and",
        {"pretrained": ...},
        "for the file, or",
        {"pretrained": "none"},
    )
    return downloads.fetch(sources, "the weights", remedy, cache, progress, timeout)


__all__ = ["PretrainedSource", "PretrainedWeights", "load_available", "load_pretrained"]

WITHOUT = "ImageNet's weights are not at hand"
"""How the line begins that says that a network starts from random numbers instead."""

SHORT = 3.0
"""Seconds that a server has to answer where training can do without its weights."""

AGAIN = 600.0
"""Seconds after which a server that did not answer is asked again."""

Array = NDArray[np.float32]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class PretrainedWeights:
    """Arrays to start from.

    Attributes
    ----------
    state
        The backbone's arrays that were found, under torchvision's names, float32.
    fc
        torchvision's classifier, weight `(k, 512)` and bias `(k,)`, when the file has one.
    origin
        The file or address they came from.
    sha256
        Hash of the file.
    missing
        The parts of the backbone that are not in it and stay as they were initialised, each
        named as coarsely as is exact: `layer4` when all of it is missing, `layer4.1` when
        `layer4.0` is there.
    unexpected
        Names in the file that are neither the backbone's nor `fc`.
    """

    state: dict[str, Array]
    fc: tuple[Array, Array] | None
    origin: str
    sha256: str
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]

    def message(self) -> str:
        """Say in one line what was loaded and exactly which parts stay random."""
        absent = backbone_shapes().keys() - self.state.keys()
        loaded = _listed(_covering(self.state, absent))
        line = f"{loaded} from {self.origin}"
        if self.missing:
            line += (
                f"; {_listed(self.missing)} {'stay' if len(self.missing) > 1 else 'stays'} random"
            )
        if self.unexpected:
            plural = "s" if len(self.unexpected) > 1 else ""
            line += f"; {len(self.unexpected)} other array{plural} ignored"
        return line


def load_pretrained(
    source: str | Path,
    *,
    cache: Path | None = None,
    progress: Progress | None = None,
    sources: Sequence[PretrainedSource] = IMAGENET,
) -> PretrainedWeights:
    """Load weights for the backbone.

    Parameters
    ----------
    source
        `"imagenet"`, or a `.safetensors`, `.pth` or `.pt` file with arrays under
        torchvision's names for ResNet-18. The file need not be complete.
    cache
        Folder for downloads; `$LUNGCLS_CACHE` or the user's cache folder when not given.
    progress
        Called with the bytes that have come and the bytes in all during a download.
    sources
        What `"imagenet"` stands for.

    Raises
    ------
    InputError
        When the file cannot be used, or nothing can be downloaded.
    """
    if source == "imagenet":
        path, published = fetch(sources, cache, progress)
        return _assembled(read_weights(path, _wanted()), path, published.url)
    path = Path(source).expanduser()
    return _assembled(read_weights(path, _wanted()), path, str(path))


def load_available(
    *, cache: Path | None = None, sources: Sequence[PretrainedSource] = IMAGENET
) -> tuple[PretrainedWeights | None, str]:
    """Load ImageNet's weights if they lie in the cache or can be fetched at once.

    Returns
    -------
    weights
        None when they cannot be had.
    said
        What a network starts from, in words.

    Warns
    -----
    LungclsWarning
        When training goes on without them.
    """
    why = _unreachable.get(sources[0].url)
    if is_cached(sources, cache) or why is None or time.monotonic() > why[0]:
        try:
            path, published = fetch(sources, cache, timeout=SHORT)
            weights = _assembled(read_weights(path, _wanted()), path, published.url)
            logger.info("pretrained weights: %s", weights.message())
            return weights, weights.message()
        except InputError as error:
            why = time.monotonic() + AGAIN, error.problem, error.suggestion
            _unreachable[sources[0].url] = why
    logger.info("pretrained weights: skipped")
    warnings.warn(
        LungclsWarning(
            f"{WITHOUT}, so training begins with random numbers: {why[1]}", suggestion=why[2]
        ),
        stacklevel=2,
    )
    return None, "none"


_unreachable: dict[str, tuple[float, str, Suggestion]] = {}
"""Servers that did not answer: until when they are left alone, the problem and the remedy."""


def _wanted() -> dict[str, Shape]:
    head: dict[str, Shape] = {"fc.weight": (None, stage_channels(4)), "fc.bias": (None,)}
    return {**backbone_shapes(), **head}


def _assembled(file: WeightFile, path: Path, origin: str) -> PretrainedWeights:
    state = dict(file.arrays)
    head = {name: state.pop(name) for name in ("fc.weight", "fc.bias") if name in state}
    unexpected = [name for name in file.others if not name.endswith(".num_batches_tracked")]
    unexpected += head if len(head) == 1 else []
    _check_network(path, state, unexpected)
    fc = (head["fc.weight"], head["fc.bias"]) if len(head) == 2 else None
    if fc is not None and len(fc[0]) != len(fc[1]):
        raise InputError(
            f"{path}: fc.weight is for {len(fc[0])} classes and fc.bias for {len(fc[1])}; "
            "use another file"
        )
    missing = tuple(_covering(backbone_shapes().keys() - state.keys(), state))
    return PretrainedWeights(
        state=state,
        fc=fc,
        origin=origin,
        sha256=file.sha256,
        missing=missing,
        unexpected=tuple(unexpected),
    )


def _check_network(path: Path, state: dict[str, Array], unexpected: Sequence[str]) -> None:
    """Refuse arrays that are no ResNet-18's, even where some of them would fit."""
    if not state:
        seen = ", ".join(f"{name!r:.40}" for name in unexpected[:3]) or "no others"
        raise InputError(
            f"{path} has none of a ResNet-18's arrays (it has {seen}); "
            "use torchvision's names, such as conv1.weight"
        )
    foreign = next((name for name in unexpected if name.partition(".")[0] in PARTS), None)
    if foreign is not None:
        raise InputError(
            f"{path} has {foreign!r:.80}, which a ResNet-18 has not, so it is another network; "
            "give weights of a ResNet-18"
        )
    negative = next(
        (n for n, a in state.items() if n.endswith("running_var") and a.min() < 0), None
    )
    if negative is not None:
        raise InputError(f"{path}: {negative} holds a negative variance; use another file")


def _covering(names: Collection[str], others: Collection[str]) -> list[str]:
    """Name the fewest modules that hold all of `names` and none of `others`."""
    shared = {prefix for name in others for prefix in _prefixes(name)}
    found = dict.fromkeys(
        next(prefix for prefix in _prefixes(name) if prefix not in shared)
        for name in backbone_shapes()
        if name in names
    )
    return list(found)


def _prefixes(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:depth]) for depth in range(1, len(parts) + 1)]


def _listed(modules: Iterable[str]) -> str:
    """Write a list, with neighbours among the backbone's parts as "conv1 to layer3"."""
    runs: list[list[str]] = []
    for module in modules:
        follows = runs and module in PARTS and runs[-1][-1] in PARTS
        if follows and PARTS.index(module) == PARTS.index(runs[-1][-1]) + 1:
            runs[-1].append(module)
        else:
            runs.append([module])
    words = [f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(run) for run in runs]
    return ", ".join(words)
