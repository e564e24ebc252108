"""The five kinds of mask of TS2Vec, counted and compared with what its rules say."""

from __future__ import annotations

import random

import pytest
import torch
from torch import Tensor

from tswork.augment.mask import CHANNEL_MASKS, MASKS, ChannelMask, Mask, draw_channel_mask, draw_mask


def drawn(
    mask: Mask, lengths: list[int], time: int | None = None, *, seed: int = 0, probability: float = 0.5
) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return draw_mask(mask, torch.tensor(lengths), time or max(lengths), generator=generator, probability=probability)


@pytest.mark.parametrize("mask", MASKS)
def test_a_mask_has_a_place_for_every_step_and_follows_from_its_generator(mask: Mask) -> None:
    first, again = (drawn(mask, [9, 30, 1]) for _ in range(2))
    assert first.shape == (3, 30)
    assert first.dtype == torch.bool
    assert torch.equal(first, again)


@pytest.mark.parametrize("probability", [0.0, 0.3, 0.5, 1.0])
def test_binomial_keeps_each_step_by_itself(probability: float) -> None:
    keep = drawn("binomial", [100] * 1000, probability=probability).double()
    assert keep.mean().item() == pytest.approx(probability, abs=0.01)
    together = (keep[:, 1:] * keep[:, :-1]).mean().item()
    assert together == pytest.approx(probability**2, abs=0.01)


def test_all_and_nothing_and_the_last() -> None:
    assert drawn("all_true", [4, 2]).tolist() == [[True] * 4] * 2
    assert drawn("all_false", [4, 2]).tolist() == [[False] * 4] * 2
    last = drawn("last", [4, 2])
    assert last[0].tolist() == [True, True, True, False]
    assert last[1, :2].tolist() == [True, False]


@pytest.mark.parametrize(
    ("length", "width", "most"), [(100, 10, 5), (45, 4, 5), (9, 1, 4), (5, 1, 2), (3, 1, 1), (1, 1, 1)]
)
def test_continuous_hides_spans_of_a_tenth_that_may_overlap(length: int, width: int, most: int) -> None:
    hidden = ~drawn("continuous", [length] * 500)
    counts = hidden.sum(dim=1)
    assert counts.min() >= width
    assert counts.max() <= width * most
    padded = torch.nn.functional.pad(hidden, (1, 1))
    edges = padded.int().diff(dim=1)
    for row in range(500):
        begins, ends = (edges[row] == 1).nonzero()[:, 0], (edges[row] == -1).nonzero()[:, 0]
        assert (ends - begins >= width).all()  # no run is shorter than a span


def test_continuous_hides_as_often_as_spans_drawn_one_by_one() -> None:
    """Each step's chance to be hidden, against the rule written as a loop."""
    length, width, spans, rows = 30, 3, 5, 5_000
    found = (~drawn("continuous", [length] * rows)).double().mean(dim=0)
    draw = random.Random(0)
    counts = torch.zeros(length)
    for _ in range(rows):
        covered = {
            start + step
            for start in (draw.randrange(length - width + 1) for _ in range(spans))
            for step in range(width)
        }
        counts[list(covered)] += 1
    torch.testing.assert_close(found, (counts / rows).double(), rtol=0, atol=0.035)


def test_spans_lie_inside_each_sequences_own_length() -> None:
    hidden = ~drawn("continuous", [40, 10, 5], 60)
    for row, length in enumerate([40, 10, 5]):
        assert hidden[row, :length].any()
        assert not hidden[row, length:].any()


@pytest.mark.parametrize(("time", "kept"), [(256, 0.604), (300, 0.596)])
def test_continuous_keeps_as_much_as_published(time: int, kept: float) -> None:
    keep = drawn("continuous", [time] * 4000)
    assert keep.double().mean().item() == pytest.approx(kept, abs=0.01)
    hidden = (~keep).sum(dim=1)
    assert int(hidden.min()) >= time // 10
    assert int(hidden.max()) <= 5 * (time // 10)


def drawn_channels(mask: ChannelMask, lengths: list[int], channels: int, *, seed: int = 0, time: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return draw_channel_mask(mask, torch.tensor(lengths), time or max(lengths), channels, generator=generator)


@pytest.mark.parametrize("mask", CHANNEL_MASKS)
def test_a_channel_mask_has_a_place_for_every_channel_and_follows_from_its_generator(mask: ChannelMask) -> None:
    first, again, other = (drawn_channels(mask, [9, 30, 1], 5, seed=seed) for seed in (0, 0, 1))
    assert first.shape == (3, 30, 5)
    assert first.dtype == torch.bool
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_channel_binomial_keeps_each_channel_of_each_step_by_itself() -> None:
    keep = drawn_channels("channel_binomial", [100] * 100, 8).double()
    assert keep.mean().item() == pytest.approx(0.5, abs=0.01)
    assert (keep[..., 1:] * keep[..., :-1]).mean().item() == pytest.approx(0.25, abs=0.01)
    assert (keep[:, 1:] * keep[:, :-1]).mean().item() == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("channels", [64, 7])
def test_each_span_hides_half_of_the_channels(channels: int) -> None:
    """Series of three steps have one span of one step, so that each half can be counted."""
    hidden = ~drawn_channels("channel_continuous", [3] * 400, channels)
    assert (hidden.sum(dim=(1, 2)) == channels // 2).all()
    assert (hidden.any(dim=2).sum(dim=1) == 1).all()
    often = hidden.any(dim=1).double().mean(dim=0)
    torch.testing.assert_close(often, torch.full_like(often, channels // 2 / channels), rtol=0, atol=0.11)


def test_spans_of_channels_are_drawn_as_whole_spans_are() -> None:
    """Each channel is hidden where half of the spans hide it: about 1 - (1 - 0.05)^5 of all."""
    hidden = ~drawn_channels("channel_continuous", [100] * 300, 16)
    assert hidden.double().mean().item() == pytest.approx(1 - 0.95**5, abs=0.01)
    counts = hidden.sum(dim=1)
    assert int(counts.max()) <= 50
    inside = ~drawn_channels("channel_continuous", [40, 10], 4, time=60)
    assert not inside[0, 40:].any()
    assert not inside[1, 10:].any()
