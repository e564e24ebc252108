"""The losses of CoST: closed forms, the plain twin, gradients, invariances, edge cases."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.reference import cost as plain
from tswork.objectives.cost import phase, seasonal_contrast, trend_contrast
from tswork.objectives.ts2vec import instance_contrast


def rows(batch: int, dim: int = 5, queue: int = 6, *, dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
    """Anchors, their twins and a queue."""
    generator = torch.Generator().manual_seed(batch)
    anchors, twins = torch.randn(2, batch, dim, dtype=dtype, generator=generator)
    return anchors, twins, torch.randn(queue, dim, dtype=dtype, generator=generator)


def frames(batch: int, time: int = 9, dim: int = 4, *, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(10 * batch + time)
    z1, z2 = torch.randn(2, batch, time, dim, dtype=dtype, generator=generator)
    return z1, z2


# In time


@pytest.mark.parametrize(("queue", "value"), [(1, 0.313262), (3, 0.743668)])
def test_twins_that_agree_among_orthogonal_negatives(queue: int, value: float) -> None:
    z = torch.eye(queue + 1)
    assert trend_contrast(z[:1], 3 * z[:1], z[1:], temperature=1.0).item() == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_parallel_features_give_the_log_of_the_queue_and_one(temperature: float) -> None:
    loss = trend_contrast(torch.ones(4, 3), torch.ones(4, 3), 2 * torch.ones(256, 3), temperature=temperature)
    assert loss.item() == pytest.approx(math.log(257), abs=1e-5)


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("queue", [1, 6])
def test_the_trend_loss_equals_the_plain_twin(batch: int, queue: int) -> None:
    given = rows(batch, queue=queue)
    torch.testing.assert_close(trend_contrast(*given), plain.trend_contrast(*given), rtol=1e-10, atol=1e-10)
    cold, warm = (plain.trend_contrast(*given, temperature=t) for t in (0.1, 1.0))
    torch.testing.assert_close(trend_contrast(*given, temperature=0.1), cold, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(trend_contrast(*given, temperature=1.0), warm, rtol=1e-10, atol=1e-10)


def test_gradcheck_of_the_trend_loss() -> None:
    given = [z.requires_grad_() for z in rows(3)]
    assert torch.autograd.gradcheck(lambda a, b, c: trend_contrast(a, b, c, temperature=0.5), given)


def test_other_windows_of_the_batch_are_no_candidates() -> None:
    anchors, twins, queue = rows(4)
    one = trend_contrast(anchors[:1], twins[:1], queue)
    rest = trend_contrast(anchors[1:], twins[1:], queue)
    torch.testing.assert_close(trend_contrast(anchors, twins, queue), (one + 3 * rest) / 4)


def test_the_order_of_windows_and_of_the_queue_does_not_matter() -> None:
    anchors, twins, queue = rows(5)
    order = torch.tensor([3, 0, 4, 1, 2])
    loss = trend_contrast(anchors, twins, queue)
    torch.testing.assert_close(trend_contrast(anchors[order], twins[order], queue.flip(0)), loss)
    torch.testing.assert_close(trend_contrast(2 * anchors, 3 * twins, 0.1 * queue), loss)


def test_an_empty_queue_leaves_nothing_to_tell_apart() -> None:
    anchors, twins, queue = rows(3)
    assert trend_contrast(anchors, twins, queue[:0]).item() == 0


def test_a_feature_of_zeros_spoils_nothing() -> None:
    anchors, twins, queue = rows(3)
    anchors[1] = 0
    loss = trend_contrast(anchors.requires_grad_(), twins, queue)
    (gradient,) = torch.autograd.grad(loss, anchors)
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()


# In frequency


@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize("time", [1, 2, 8, 9])
def test_amplitude_and_phase_loss_equal_the_plain_twin(batch: int, time: int) -> None:
    found, expected = seasonal_contrast(*frames(batch, time)), plain.seasonal_contrast(*frames(batch, time))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("batch", "value"), [(1, 0.0), (2, math.log(3)), (4, math.log(7))])
def test_windows_that_are_all_alike_give_the_log_of_the_classes(batch: int, value: float) -> None:
    z = torch.randn(1, 9, 4).expand(batch, -1, -1)
    for loss in seasonal_contrast(z, z):
        assert loss.item() == pytest.approx(value, abs=1e-5)


def test_a_pure_wave_has_its_amplitude_at_its_frequency_and_its_phase() -> None:
    """Two channels on the unit circle: frames of length one, with all of their energy at one frequency."""
    clock = torch.arange(16, dtype=torch.float64) * 2 * math.pi * 3 / 16

    def wave(shift: float) -> Tensor:
        return torch.stack([(clock + shift).cos(), (clock + shift).sin()], dim=1)

    z = torch.stack([wave(0.4), wave(1.3)])
    spectrum = torch.fft.rfft(z, dim=1)
    torch.testing.assert_close(spectrum[:, 3].abs(), torch.full((2, 2), 8.0, dtype=torch.float64))
    torch.testing.assert_close(phase(spectrum)[:, 3, 0], torch.tensor([0.4, 1.3], dtype=torch.float64))
    assert not phase(spectrum)[:, [0, 1, 2, 4, 5, 6, 7, 8]].any()  # rounding noise has no direction
    amplitude, angle = seasonal_contrast(z, z)
    assert amplitude.item() == pytest.approx(math.log(3), abs=1e-9)  # amplitudes do not tell the two apart
    assert angle.item() < math.log(3) - 0.01  # phases do


def test_a_shift_in_time_changes_phases_and_no_amplitude() -> None:
    z1, z2 = frames(4)
    moved = seasonal_contrast(z1.roll(2, dims=1), z2)
    still = seasonal_contrast(z1, z2)
    torch.testing.assert_close(moved[0], still[0])
    assert not torch.isclose(moved[1], still[1])


def test_frames_are_compared_by_direction_alone() -> None:
    z1, z2 = frames(3)
    factors = torch.rand(3, 9, 1, dtype=torch.float64) + 0.1
    torch.testing.assert_close(seasonal_contrast(factors * z1, 5 * z2), seasonal_contrast(z1, z2))


def test_views_and_windows_can_change_places() -> None:
    z1, z2 = frames(5)
    order = torch.tensor([4, 1, 0, 2, 3])
    expected = seasonal_contrast(z1, z2)
    torch.testing.assert_close(seasonal_contrast(z2, z1), expected)
    torch.testing.assert_close(seasonal_contrast(z1[order], z2[order]), expected)


@pytest.mark.parametrize("time", [7, 8])
def test_gradcheck_of_the_seasonal_losses(time: int) -> None:
    z1, z2 = (z.requires_grad_() for z in frames(3, time, 3))
    assert torch.autograd.gradcheck(lambda a, b: seasonal_contrast(a, b), (z1, z2))


@pytest.mark.parametrize("filling", ["zeros", "a constant", "one wave"])
def test_coefficients_that_vanish_have_phase_zero_and_a_finite_gradient(filling: str) -> None:
    z = {
        "zeros": torch.zeros(3, 8, 2),
        "a constant": torch.ones(3, 8, 2),
        "one wave": (torch.arange(8.0) * math.pi / 2).cos()[None, :, None].expand(3, -1, 2).clone(),
    }[filling].requires_grad_()
    losses = seasonal_contrast(z, torch.randn(3, 8, 2))
    (gradient,) = torch.autograd.grad(losses[0] + losses[1], z)
    assert torch.isfinite(torch.stack(losses)).all()
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-8])
def test_a_tiny_coefficient_has_no_direction_and_no_gradient(size: float) -> None:
    parts = torch.tensor([[size, size], [1.0, 1.0]], requires_grad=True)
    found = phase(torch.view_as_complex(parts))
    assert found.tolist() == [0.0, pytest.approx(math.pi / 4)]
    (gradient,) = torch.autograd.grad(found.sum(), parts)
    assert gradient[0].tolist() == [0, 0]
    assert gradient[1].tolist() == pytest.approx([-0.5, 0.5])


def test_the_sign_of_a_zero_does_not_turn_a_negative_real_coefficient() -> None:
    spectrum = torch.complex(torch.tensor([-2.0, -2.0]), torch.tensor([0.0, -0.0]))
    assert phase(spectrum).tolist() == [pytest.approx(math.pi)] * 2


def test_a_single_window_has_no_seasonal_loss_and_no_gradient() -> None:
    z1, z2 = (z.requires_grad_() for z in frames(1))
    losses = seasonal_contrast(z1, z2)
    gradients = torch.autograd.grad(losses[0] + losses[1], (z1, z2), allow_unused=True)
    assert [loss.item() for loss in losses] == [0, 0]
    assert all(gradient is None or not gradient.any() for gradient in gradients)


def test_each_frequency_is_contrasted_by_itself() -> None:
    """The mean over frequencies of a contrast of the rows at each."""
    z1, z2 = (z / z.norm(dim=2, keepdim=True) for z in frames(4))
    first, second = (torch.fft.rfft(z, dim=1).abs() for z in (z1, z2))
    each = [instance_contrast(a[:, None], b[:, None]) for a, b in zip(first.unbind(1), second.unbind(1), strict=True)]
    torch.testing.assert_close(seasonal_contrast(z1, z2)[0], torch.stack(each).mean())


# Precision


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_compared_in_single(dtype: torch.dtype) -> None:
    given = [z.to(dtype) for z in rows(5, dtype=torch.float32)]
    loss = trend_contrast(*given)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, trend_contrast(*(z.float() for z in given)))
    z1, z2 = (z.to(dtype) for z in frames(3, dtype=torch.float32))
    losses = seasonal_contrast(z1.requires_grad_(), z2)
    assert all(loss.dtype == torch.float32 for loss in losses)
    torch.testing.assert_close(losses, seasonal_contrast(z1.float(), z2.float()))
    assert torch.autograd.grad(losses[0] + losses[1], z1)[0].dtype == dtype


def test_autocast_does_not_reach_the_losses() -> None:
    given, views = rows(5, dtype=torch.float32), frames(3, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = trend_contrast(*given), *seasonal_contrast(*views)
    assert cast == (trend_contrast(*given), *seasonal_contrast(*views))
