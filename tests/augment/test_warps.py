"""Views that read sequences at other places or bend their values: against plain twins, and what they leave as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.reference import warps as plain
from tswork.augment.base import Augmentation, View
from tswork.augment.permutation import permuted_steps
from tswork.augment.resampling import at_positions, last_places
from tswork.augment.smooth_curve import curve_through, draw_curve
from tswork.augment.time_warp import travelled
from tswork.augment.window_warp import warped
from tswork.config import configure

RESAMPLED = ("time_warp", "window_slice", "window_warp")
LENGTHS = torch.tensor([20, 13, 2, 1])

UNCHANGED: list[tuple[str, dict[str, Any]]] = [
    ("permutation", {"segments": 1}),
    ("time_warp", {"sigma": 0.0}),
    ("magnitude_warp", {"sigma": 0.0}),
    ("window_slice", {"share": 1.0}),
    ("window_warp", {"factors": [1.0]}),
    ("subsequence", {"share": 1.0, "elsewhere": "zero"}),
]


def change(name: str, **options: Any) -> Augmentation[Any]:
    view: Augmentation[Any] = configure("view", {"uses": name, **options}).build()
    return view


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=generator(seed), dtype=torch.float64)


def ragged(*, missing: float = 0.0, dtype: torch.dtype = torch.float64) -> View:
    x = torch.randn(4, 20, 2, generator=generator(5), dtype=torch.float64).to(dtype)
    x[torch.rand(x.shape, generator=generator(6)) < missing] = torch.nan
    inside = torch.arange(20) < LENGTHS[:, None]
    return View(torch.where(inside[..., None], x, 0.0), LENGTHS)


def same(found: Tensor, expected: Any, *, tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(
        found, torch.as_tensor(np.asarray(expected)).to(found), rtol=tolerance, atol=tolerance, equal_nan=True
    )


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_values_between_steps_equal_those_read_one_by_one(missing: float) -> None:
    view = ragged(missing=missing)
    positions = drawn(4, 20) * 26 - 3  # some outside on both sides
    found = at_positions(view, positions)
    for row, length in enumerate(LENGTHS.tolist()):
        same(
            found.x[row, :length],
            plain.at_positions(view.x[row, :length].numpy(), positions[row, :length].numpy()),
        )
        assert not found.x[row, length:].any()


def test_a_missing_value_reaches_half_a_step_and_no_further() -> None:
    x = torch.tensor([1.0, torch.nan, 3.0, 4.0])[None, :, None]
    view = View(x, torch.tensor([4]))
    positions = torch.tensor([[0.4, 0.6, 1.4, 1.6]], dtype=torch.float64)
    found = at_positions(view, positions).x[0, :, 0]
    assert found[[0, 3]].tolist() == [1.0, 3.0]
    assert found[1:3].isnan().all()


def test_a_place_is_hidden_where_the_nearest_step_is() -> None:
    keep = torch.tensor([[True, False, True, True]])
    view = View(torch.ones(1, 4, 1), torch.tensor([4]), keep)
    found = at_positions(view, torch.tensor([[0.4, 0.6, 1.4, 1.6]], dtype=torch.float64))
    assert found.keep is not None
    assert found.keep.tolist() == [[True, False, False, True]]


@pytest.mark.parametrize("knots", [2, 3, 4, 7])
def test_curves_are_natural_splines_through_their_knots(knots: int) -> None:
    values = drawn(4, knots, 3)
    found = curve_through(values, LENGTHS, 20)
    for row, length in enumerate(LENGTHS.tolist()):
        for channel in range(3):
            same(found[row, :length, channel], plain.curve(values[row, :, channel].numpy(), length))


def test_drawn_curves_are_standard_normal_at_the_knots_and_each_its_own() -> None:
    curves = draw_curve(torch.full((4000,), 21), 21, knots=5, curves=2, generator=generator())
    at_knots = curves[:, ::5]
    assert at_knots.mean().item() == pytest.approx(0, abs=0.02)
    assert at_knots.std().item() == pytest.approx(1, rel=0.02)
    assert (at_knots[..., 0] * at_knots[..., 1]).mean().item() == pytest.approx(0, abs=0.03)
    assert (at_knots[:, 1:] * at_knots[:, :-1]).mean().item() == pytest.approx(0, abs=0.03)


def test_a_journey_equals_one_made_step_by_step() -> None:
    speed = drawn(4, 20) + 0.1
    found = travelled(speed, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        same(found[row, :length], plain.travelled(speed[row, :length].numpy()))


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0, 3.7])
def test_a_stretch_takes_its_time(factor: float) -> None:
    last = last_places(LENGTHS)
    start, width = 0.5 * drawn(4, 1) * last, 0.5 * last
    factors = torch.full((4, 1), factor, dtype=torch.float64)
    found = warped(torch.arange(20, dtype=torch.float64), last, start, width, factors)
    for row, length in enumerate(LENGTHS.tolist()):
        expected = plain.warped(length, float(start[row]), float(width[row]), factor)
        same(found[row, :length], expected)


@pytest.mark.parametrize("segments", [1, 2, 4, 7])
def test_segments_change_places_as_when_put_together_one_by_one(segments: int) -> None:
    keys = drawn(4, segments)
    found = permuted_steps(keys, LENGTHS, 20)
    for row, length in enumerate(LENGTHS.tolist()):
        assert found[row, :length].tolist() == plain.permuted(length, keys[row].tolist())


def test_every_order_of_segments_comes_equally_often() -> None:
    rows = 6000
    view = View(torch.arange(9.0).repeat(rows, 1)[..., None], torch.full((rows,), 9))
    firsts = change("permutation", segments=3)(view, generator=generator()).x[:, ::3, 0]
    orders, counts = firsts.unique(dim=0, return_counts=True)
    assert len(orders) == 6
    assert ((counts - rows / 6).abs() < 5 * (rows / 6) ** 0.5).all()


def test_a_slice_lies_everywhere_and_is_read_evenly() -> None:
    ramp = View(torch.arange(101.0, dtype=torch.float64).repeat(4000, 1)[..., None], torch.full((4000,), 101))
    read = change("window_slice", share=0.8)(ramp, generator=generator()).x[..., 0]
    same(read.diff(dim=1), np.full((4000, 100), 0.8))
    start = read[:, 0]
    assert 0 <= start.min() < 0.1
    assert 19.9 < start.max() <= 20
    assert start.mean().item() == pytest.approx(10, abs=0.4)


def test_windows_run_at_the_given_factors_equally_often_and_anywhere() -> None:
    """On a ramp of slope one the slope of the view says how fast time runs."""
    rows, share = 4000, 0.2
    ramp = View(torch.arange(101.0, dtype=torch.float64).repeat(rows, 1)[..., None], torch.full((rows,), 101))
    read = change("window_warp", share=share, factors=[0.5, 2.0])(ramp, generator=generator()).x[..., 0]
    slope = read.diff(dim=1)
    slow = slope.min(dim=1).values < 0.7  # beside the window it is 1.2 when slowed down, 0.9 when sped up
    assert slow.double().mean().item() == pytest.approx(0.5, abs=0.04)
    same(slope[slow].min(dim=1).values, np.full(int(slow.sum()), 1.2 / 2))
    same(slope[slow].max(dim=1).values, np.full(int(slow.sum()), 1.2))
    same(slope[~slow].max(dim=1).values, np.full(int((~slow).sum()), 0.9 * 2))
    middle = (slope < 0.7).double().argmax(dim=1)[slow]
    assert middle.min() < 3
    assert middle.max() > 60


@pytest.mark.parametrize("name", ["time_warp", "window_warp"])
def test_time_runs_forward_and_both_ends_stay(name: str) -> None:
    ramp = torch.arange(60.0, dtype=torch.float64).repeat(200, 1)[..., None]
    lengths = torch.randint(1, 61, (200,), generator=generator(3))
    inside = torch.arange(60) < lengths[:, None]
    options: dict[str, Any] = {"sigma": 1.5} if name == "time_warp" else {"share": 0.5, "factors": [0.2, 5.0]}
    read = change(name, **options)(View(ramp * inside[..., None], lengths), generator=generator()).x[..., 0]
    assert (read.diff(dim=1)[inside[:, 1:]] > 0).all()
    same(read[:, 0], torch.zeros(200))
    same(read.gather(1, lengths[:, None] - 1)[:, 0], lengths - 1)
    assert (read - torch.arange(60))[inside].abs().max() > 3


@pytest.mark.parametrize(("name", "options"), UNCHANGED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_some_settings_change_nothing(name: str, options: dict[str, Any], dtype: torch.dtype) -> None:
    view = ragged(missing=0.2, dtype=dtype)
    found = change(name, **options)(view, generator=generator())
    tolerance = 0.0 if name != "time_warp" else 1e-12 if dtype == torch.float64 else 1e-6
    torch.testing.assert_close(found.x, view.x, rtol=tolerance, atol=tolerance, equal_nan=True)
    assert torch.equal(found.lengths, view.lengths)


@pytest.mark.parametrize("name", [*RESAMPLED, "permutation"])
def test_constant_sequences_stay_as_they_are(name: str) -> None:
    """Ragged ones too: not a bit of the zeros behind them leaks in."""
    inside = torch.arange(20) < LENGTHS[:, None]
    view = View(torch.where(inside[..., None], torch.tensor([0.3, -7.0]), 0.0), LENGTHS)
    for seed in range(10):
        assert torch.equal(change(name)(view, generator=generator(seed)).x, view.x)


@pytest.mark.parametrize("name", RESAMPLED)
def test_views_between_steps_stay_within_the_values(name: str) -> None:
    view = ragged()
    found = change(name)(view, generator=generator())
    for row, length in enumerate(LENGTHS.tolist()):
        given, read = view.x[row, :length], found.x[row, :length]
        assert (read <= given.amax(dim=0) + 1e-12).all()
        assert (read >= given.amin(dim=0) - 1e-12).all()


@pytest.mark.parametrize("name", [*RESAMPLED, "permutation"])
def test_all_channels_move_together(name: str) -> None:
    x = torch.randn(5, 40, 1, generator=generator(1)).expand(-1, -1, 3).contiguous()
    found = change(name)(View(x, torch.full((5,), 40)), generator=generator()).x
    assert torch.equal(found, found[..., :1].expand(-1, -1, 3))


def test_a_magnitude_warp_is_one_curve_for_each_channel_of_each_sequence() -> None:
    sigma, knots = 0.4, 4
    view = View(torch.ones(50, 31, 2, dtype=torch.float64), torch.full((50,), 31))
    factor = change("magnitude_warp", sigma=sigma, knots=knots)(view, generator=generator()).x
    expected = 1 + sigma * draw_curve(view.lengths, 31, knots=knots, curves=2, generator=generator())
    same(factor, expected)
    assert (factor[..., 0] != factor[..., 1]).all()
    assert factor[:, ::10].std().item() == pytest.approx(sigma, rel=0.1)


def test_permutation_keeps_every_step_and_hides_what_was_hidden() -> None:
    x = torch.arange(60.0).reshape(3, 20, 1)
    keep = x[..., 0] % 3 == 0
    found = change("permutation", segments=6)(View(x, torch.full((3,), 20), keep), generator=generator())
    assert torch.equal(found.x.sort(dim=1).values, x)
    assert found.keep is not None
    assert torch.equal(found.keep, found.x[..., 0] % 3 == 0)
    assert not torch.equal(found.x, x)


def test_a_subsequence_among_zeros_stays_where_it_is() -> None:
    x = torch.arange(200.0).reshape(10, 20, 1) + 1
    x[0, :] = torch.nan
    view = View(x, torch.full((10,), 20))
    augmentation = change("subsequence", share=0.5, elsewhere="zero")
    found = augmentation(view, generator=generator())
    assert augmentation.aligned
    assert torch.equal(found.lengths, view.lengths)
    assert found.x[0].isnan().all()
    kept = found.x[1:, :, 0] != 0
    assert (kept.sum(dim=1) == 10).all()
    assert (kept[:, 1:] & ~kept[:, :-1]).sum(dim=1).le(1).all()  # it begins once
    assert torch.equal(found.x[1:, :, 0][kept], x[1:, :, 0][kept])


def test_views_of_long_series_read_the_right_steps() -> None:
    """Single precision would mix up steps behind the sixteen-millionth; half precision those behind the 256th."""
    x = torch.arange(3000.0).remainder(7)[None, :, None].to(torch.bfloat16)
    found = change("window_warp", factors=[1.0])(View(x, torch.tensor([3000])), generator=generator())
    assert torch.equal(found.x, x)
