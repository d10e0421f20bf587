"""Layers as they are painted give what PyTorch's own convolutions give."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from napari_lungcls.network.engines.torch import convolution as torch_convolving
from napari_lungcls.network.engines.torch.convolution import Layer
from napari_lungcls.network.engines.torch.layers import numbered

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
            found = layer.convolve_rows(image(edge, edge), made.bias, slice(0, edge // stride))
            torch.testing.assert_close(found, made(image(edge, edge)), atol=1e-5, rtol=1e-5)
            assert found.is_contiguous(memory_format=torch.channels_last)


SHAPES = st.sampled_from([(3, 1), (3, 2), (1, 2)])


@settings(max_examples=40, deadline=None)
@given(SHAPES, st.integers(0, 5), st.integers(1, 6))
def test_some_rows_are_convolved_as_in_all_of_an_image(
    shape: tuple[int, int], first: int, count: int
) -> None:
    kernel, stride = shape
    made = convolution(kernel, stride)
    layer = Layer.of(made, CPU, torch.float32)
    x = image(stride * (first + count), 12)
    with torch.inference_mode():
        found = layer.convolve_rows(x, made.bias, slice(first, first + count))
        wanted = F.conv2d(x, made.weight, made.bias, stride, kernel // 2)[:, :, first:]
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("packs", [True, False])
@settings(max_examples=40, deadline=None)
@given(shape=SHAPES, edges=st.tuples(*[st.integers(1, 9)] * 2), seed=st.integers(0, 99))
def test_cells_that_are_not_blank_are_convolved_as_in_all_of_an_image(
    packs: bool, shape: tuple[int, int], edges: tuple[int, int], seed: int
) -> None:
    kernel, stride = shape
    rng = np.random.default_rng(seed)
    before = rng.random([stride * n for n in edges]) < 0.5
    wanted = rng.random(edges) < 0.5
    wanted[-1, -1] = True
    x = image(*before.shape) * torch.from_numpy(before)
    made = convolution(kernel, stride)
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        if not packs:
            patch.setattr(torch_convolving, "_can_pack", lambda weight: False)
        layer = Layer.of(made, CPU, torch.float32)
        rows = torch.cat([x[0].permute(1, 2, 0)[torch.from_numpy(before)], torch.ones(1, 5)])
        cells = numbered(rows, before)
        found = layer.gathered(
            cells.values, cells.around(wanted, kernel, stride).of(slice(None)), made.bias
        )
        whole = made(x)[0].permute(1, 2, 0)[torch.from_numpy(wanted)]
    torch.testing.assert_close(found, whole, atol=1e-5, rtol=1e-5)
