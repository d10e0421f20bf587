"""The trunk's names and shapes, against facts that are published elsewhere."""

import math
import subprocess
import sys

import pytest

from napari_lungcls.network.parameters import PARTS, stage_channels, stage_of, trunk_shapes


def test_counts_are_those_of_the_published_network() -> None:
    shapes = trunk_shapes()
    learned = {n: s for n, s in shapes.items() if "running" not in n}
    # torchvision documents 11 689 512 parameters for ResNet-18; fc holds 512 000 + 1000.
    assert sum(math.prod(s) for s in learned.values()) == 11_689_512 - 513_000
    assert len(shapes) == 100
    assert sum(name.endswith("weight") and len(s) == 4 for name, s in shapes.items()) == 20


def test_shapes_of_some_arrays() -> None:
    shapes = trunk_shapes()
    assert shapes["conv1.weight"] == (64, 3, 7, 7)
    assert shapes["layer1.0.conv1.weight"] == (64, 64, 3, 3)
    assert shapes["layer3.0.downsample.0.weight"] == (256, 128, 1, 1)
    assert shapes["layer4.1.bn2.running_var"] == (512,)
    assert "layer1.0.downsample.0.weight" not in shapes
    assert not any("num_batches_tracked" in name or name.startswith("fc") for name in shapes)


def test_consecutive_convolutions_fit_together() -> None:
    shapes = trunk_shapes()
    for stage in (1, 2, 3, 4):
        assert shapes[f"layer{stage}.1.conv2.weight"][0] == stage_channels(stage)
        before = stage_channels(stage - 1) if stage > 1 else 64
        assert shapes[f"layer{stage}.0.conv1.weight"][1] == before


def test_every_array_belongs_to_a_stage() -> None:
    assert {stage_of(name) for name in trunk_shapes()} == {0, 1, 2, 3, 4}
    assert [stage_of(part) for part in PARTS] == [0, 0, 1, 2, 3, 4]
    assert stage_of("layer2.0.conv1.weight") == 2


@pytest.mark.parametrize("name", ["fc.weight", "layer5.0.conv1.weight", "", "conv2.weight"])
def test_foreign_names_have_no_stage(name: str) -> None:
    with pytest.raises(ValueError, match="not a part of the trunk"):
        stage_of(name)


@pytest.mark.parametrize("stage", [0, 5, -1])
def test_there_are_four_stages(stage: int) -> None:
    with pytest.raises(ValueError, match="stages 1 to 4"):
        stage_channels(stage)


def test_heavy_libraries_stay_out() -> None:
    code = (
        "import sys, napari_lungcls.network.parameters, napari_lungcls.network.pretrained;"
        "print([m for m in ('torch', 'pooch', 'matplotlib', 'requests') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
