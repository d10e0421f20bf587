"""The backbone's names and shapes, against facts that are published elsewhere."""

import math
import subprocess
import sys

import pytest

from napari_lungcls.network.parameters import (
    PARTS,
    STAGE_NAMES,
    backbone_shapes,
    detail_shapes,
    hidden_shapes,
    stage_channels,
    stage_of,
)


def test_counts_are_those_of_the_published_network() -> None:
    shapes = backbone_shapes()
    learned = {n: s for n, s in shapes.items() if "running" not in n}
    # torchvision documents 11 689 512 parameters for ResNet-18; fc holds 512 000 + 1000.
    assert sum(math.prod(s) for s in learned.values()) == 11_689_512 - 513_000
    assert len(shapes) == 100
    assert sum(name.endswith("weight") and len(s) == 4 for name, s in shapes.items()) == 20


def test_shapes_of_some_arrays() -> None:
    shapes = backbone_shapes()
    assert shapes["conv1.weight"] == (64, 3, 7, 7)
    assert shapes["layer1.0.conv1.weight"] == (64, 64, 3, 3)
    assert shapes["layer3.0.downsample.0.weight"] == (256, 128, 1, 1)
    assert shapes["layer4.1.bn2.running_var"] == (512,)
    assert "layer1.0.downsample.0.weight" not in shapes
    assert not any("num_batches_tracked" in name or name.startswith("fc") for name in shapes)


def test_consecutive_convolutions_fit_together() -> None:
    shapes = backbone_shapes()
    for stage in (1, 2, 3, 4):
        assert shapes[f"layer{stage}.1.conv2.weight"][0] == stage_channels(stage)
        before = stage_channels(stage - 1) if stage > 1 else 64
        assert shapes[f"layer{stage}.0.conv1.weight"][1] == before


def test_every_array_belongs_to_a_stage() -> None:
    assert {stage_of(name) for name in backbone_shapes()} == {0, 1, 2, 3, 4}
    assert [stage_of(part) for part in PARTS] == [0, 0, 1, 2, 3, 4]
    assert stage_of("layer2.0.conv1.weight") == 2


@pytest.mark.parametrize("name", ["fc.weight", "layer5.0.conv1.weight", "", "conv2.weight"])
def test_foreign_names_have_no_stage(name: str) -> None:
    with pytest.raises(ValueError, match="not a part of the backbone"):
        stage_of(name)


def test_every_stage_has_channels() -> None:
    assert {stage: stage_channels(stage) for stage in STAGE_NAMES} == {
        -1: 16, 0: 64, 1: 64, 2: 128, 3: 256, 4: 512,
    }  # fmt: skip


@pytest.mark.parametrize("stage", [5, -2])
def test_other_stages_are_none(stage: int) -> None:
    with pytest.raises(ValueError, match=f"detail, stem, layer1, .* layer4, not {stage}"):
        stage_channels(stage)


def test_detail_and_the_hidden_layer_are_small() -> None:
    shapes = detail_shapes()
    assert shapes["detail.conv1.weight"] == (16, 3, 3, 3)
    assert shapes["detail.conv2.weight"] == (16, 16, 3, 3)
    assert len(shapes) == 10
    assert hidden_shapes(32, 3) == {"heads.out.weight": (3, 32), "heads.out.bias": (3,)}
    assert not (shapes.keys() | hidden_shapes(32, 3).keys()) & backbone_shapes().keys()


def test_heavy_libraries_stay_out() -> None:
    code = (
        "import sys, napari_lungcls.network.parameters, napari_lungcls.network.pretrained;"
        "print([m for m in ('torch', 'pooch', 'matplotlib', 'requests') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
