"""Memory that layers lend each other, and work that is cut into pieces."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_lungcls.network.engines.torch.execution import Memory, in_pieces

CPU = torch.device("cpu")


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 8)), min_size=3, max_size=12))
def test_what_is_lent_leaves_the_last_two_alone(sizes: list[tuple[int, int]]) -> None:
    memory = Memory(torch.float32, CPU)
    kept: list[torch.Tensor] = []
    for i, (n, channels) in enumerate(sizes):
        lent = memory.rows(n, channels, *kept)
        assert lent.shape == (n, channels)
        lent.fill_(i)
        for before, tensor in zip(range(i - len(kept), i), kept, strict=True):
            assert bool((tensor == before).all())
        kept = [*kept, lent][-2:]


def test_memory_is_used_again() -> None:
    memory = Memory(torch.float32, CPU)
    first = memory.image(64, (8, 10))
    assert first.is_contiguous(memory_format=torch.channels_last)
    others = [memory.rows(20, 4, first)]
    others.append(memory.rows(20, 4, first, others[0]))
    again = memory.rows(30, 4, *others)
    assert again.data_ptr() == first.data_ptr()
    assert memory.rows(20, 4, first).data_ptr() in {other.data_ptr() for other in others}


@given(st.integers(1, 5000), st.integers(1, 10**7), st.sampled_from([1, 64]), st.integers(1, 3))
def test_pieces_cover_everything_once(n: int, size: int, multiple: int, threads: int) -> None:
    had = torch.get_num_threads()
    found: list[slice] = []
    torch.set_num_threads(threads)
    try:
        in_pieces(found.append, n, size, CPU, multiple)
    finally:
        torch.set_num_threads(had)
    found.sort(key=lambda piece: piece.start)
    assert [piece.start for piece in found] == [0, *(piece.stop for piece in found[:-1])]
    assert found[-1].stop == n
    assert all((piece.stop - piece.start) % multiple == 0 for piece in found[:-1])
