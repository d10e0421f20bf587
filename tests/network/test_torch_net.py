"""The backbone in PyTorch: torchvision's names, numbers and published facts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from known_network import cells_of, make_spec, random_engine, random_state
from napari_lungcls.network.engines.torch.net import Backbone, Convolution, Network, folded, pad
from napari_lungcls.network.parameters import backbone_shapes
from napari_lungcls.network.tiles import Tiles

TORCHVISION = make_spec(stages=(4,), pooling="mean", padding="zeros", tile=64, classes=100)


def backbone_with(state: dict[str, np.ndarray], deepest: int = 4) -> Backbone:
    backbone = Backbone(deepest).eval()
    given = {name: torch.from_numpy(array) for name, array in state.items() if name[:2] != "fc"}
    missing = backbone.load_state_dict(given, strict=False).missing_keys
    assert all(name.endswith("num_batches_tracked") for name in missing)
    return backbone


def test_names_and_shapes_are_torchvision_s() -> None:
    arrays = Network(TORCHVISION).named_arrays()
    found = {name: tuple(array.shape) for name, array in arrays.items()}
    assert found == backbone_shapes() | {"fc.weight": (100, 512), "fc.bias": (100,)}
    # As torchvision publishes for resnet18, which has 900 classes more.
    learned = [a for name, a in arrays.items() if "running" not in name]
    assert sum(array.numel() for array in learned) == 11_689_512 - 900 * 513


def test_a_shallow_backbone_ends_with_its_deepest_stage() -> None:
    spec = make_spec(stages=(2,))
    arrays = Network(spec).named_arrays()
    assert {name: tuple(a.shape) for name, a in arrays.items()} == spec.shapes()
    assert not any(name.startswith("layer3") for name in arrays)


def test_torchvision_s_classifier_gives_its_numbers() -> None:
    """The forward pass as torchvision's resnet18 is defined, down to pooling and `fc`."""
    engine = random_engine(TORCHVISION, 5)
    state = random_state(TORCHVISION, 5)
    windows = np.random.default_rng(0).integers(0, 255, (3, 1, 64, 64, 3), np.uint8)
    found = engine.logits(Tiles(windows, np.arange(3), np.zeros((3, 1, 2))))
    norm = TORCHVISION.normalisation
    for window, logits in zip(windows[:, 0], found, strict=True):
        image = torch.from_numpy(((window - norm.mean) / norm.std).astype(np.float32))
        features = cells_of(state, image.permute(2, 0, 1)[None], (4,), "zeros")[4]
        pooled = F.adaptive_avg_pool2d(torch.from_numpy(features)[None], 1).flatten(1)
        wanted = F.linear(
            pooled, torch.from_numpy(state["fc.weight"]), torch.from_numpy(state["fc.bias"])
        )[0]
        np.testing.assert_allclose(logits, wanted, atol=1e-4 * float(wanted.abs().max()))


@pytest.mark.parametrize("size", [33, 64, 75, 100])
@pytest.mark.parametrize("padding", ["zeros", "reflect"])
def test_cells_follow_the_plain_implementation(size: int, padding: str) -> None:
    state = random_state(TORCHVISION)
    backbone = backbone_with(state)
    pad(backbone, reflect=padding == "reflect")
    image = torch.randn((1, 3, size, size), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found = backbone(image)
    for stage, wanted in cells_of(state, image, (0, 1, 2, 3, 4), padding).items():
        assert found[stage].shape[2:] == (-(-size // 2 ** (stage + 1)),) * 2
        np.testing.assert_allclose(found[stage][0], wanted, atol=1e-4 * np.abs(wanted).max())


def test_padding_can_be_changed_back() -> None:
    backbone = backbone_with(random_state(make_spec(stages=(2,))), 2)
    image = torch.randn((1, 3, 40, 40), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before = backbone(image)[2]
        pad(backbone, reflect=True)
        reflected = backbone(image)[2]
        pad(backbone, reflect=False)
        assert torch.equal(backbone(image)[2], before)
    assert not torch.allclose(reflected, before)


def test_a_constant_image_has_no_edges_when_reflected() -> None:
    backbone = backbone_with(random_state(make_spec(stages=(3,))), 3)
    pad(backbone, reflect=True)
    with torch.inference_mode():
        for values in backbone(torch.full((1, 3, 64, 64), 0.7)).values():
            flat = values.flatten(2)
            torch.testing.assert_close(flat, flat[..., :1].expand_as(flat))


def test_folding_changes_nothing_but_the_padding() -> None:
    backbone = backbone_with(random_state(make_spec(stages=(3,))), 3)
    pad(backbone, reflect=True)
    before = {name: array.clone() for name, array in backbone.state_dict().items()}
    fast = folded(backbone)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in fast.modules())
    assert not any(p.requires_grad for p in fast.parameters())
    image = torch.randn((1, 3, 50, 70), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found = fast(image)
        after = backbone(image)
        pad(backbone, reflect=False)
        for stage, wanted in backbone(image).items():
            torch.testing.assert_close(found[stage], wanted, atol=1e-4, rtol=1e-5)
            assert not torch.allclose(after[stage], wanted)
    # The backbone that training goes on with is not touched.
    for name, array in backbone.state_dict().items():
        assert torch.equal(array, before[name])


@pytest.mark.parametrize("padding", ["reflect", "zeros"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("edge", [(2, 2), (2, 3), (4, 4), (5, 3)])
def test_small_maps_are_convolved_as_large_ones(
    edge: tuple[int, int], stride: int, padding: str
) -> None:
    torch.manual_seed(0)
    ours = Convolution(5, 7, 3, stride, padding=1, bias=False, padding_mode=padding)
    plain = nn.Conv2d(5, 7, 3, stride, padding=1, bias=False, padding_mode=padding)
    plain.load_state_dict(ours.state_dict())
    found = []
    for layer in (ours, plain):
        x = torch.arange(3 * 5 * edge[0] * edge[1], dtype=torch.float32).sin()
        x = x.reshape(3, 5, *edge).requires_grad_()
        y = layer(x)
        (y * y.detach().cos()).sum().backward()
        assert x.grad is not None
        assert layer.weight.grad is not None
        found.append((y.detach(), x.grad, layer.weight.grad))
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)
