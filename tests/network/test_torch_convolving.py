"""Layers as they are painted give what PyTorch's own convolutions give."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from napari_lungcls.network.engines import torch_convolving
from napari_lungcls.network.engines.torch_convolving import Layer

CPU = torch.device("cpu")


def convolution(kernel: int, stride: int, inputs: int = 5) -> nn.Conv2d:
    torch.manual_seed(kernel + stride)
    return nn.Conv2d(inputs, 7, kernel, stride, kernel // 2)


def image(rows: int, columns: int, inputs: int = 5) -> torch.Tensor:
    made = torch.rand((1, inputs, rows, columns), generator=torch.Generator().manual_seed(0))
    return made.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("packs", [True, False])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (1, 2), (7, 2)])
def test_weights_in_another_order_give_the_same(
    monkeypatch: pytest.MonkeyPatch, kernel: int, stride: int, packs: bool
) -> None:
    if not packs:
        monkeypatch.setattr(torch_convolving, "_can_pack", lambda weight: False)
    made = convolution(kernel, stride)
    layer = Layer.of(made, CPU, torch.float32)
    for edge in (8, 90):
        with torch.inference_mode():
            found = layer.convolve(image(edge, edge), made.bias, kernel // 2)
            torch.testing.assert_close(found, made(image(edge, edge)), atol=1e-5, rtol=1e-5)
            assert found.is_contiguous(memory_format=torch.channels_last)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([(3, 1), (3, 2), (1, 2)]),
    *(st.tuples(st.integers(0, 5), st.integers(1, 6)) for _ in range(2)),
)
def test_a_box_of_an_image_is_convolved_as_in_all_of_it(
    shape: tuple[int, int], rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    kernel, stride = shape
    made = convolution(kernel, stride)
    layer = Layer.of(made, CPU, torch.float32)
    box = tuple(slice(first, first + count) for first, count in (rows, columns))
    x = image(*(stride * (side.stop + i) for i, side in enumerate(box)))
    with torch.inference_mode():
        found = layer.convolve_at(x, made.bias, (box[0], box[1]))
        wanted = F.conv2d(x, made.weight, made.bias, stride, kernel // 2)[..., box[0], box[1]]
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
