"""Both forms of the causal convolution against a plain loop, and the choice between them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.reference import encoders as plain
from tswork.encoders import causal_convolution as ours
from tswork.encoders.causal_convolution import by_frequency, causal_convolution, step_by_step

Form = Callable[[Tensor, Tensor], Tensor]
FORMS = pytest.mark.parametrize("form", [step_by_step, by_frequency, causal_convolution])
PRECISIONS = pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])


def noise(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@FORMS
@PRECISIONS
@pytest.mark.parametrize(
    ("time", "taps"), [(1, 1), (1, 4), (2, 4), (3, 4), (4, 4), (12, 4), (13, 4), (24, 4), (29, 4), (40, 1), (9, 30)]
)
def test_it_equals_a_loop_over_steps_and_taps(
    form: Form, dtype: torch.dtype, tolerance: float, time: int, taps: int
) -> None:
    """Up to three times the taps an input is one block, beyond that several; periods are odd and even."""
    x, kernel = noise(3, time, 5, dtype=dtype), noise(taps, 5, 2, dtype=dtype, seed=1)
    expected = plain.causal_convolution(x, kernel)
    found = form(x, kernel)
    assert found.dtype == dtype
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("form", [step_by_step, by_frequency])
@pytest.mark.parametrize("time", [7, 20])
def test_its_gradients_are_right(form: Form, time: int) -> None:
    x, kernel = noise(2, time, 3).requires_grad_(), noise(3, 3, 2, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(form, (x, kernel))


@pytest.mark.parametrize("portion", [1, 20, 60])
def test_portions_of_frequencies_add_up(portion: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One frequency at a time, three, and all six."""
    monkeypatch.setattr(ours, "PORTION", portion)
    x, kernel = noise(2, 16, 3).requires_grad_(), noise(3, 3, 1, seed=1).requires_grad_()
    torch.testing.assert_close(by_frequency(x, kernel), plain.causal_convolution(x, kernel), rtol=1e-10, atol=1e-10)
    assert torch.autograd.gradcheck(by_frequency, (x, kernel))


def test_nothing_is_computed_for_a_gradient_that_nobody_wants() -> None:
    for wanted in (0, 1):
        given = [noise(2, 20, 3), noise(4, 3, 3, seed=1)]
        given[wanted].requires_grad_()
        by_frequency(*given).sum().backward()
        assert [one.grad is not None for one in given] == [wanted == 0, wanted == 1]


@FORMS
def test_a_step_changes_nothing_before_it(form: Form) -> None:
    x, kernel = noise(1, 30, 3), noise(6, 3, 4, seed=1)
    changed = x.clone()
    changed[:, 17] += 1
    differ = (form(x, kernel) - form(changed, kernel)).abs().amax(dim=(0, 2)) > 1e-9
    assert differ.nonzero().flatten().tolist() == [*range(17, 23)]


@FORMS
def test_a_batch_of_none_gives_none(form: Form) -> None:
    assert form(noise(0, 9, 3), noise(4, 3, 2)).shape == (0, 9, 2)


def test_the_form_with_fewer_multiplications_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Form] = []

    def noted(form: Form) -> Form:
        def noting(x: Tensor, kernel: Tensor) -> Tensor:
            taken.append(form)
            return form(x, kernel)

        return noting

    for form in (step_by_step, by_frequency):
        monkeypatch.setattr(ours, form.__name__, noted(form))
    for batch, time, taps in ((8, 64, 2), (8, 64, 32), (1, 2, 32)):
        causal_convolution(noise(batch, time, 24), noise(taps, 24, 24))
    assert taken == [step_by_step, by_frequency, step_by_step]


def test_frequencies_are_computed_in_single_precision_under_autocast() -> None:
    x, kernel = noise(2, 40, 8, dtype=torch.float32), noise(8, 8, 8, dtype=torch.float32, seed=1)
    expected = by_frequency(x, kernel)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(by_frequency(x, kernel), expected)
        half = by_frequency(x.bfloat16(), kernel)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, expected, rtol=0.05, atol=0.1)
