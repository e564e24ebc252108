"""CLOCS's loss: closed forms, the plain twin, gradients, invariances, edge cases."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.reference import clocs as plain
from tswork.data.collection import Collection
from tswork.objectives.clocs import Pairs, patient_contrast
from tswork.objectives.info_nce import info_nce

BOTH = pytest.mark.parametrize("pairs", ["all", "later"])
PATIENT = [3, 0, 3, 7, 0, 3]


def vectors(batch: int = 6, dim: int = 5, *, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    z1, z2 = torch.randn(2, batch, dim, dtype=dtype, generator=torch.Generator().manual_seed(batch))
    return z1, z2


@BOTH
@pytest.mark.parametrize("batch", [2, 8, 256])
def test_vectors_that_are_all_alike_give_the_log_of_the_batch(batch: int, pairs: Pairs) -> None:
    loss = patient_contrast(torch.ones(batch, 3), 2 * torch.ones(batch, 3), torch.arange(batch) // 2, pairs=pairs)
    assert loss.item() == pytest.approx(math.log(batch), abs=1e-5)


@BOTH
@pytest.mark.parametrize(("patients", "each", "value"), [(2, 2, 0.6931926), (2, 5, 1.6094833)])
def test_perfect_clusters_reach_the_log_of_their_size(patients: int, each: int, value: float, pairs: Pairs) -> None:
    """ln(n + (B - n) exp(-10)): the vectors of a patient cannot be told from each other."""
    patient = torch.arange(patients).repeat_interleave(each)
    z = torch.eye(patients)[patient]
    assert patient_contrast(z, z, patient, pairs=pairs).item() == pytest.approx(value, abs=1e-6)


def test_two_orthogonal_vectors_of_one_patient() -> None:
    """Own pairs: log(1 + exp(-10)); the other pair: log(exp(10) + 1)."""
    z = torch.eye(2, dtype=torch.float64)
    loss = patient_contrast(z, z, torch.tensor([4, 4]))
    assert loss.item() == pytest.approx((math.log1p(math.exp(-10)) + math.log(math.exp(10) + 1)) / 2, abs=1e-9)


@BOTH
@pytest.mark.parametrize("temperature", [0.1, 0.7])
def test_it_equals_the_plain_twin(pairs: Pairs, temperature: float) -> None:
    z1, z2 = vectors()
    found = patient_contrast(z1, z2, torch.tensor(PATIENT), temperature=temperature, pairs=pairs)
    expected = plain.patient_contrast(z1, z2, PATIENT, temperature=temperature, pairs=pairs)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@BOTH
def test_an_unknown_patient_is_nobodys(pairs: Pairs) -> None:
    z1, z2 = vectors()
    found = patient_contrast(z1, z2, torch.tensor([3, -1, 3, -1, 0, 3]), pairs=pairs)
    torch.testing.assert_close(found, plain.patient_contrast(z1, z2, [3, None, 3, None, 0, 3], pairs=pairs))


@BOTH
def test_gradcheck(pairs: Pairs) -> None:
    given = [z.requires_grad_() for z in vectors(4)]
    patient = torch.tensor([1, 1, 2, 1])
    assert torch.autograd.gradcheck(lambda a, b: patient_contrast(a, b, patient, temperature=0.5, pairs=pairs), given)


def test_the_order_of_the_batch_matters_to_the_released_code_alone() -> None:
    z1, z2 = vectors()
    patient, order = torch.tensor(PATIENT), torch.tensor([5, 3, 1, 0, 4, 2])
    for pairs, close in (("all", True), ("later", False)):
        before = patient_contrast(z1, z2, patient, pairs=pairs)  # type: ignore[arg-type]
        after = patient_contrast(z1[order], z2[order], patient[order], pairs=pairs)  # type: ignore[arg-type]
        assert torch.isclose(before, after, rtol=1e-9) == close


@BOTH
def test_neither_the_names_of_patients_nor_which_view_is_first_matter(pairs: Pairs) -> None:
    z1, z2 = vectors()
    loss = patient_contrast(z1, z2, torch.tensor(PATIENT), pairs=pairs)
    large = torch.tensor(PATIENT) + 2**53
    torch.testing.assert_close(patient_contrast(z1, z2, large, pairs=pairs), loss)
    torch.testing.assert_close(patient_contrast(z2, z1, torch.tensor(PATIENT), pairs=pairs), loss)
    named = Collection.from_sequences([torch.zeros(2, 1).numpy()] * 6).table.assign(
        patient=[f"p{one}" for one in PATIENT]
    )
    codes = Collection.from_sequences([torch.zeros(2, 1).numpy()] * 6, table=named).codes("patient")
    torch.testing.assert_close(patient_contrast(z1, z2, codes, pairs=pairs), loss)


def test_without_two_sequences_of_a_patient_it_is_info_nce() -> None:
    z1, z2 = vectors()
    for patient in (torch.arange(6), torch.full((6,), -1)):
        torch.testing.assert_close(patient_contrast(z1, z2, patient), info_nce(z1, z2, temperature=0.1))


def test_one_sequence_has_no_loss_and_no_gradient() -> None:
    z1, z2 = (z.requires_grad_() for z in vectors(1))
    loss = patient_contrast(z1, z2, torch.tensor([0]))
    loss.backward()
    assert loss.item() == 0
    for z in (z1, z2):
        assert z.grad is not None
        assert not z.grad.any()


def test_a_batch_of_one_patient_is_least_when_all_is_alike() -> None:
    """Nothing is left to tell apart: ln B is the least there is, so such a training would only collapse."""
    for seed in range(5):
        z = torch.randn(6, 4, generator=torch.Generator().manual_seed(seed))
        together = 2 * patient_contrast(z, z, torch.zeros(6, dtype=torch.int64)) - patient_contrast(
            z, z, torch.arange(6)
        )
        assert together > math.log(6)


def test_a_vector_of_zeros_spoils_nothing() -> None:
    z1, z2 = vectors()
    z1[1] = 0
    loss = patient_contrast(z1.requires_grad_(), z2, torch.tensor(PATIENT))
    (gradient,) = torch.autograd.grad(loss, z1)
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_compared_in_single(dtype: torch.dtype) -> None:
    z1, z2 = (z.to(dtype) for z in vectors(dtype=torch.float32))
    patient = torch.tensor(PATIENT)
    found = patient_contrast(z1, z2, patient, temperature=0.05)
    assert found.dtype == torch.float32
    assert torch.equal(found, patient_contrast(z1.float(), z2.float(), patient, temperature=0.05))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(patient_contrast(z1.float(), z2.float(), patient, temperature=0.05), found)
