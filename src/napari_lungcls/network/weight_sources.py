"""Where the published ImageNet weights are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from napari_lungcls.utils import downloads
from napari_lungcls.utils.downloads import Progress


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
