"""The ridge path: equal to refits, to the full search over penalties, and indifferent to how rows arrive."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.reference.ridge import fit_and_choose
from tswork.metrics.ridge import Moments, RidgePath, choose_among, in_blocks

PENALTIES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)


def rows(
    seed: int, count: int = 120, dim: int = 9, outputs: int = 5, *, heavy: bool = False, shift: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Correlated features and outputs that follow from them with (heavy-tailed) noise."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, dim, generator=generator, dtype=torch.float64)
    x = x @ torch.randn(dim, dim, generator=torch.Generator().manual_seed(7), dtype=torch.float64) + shift
    weights = torch.randn(dim, outputs, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    noise = torch.randn(count, outputs, generator=generator, dtype=torch.float64)
    return x, x @ weights * 0.3 + (noise**3 if heavy else noise) + shift


@pytest.mark.parametrize("shift", [0.0, 1e4])
def test_every_penalty_equals_a_refit(shift: float) -> None:
    sklearn = pytest.importorskip("sklearn.linear_model")
    x, y = rows(0, shift=shift)
    new, _ = rows(1, shift=shift)
    path = RidgePath.fit(x, y)
    for penalty in PENALTIES:
        refit = sklearn.Ridge(alpha=penalty).fit(x.numpy(), y.numpy())
        np.testing.assert_allclose(path.predict(new, penalty).numpy(), refit.predict(new.numpy()), rtol=1e-7)
        np.testing.assert_allclose(path.coefficients(penalty)[0].numpy(), refit.coef_.T, rtol=1e-6, atol=1e-9)


def test_more_features_than_rows_are_fine() -> None:
    sklearn = pytest.importorskip("sklearn.linear_model")
    x, y = rows(0, count=12, dim=40)
    refit = sklearn.Ridge(alpha=0.5).fit(x.numpy(), y.numpy())
    np.testing.assert_allclose(RidgePath.fit(x, y).predict(x, 0.5).numpy(), refit.predict(x.numpy()), rtol=1e-7)


def test_constant_features_and_outputs_are_fine() -> None:
    x, y = torch.ones(20, 3), torch.full((20, 2), 5.0)
    path = RidgePath.fit(x, y)
    torch.testing.assert_close(path.predict(x, 0.1), y.double())
    assert path.choose(x, y, PENALTIES) in PENALTIES


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), heavy=st.booleans(), count=st.integers(12, 90), outputs=st.integers(1, 6))
def test_the_chosen_penalty_is_that_of_the_full_search(seed: int, heavy: bool, count: int, outputs: int) -> None:
    train = rows(seed, count, outputs=outputs, heavy=heavy)
    held_out = rows(seed + 1, 40, outputs=outputs, heavy=heavy)
    path = RidgePath.fit(*train)
    residuals = [(path.predict(held_out[0], penalty) - held_out[1]) for penalty in PENALTIES]
    scores = torch.stack([residual.square().mean().sqrt() + residual.abs().mean() for residual in residuals])
    assert path.choose(*held_out, PENALTIES) == PENALTIES[int(scores.argmin())]


@pytest.mark.parametrize("seed", range(5))
def test_the_choice_is_that_of_scikit_learn_refits(seed: int) -> None:
    train, held_out = rows(seed), rows(seed + 100)
    plain = [(x.numpy(), y.numpy()) for x, y in (train, held_out)]
    expected, _ = fit_and_choose(plain[0], plain[1], PENALTIES)
    assert RidgePath.fit(*train).choose(*held_out, PENALTIES) == expected


@pytest.mark.parametrize("shift", [0.0, 1e5])
def test_the_error_of_every_penalty_follows_from_moments(shift: float) -> None:
    path, (x, y) = RidgePath.fit(*rows(0, shift=shift)), rows(1, shift=shift)
    moments = Moments.of(in_blocks(x, y, size=7), x[0], y[0])
    expected = torch.stack([(path.predict(x, penalty) - y).square().mean().sqrt() for penalty in PENALTIES])
    torch.testing.assert_close(path.rmse(moments, PENALTIES), expected, rtol=1e-6, atol=0.0)


def test_blocks_and_dropped_outputs_leave_the_fit_unchanged() -> None:
    x, y = rows(0)
    moments = Moments(x.mean(dim=0) + 0.3, torch.zeros(5))
    for start in range(0, 70, 7):
        moments.add(x[start : start + 7], y[start : start + 7])
    moments.keep(2)
    moments.add(x[70:], y[70:, :2])
    torch.testing.assert_close(RidgePath(moments).predict(x, 3.0), RidgePath.fit(x, y[:, :2]).predict(x, 3.0))


def test_the_intercept_is_not_penalised() -> None:
    x, y = rows(0)
    torch.testing.assert_close(RidgePath.fit(x, y + 7).predict(x, 50.0), RidgePath.fit(x, y).predict(x, 50.0) + 7)
    torch.testing.assert_close(RidgePath.fit(x + 7, y).predict(x + 7, 50.0), RidgePath.fit(x, y).predict(x, 50.0))


def scales_of(value: float, dim: int = 9) -> Tensor:
    """One scale for the last four features, the others as they are."""
    return torch.cat([torch.ones(dim - 4), torch.full((4,), value)]).double()


@pytest.mark.parametrize("scale", [0.0, 0.1, 3.0])
def test_scales_equal_a_fit_on_scaled_features(scale: float) -> None:
    (x, y), (new, _) = rows(0, shift=2.0), rows(1, shift=2.0)
    scales = scales_of(scale)
    path = RidgePath(Moments.of(in_blocks(x, y), x.mean(dim=0), y.mean(dim=0)), scales)
    for penalty in (0.1, 10.0):
        expected = RidgePath.fit(x * scales, y).predict(new * scales, penalty)
        torch.testing.assert_close(path.predict(new, penalty), expected, rtol=1e-9, atol=1e-9)


def test_a_scale_of_zero_equals_leaving_the_features_out() -> None:
    (x, y), (new, _) = rows(0), rows(1)
    path = RidgePath(Moments.of(in_blocks(x, y), x.mean(dim=0), y.mean(dim=0)), scales_of(0.0))
    torch.testing.assert_close(path.predict(new, 2.0), RidgePath.fit(x[:, :5], y).predict(new[:, :5], 2.0))
    assert torch.equal(path.coefficients(2.0)[0][5:], torch.zeros(4, 5, dtype=torch.float64))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), heavy=st.booleans(), count=st.integers(12, 90), outputs=st.integers(1, 6))
def test_scale_and_penalty_are_those_of_the_full_search(seed: int, heavy: bool, count: int, outputs: int) -> None:
    x, y = rows(seed, count, outputs=outputs, heavy=heavy)
    new, truth = rows(seed + 1, 40, outputs=outputs, heavy=heavy)
    moments = Moments.of(in_blocks(x, y), x.mean(dim=0), y.mean(dim=0))
    paths = [RidgePath(moments, scales_of(scale)) for scale in (0.0, 0.1, 1.0, 5.0)]
    residuals = [path.predict(new, penalty) - truth for path in paths for penalty in PENALTIES]
    scores = torch.stack([residual.square().mean().sqrt() + residual.abs().mean() for residual in residuals])
    blocks = in_blocks(new, truth, size=16)
    path, penalty = choose_among(paths, blocks, Moments.of(blocks, x[0], y[0]), PENALTIES)
    assert (path, penalty) == (int(scores.argmin()) // len(PENALTIES), PENALTIES[int(scores.argmin()) % len(PENALTIES)])


def test_of_equal_scores_the_first_scales_are_chosen() -> None:
    (x, y), (new, truth) = rows(0), rows(1)
    path, blocks = RidgePath.fit(x, y), in_blocks(new, truth)
    assert choose_among([path, path], blocks, Moments.of(blocks, x[0], y[0]), PENALTIES)[0] == 0


def test_few_of_many_candidates_are_predicted_with() -> None:
    (x, y), (new, truth) = rows(0), rows(1)
    moments = Moments.of(in_blocks(x, y), x.mean(dim=0), y.mean(dim=0))
    paths = [RidgePath(moments, scales_of(scale)) for scale in (0.0, 0.01, 0.1, 1.0, 5.0)]
    passes: list[int] = []

    def counted() -> object:
        passes.append(1)
        return in_blocks(new, truth)()

    choose_among(paths, counted, Moments.of(in_blocks(new, truth), x[0], y[0]), PENALTIES)  # type: ignore[arg-type]
    assert len(passes) <= 10 < len(paths) * len(PENALTIES)
