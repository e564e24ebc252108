"""Contrast of segments: worked values, plain lines, padding, short series, gradients, half precision."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.reference import segments as plain
from tswork.objectives.autotcl import global_info_nce
from tswork.objectives.segments import doublings, largest_of_segments, segment_info_nce


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("most", "counts"), [(1, [1]), (2, [1, 2]), (7, [1, 2, 4]), (32, [1, 2, 4, 8, 16, 32])])
def test_counts_double(most: int, counts: list[int]) -> None:
    assert list(doublings(most)) == counts


@pytest.mark.parametrize("count", [1, 2, 3, 8, 12])
@pytest.mark.parametrize("lengths", [[12, 12, 12], [12, 7, 2]])
def test_segments_are_largest_values_of_equal_parts(count: int, lengths: list[int]) -> None:
    z = numbers(3, 12, 5)
    found = largest_of_segments(z, count, lengths=torch.tensor(lengths))
    torch.testing.assert_close(found, plain.largest_of_segments(z, count, lengths=lengths))
    if len(set(lengths)) == 1:
        torch.testing.assert_close(largest_of_segments(z, count), found)


def test_padding_is_never_read() -> None:
    z, lengths = numbers(2, 10, 3), torch.tensor([10, 6])
    spoilt = z.clone()
    spoilt[1, 6:] = 1e6
    for count in (1, 2, 4, 8):
        assert torch.equal(
            largest_of_segments(z, count, lengths=lengths), largest_of_segments(spoilt, count, lengths=lengths)
        )


@pytest.mark.parametrize("takes_part", [[True] * 4, [True, False, True, True], [False] * 4])
@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_a_segment_picks_its_view_among_all(takes_part: list[bool], temperature: float) -> None:
    x, v = numbers(4, 3, 5), numbers(4, 3, 5, seed=1)
    found = segment_info_nce(x, v, temperature=temperature, takes_part=torch.tensor(takes_part))
    expected = plain.segment_info_nce(x, v, temperature=temperature, takes_part=takes_part)
    torch.testing.assert_close(found, expected)


def test_one_segment_is_the_global_loss() -> None:
    x, v = numbers(6, 9, 4), numbers(6, 9, 4, seed=1)
    whole = [largest_of_segments(z, 1) for z in (x, v)]
    torch.testing.assert_close(segment_info_nce(*whole, temperature=0.2), global_info_nce(x, v, temperature=0.2))


def test_orthogonal_segments_give_the_closed_form() -> None:
    z = torch.eye(8, dtype=torch.float64).reshape(4, 2, 8)
    assert segment_info_nce(z, 3 * z).item() == pytest.approx(math.log(1 + 7 / math.e), abs=1e-12)
    assert segment_info_nce(torch.ones(4, 2, 8), torch.ones(4, 2, 8)).item() == pytest.approx(math.log(8), abs=1e-6)


def test_the_order_of_series_does_not_matter() -> None:
    x, v, order = numbers(5, 4, 3), numbers(5, 4, 3, seed=1), [3, 1, 4, 0, 2]
    torch.testing.assert_close(segment_info_nce(x[order], v[order]), segment_info_nce(x, v))


@pytest.mark.parametrize("lengths", [[8, 8, 8], [8, 5, 1]])
def test_gradients_are_those_of_the_values(lengths: list[int]) -> None:
    real = torch.tensor(lengths)

    def loss(x: Tensor, v: Tensor) -> Tensor:
        cuts = (largest_of_segments(one, 2, lengths=real) for one in (x, v))
        return segment_info_nce(*cuts, temperature=0.5, takes_part=real >= 2)

    x, v = (numbers(3, 8, 2, seed=seed).requires_grad_() for seed in (0, 1))
    assert torch.autograd.gradcheck(loss, (x, v))


def test_series_that_take_no_part_get_no_gradient() -> None:
    x, v = (numbers(3, 4, 2, seed=seed).requires_grad_() for seed in (0, 1))
    segment_info_nce(x, v, takes_part=torch.tensor([True, False, True])).backward()
    for one in (x, v):
        assert one.grad is not None
        assert one.grad.isfinite().all()
        assert (one.grad[1] == 0).all()
        assert (one.grad[0] != 0).any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_gives_a_wide_loss(dtype: torch.dtype) -> None:
    x, v = numbers(4, 8, 6).to(dtype), numbers(4, 8, 6, seed=1).to(dtype)
    found = segment_info_nce(largest_of_segments(x, 4), largest_of_segments(v, 4), temperature=0.1)
    assert found.dtype == torch.float32
    wide = (largest_of_segments(one.double(), 4) for one in (x, v))
    torch.testing.assert_close(found.double(), segment_info_nce(*wide, temperature=0.1), rtol=1e-5, atol=1e-5)
