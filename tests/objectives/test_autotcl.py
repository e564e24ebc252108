"""The losses of AutoTCL: closed forms, the plain twins, gradients, invariances, unequal lengths, edge cases."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from tests.reference import autotcl as plain
from tswork.objectives.autotcl import (
    Variant,
    global_info_nce,
    kernel_mmd,
    local_info_nce,
    sparsity,
    temporal_consistency,
)

BOTH: tuple[Variant, ...] = ("paper", "reference")
VARIANTS = pytest.mark.parametrize("variant", BOTH)
EXACT: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-12}


def embeddings(batch: int, time: int, dim: int = 5, *, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(batch, time, dim, dtype=dtype, generator=generator(1000 * seed + 10 * batch + time))


def masks(batch: int, time: int, channels: int = 3) -> Tensor:
    return torch.rand(batch, time, channels, dtype=torch.float64, generator=generator(batch + time))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def vectors(batch: int, dim: int = 5, *, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    a, b = torch.randn(2, batch, dim, dtype=dtype, generator=generator(batch))
    return a, 0.5 * b + 0.3


# Values


@pytest.mark.parametrize(("batch", "value"), [(2, 0.313262), (4, 0.743668)])
def test_orthonormal_series_that_agree_with_their_views(batch: int, value: float) -> None:
    z = torch.eye(batch)[:, None].expand(-1, 6, -1)
    assert global_info_nce(z, z).item() == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(("batch", "value"), [(1, 0.0), (2, 0.693147), (5, 1.609438), (32, 3.465736)])
def test_parallel_series_give_the_log_of_the_batch(batch: int, value: float) -> None:
    z = torch.arange(1.0, batch + 1)[:, None, None] * torch.ones(batch, 4, 7)
    assert global_info_nce(z, 3 * z).item() == pytest.approx(value, abs=1e-5)


@VARIANTS
def test_blocks_that_are_all_alike_give_the_log_of_their_classes(variant: Variant) -> None:
    assert local_info_nce(torch.ones(3, 50, 4), variant=variant).item() == pytest.approx(2.639057, abs=1e-6)
    assert local_info_nce(torch.ones(3, 9, 4), blocks=4, variant=variant).item() == pytest.approx(math.log(2), abs=1e-6)


@VARIANTS
def test_fewer_steps_than_blocks_give_zero_that_can_be_differentiated(variant: Variant) -> None:
    z = embeddings(3, 15).requires_grad_()
    loss = local_info_nce(z, variant=variant)
    assert loss == 0
    assert not torch.autograd.grad(loss, z)[0].any()
    assert local_info_nce(embeddings(3, 16), variant=variant) > 0


def test_fewer_than_four_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match="blocks should be at least 4, so that each has a negative; it is 3"):
        local_info_nce(torch.ones(2, 50, 4), blocks=3)


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_equal_samples_have_no_discrepancy(batch: int) -> None:
    a = embeddings(batch, 1, dtype=torch.float32)[:, 0].requires_grad_()
    discrepancy = kernel_mmd(a, a.detach().clone())
    assert discrepancy.item() == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(torch.autograd.grad(discrepancy, a)[0]).all()


def test_two_vectors_have_the_discrepancy_of_their_only_distance() -> None:
    """With one vector each, the mean squared distance is d^2, and the discrepancy 2 * sum over k of 1 - exp(-4 / 2^k)."""
    a, b = vectors(1)
    expected = sum(2 * (1 - math.exp(-4 / 2**k)) for k in range(5))
    assert kernel_mmd(a, b).item() == pytest.approx(expected, rel=1e-12)


def test_kernels_are_summed_and_lie_a_factor_apart() -> None:
    a, b = vectors(6)
    single = kernel_mmd(a, b, kernels=1)
    torch.testing.assert_close(kernel_mmd(a, b, kernels=3, factor=1.0), 3 * single, **EXACT)
    assert 3 < kernel_mmd(a, b) / single < 5.5


@pytest.mark.parametrize(("over", "value"), [("mean", 0.1), ("sum", 1.1)])
def test_sparsity_is_a_hinge_on_the_mean_or_on_the_sum_over_channels(
    over: Literal["mean", "sum"], value: float
) -> None:
    keep = torch.full((2, 5, 3), 0.5)
    assert sparsity(keep, over=over).item() == pytest.approx(value)
    assert sparsity(keep * 0.2, over=over) == 0


def test_a_mask_that_does_not_change_is_consistent() -> None:
    h = torch.full((7, 30, 4), 0.3)
    assert temporal_consistency(h, generator=generator()) == 0
    for seed in range(20):
        assert 0 <= temporal_consistency(h, variant="reference", generator=generator(seed)) <= 1


def test_in_the_reference_a_constant_mask_counts_the_pairs_that_are_not_far() -> None:
    """Of two steps out of 1..T-3, the second lies two or more behind the first in 46 * 45 / 2 of 47 * 47 cases."""
    h = torch.full((1500, 50, 1), 0.3)
    value = temporal_consistency(h, variant="reference", generator=generator()).item()
    assert value == pytest.approx(1 - 46 * 45 / 2 / 47**2, abs=0.05)
    assert value == pytest.approx(0.52, abs=0.06)


def test_a_mask_that_changes_slowly_is_better_than_one_that_jumps_and_the_reference_has_it_reversed() -> None:
    slow = torch.linspace(0, 1, 200, dtype=torch.float64)[None, :, None].expand(500, -1, 1)
    jumping = (torch.arange(200) % 2).double()[None, :, None].expand(500, -1, 1)
    assert temporal_consistency(slow, generator=generator()) < -0.2
    assert temporal_consistency(jumping, generator=generator()) > 0.3
    # Where a later step is far and an earlier one is not, the slow mask pays for the first and gains by the second.
    still = torch.full_like(slow, 0.5)
    reversed_ = [temporal_consistency(h[:60], variant="reference", generator=generator(1)) for h in (jumping, still)]
    assert reversed_[0] > reversed_[1]


def test_distance_counts_in_both_directions() -> None:
    """One step differs from all others: an anchor there gains from steps before it as well as from those behind it."""
    h = torch.zeros(4000, 5, 1)
    h[:, 4] = 1
    assert temporal_consistency(h, generator=generator()).item() == pytest.approx(
        # anchor 4: its neighbour 3 and every distant step differ (1 - 1); anchor 3: the neighbour 4 half the time; anchors
        # 0 to 2: the distant step 4 is one of 3, of 2 and of 2.
        (0 + 0.5 - 1 / 3 - 1 / 2 - 1 / 2) / 5,
        abs=0.03,
    )


# Plain twins

Loss = Callable[..., Tensor]


@pytest.mark.parametrize("lengths", [None, (9, 4, 1, 6)])
@pytest.mark.parametrize("temperature", [1.0, 0.2])
def test_global_loss_equals_the_plain_one(lengths: tuple[int, ...] | None, temperature: float) -> None:
    z_x, z_v = embeddings(4, 9), embeddings(4, 9, seed=1)
    given = None if lengths is None else torch.tensor(lengths)
    torch.testing.assert_close(
        global_info_nce(z_x, z_v, temperature=temperature, lengths=given),
        plain.global_info_nce(z_x, z_v, temperature=temperature, lengths=lengths),
        **EXACT,
    )


@VARIANTS
@pytest.mark.parametrize("lengths", [None, (37, 16, 15, 20), (3, 37, 1, 36), (1, 1, 2, 3)])
@pytest.mark.parametrize("blocks", [4, 7, 16])
def test_local_loss_equals_the_plain_one(variant: Variant, lengths: tuple[int, ...] | None, blocks: int) -> None:
    z = embeddings(4, 37)
    given = None if lengths is None else torch.tensor(lengths)
    for seed in range(4):
        fast = local_info_nce(z, blocks=blocks, variant=variant, generator=generator(seed), lengths=given)
        slow = plain.local_info_nce(z, blocks=blocks, variant=variant, generator=generator(seed), lengths=lengths)
        torch.testing.assert_close(fast, slow, **EXACT)


@pytest.mark.parametrize("batch", [1, 2, 6])
@pytest.mark.parametrize(("kernels", "factor"), [(5, 2.0), (4, 3.0), (1, 2.0)])
def test_discrepancy_equals_the_plain_one(batch: int, kernels: int, factor: float) -> None:
    a, b = vectors(batch)
    fast, slow = (mmd(a, b, kernels=kernels, factor=factor) for mmd in (kernel_mmd, plain.kernel_mmd))
    torch.testing.assert_close(fast, slow, **EXACT)


@pytest.mark.parametrize("lengths", [None, (9, 4, 1, 6)])
@pytest.mark.parametrize("over", ["mean", "sum"])
def test_sparsity_equals_the_plain_one(lengths: tuple[int, ...] | None, over: Literal["mean", "sum"]) -> None:
    keep, given = masks(4, 9), None if lengths is None else torch.tensor(lengths)
    fast = sparsity(keep, threshold=0.2, over=over, lengths=given)
    torch.testing.assert_close(fast, plain.sparsity(keep, threshold=0.2, over=over, lengths=lengths), **EXACT)


@VARIANTS
@pytest.mark.parametrize("lengths", [None, (11, 4, 5, 9), (11, 3, 8, 1)])
def test_consistency_equals_the_plain_one(variant: Variant, lengths: tuple[int, ...] | None) -> None:
    h, given = masks(4, 11), None if lengths is None else torch.tensor(lengths)
    for seed in range(12):
        fast = temporal_consistency(h, variant=variant, generator=generator(seed), lengths=given)
        slow = plain.temporal_consistency(h, variant=variant, generator=generator(seed), lengths=lengths)
        torch.testing.assert_close(fast, slow, **EXACT)


# Gradients


def losses(variant: Variant, lengths: Tensor | None) -> dict[str, tuple[Loss, list[Tensor]]]:
    """Every loss with drawn numbers held fixed, and what it is differentiated by."""
    draws: dict[str, Any] = {"variant": variant, "lengths": lengths}
    return {
        "global": (
            lambda x, v: global_info_nce(x, v, lengths=lengths),
            [embeddings(3, 9, 2), embeddings(3, 9, 2, seed=1)],
        ),
        "local": (lambda z: local_info_nce(z, blocks=4, generator=generator(), **draws), [embeddings(3, 9, 2)]),
        "sparsity": (lambda h: sparsity(h, threshold=0.1, lengths=lengths), [masks(3, 9)]),
        "consistency": (lambda h: temporal_consistency(h, generator=generator(), **draws), [masks(3, 9)]),
    }


@VARIANTS
@pytest.mark.parametrize("lengths", [None, (9, 4, 7)])
@pytest.mark.parametrize("name", ["global", "local", "sparsity", "consistency"])
def test_gradcheck(variant: Variant, lengths: tuple[int, ...] | None, name: str) -> None:
    loss, given = losses(variant, None if lengths is None else torch.tensor(lengths))[name]
    assert torch.autograd.gradcheck(loss, [z.requires_grad_() for z in given])


def test_gradcheck_of_the_discrepancy_with_its_bandwidth_held_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers moved by gradcheck would move the bandwidth too, so that it is taken from where they began."""
    a, b = (z.requires_grad_() for z in vectors(3, 2))
    both = torch.cat([a, b]).detach()
    still = torch.cdist(both, both).square()
    detach = Tensor.detach
    monkeypatch.setattr(Tensor, "detach", lambda z: still if z.shape == still.shape else detach(z))
    assert torch.autograd.gradcheck(lambda u, v: kernel_mmd(u, v), (a, b))


def test_the_gradient_of_the_discrepancy_equals_that_of_the_plain_one() -> None:
    a, b = (z.requires_grad_() for z in vectors(4))
    fast, slow = (torch.autograd.grad(mmd(a, b), [a, b]) for mmd in (kernel_mmd, plain.kernel_mmd))
    torch.testing.assert_close(fast, slow, rtol=1e-9, atol=1e-12)


# Invariances


def test_positive_factors_of_series_and_views_do_not_matter_and_their_order_does() -> None:
    z_x, z_v = embeddings(5, 9), embeddings(5, 9, seed=1)
    loss = global_info_nce(z_x, z_v)
    factors = torch.rand(5, 1, 1, dtype=torch.float64) + 0.1
    torch.testing.assert_close(global_info_nce(3 * z_x, factors * z_v), loss)
    assert not torch.isclose(global_info_nce(z_v, z_x), loss)


def test_positive_factors_of_steps_do_not_matter_to_the_local_loss() -> None:
    z = embeddings(3, 40)
    factors = torch.rand(3, 40, 1, dtype=torch.float64) + 0.1
    scaled, loss = (local_info_nce(one, generator=generator()) for one in (factors * z, z))
    torch.testing.assert_close(scaled, loss)


def test_the_discrepancy_is_symmetric_and_free_of_scale_and_place() -> None:
    a, b = vectors(6)
    loss = kernel_mmd(a, b)
    assert loss > 0.01
    torch.testing.assert_close(kernel_mmd(b, a), loss, **EXACT)
    torch.testing.assert_close(kernel_mmd(7 * a, 7 * b), loss, rtol=1e-9, atol=0)
    torch.testing.assert_close(kernel_mmd(a + 2, b + 2), loss, rtol=1e-9, atol=0)
    turn = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64, generator=generator())).Q
    torch.testing.assert_close(kernel_mmd(a @ turn, b @ turn), loss, rtol=1e-9, atol=0)


def test_the_order_within_a_batch_does_not_matter() -> None:
    order = torch.tensor([3, 0, 2, 1])
    z_x, z_v = embeddings(4, 32), embeddings(4, 32, seed=1)
    torch.testing.assert_close(global_info_nce(z_x[order], z_v[order]), global_info_nce(z_x, z_v))
    torch.testing.assert_close(local_info_nce(z_x[order]), local_info_nce(z_x))  # 32 steps leave no choice of a stretch
    a, b = vectors(4)
    torch.testing.assert_close(kernel_mmd(a[order], b.flip(0)), kernel_mmd(a, b))
    torch.testing.assert_close(sparsity(z_x[order]), sparsity(z_x))


def test_the_order_of_channels_does_not_matter_to_a_mask() -> None:
    h = masks(5, 20)
    for variant in BOTH:
        pair = [temporal_consistency(one, variant=variant, generator=generator(3)) for one in (h, h.flip(2))]
        torch.testing.assert_close(pair[0], pair[1])


def test_the_reference_looks_at_the_first_series_alone() -> None:
    z = embeddings(4, 40)
    other = torch.cat([z[:1], embeddings(5, 40, seed=2)])
    first, again = (local_info_nce(one, variant="reference", generator=generator()) for one in (z, other))
    assert torch.equal(first, again)
    gradient = torch.autograd.grad(local_info_nce(z.requires_grad_(), variant="reference"), z)[0]
    assert gradient[0].any()
    assert not gradient[1:].any()
    assert torch.autograd.grad(local_info_nce(z), z)[0].flatten(1).any(dim=1).all()


def test_blocks_are_normalised_before_they_are_pooled_and_not_after() -> None:
    z = embeddings(1, 16)
    pooled = normalize(z, dim=2)[0].unflatten(0, (4, 4)).amax(dim=1)
    scores = pooled @ pooled.T
    rows = [(0, 1, [3]), (1, 2, [3]), (2, 3, [0]), (3, 2, [0])]
    expected = torch.stack([torch.logsumexp(scores[i, [p, *n]], 0) - scores[i, p] for i, p, n in rows]).mean()
    torch.testing.assert_close(local_info_nce(z, blocks=4), expected, **EXACT)


def test_full_lengths_are_no_lengths() -> None:
    z_x, z_v, h, full = embeddings(3, 33), embeddings(3, 33, seed=1), masks(3, 33), torch.full((3,), 33)
    torch.testing.assert_close(global_info_nce(z_x, z_v, lengths=full), global_info_nce(z_x, z_v))
    torch.testing.assert_close(sparsity(h, lengths=full), sparsity(h))
    for variant in BOTH:
        for loss, given in ((local_info_nce, z_x), (temporal_consistency, h)):
            pair = [loss(given, variant=variant, generator=generator(), lengths=one) for one in (full, None)]
            torch.testing.assert_close(pair[0], pair[1])


def test_padding_neither_enters_a_loss_nor_receives_a_gradient() -> None:
    lengths = torch.tensor([20, 9, 4])
    padding = torch.arange(20) >= lengths[:, None]

    def spoilt(z: Tensor) -> Tensor:
        return torch.where(padding[..., None], torch.nan, z).requires_grad_()

    z, h = embeddings(3, 20), masks(3, 20)
    pairs: list[tuple[Loss, Tensor]] = [
        (lambda one: global_info_nce(one, one.flip(2), lengths=lengths), z),
        (lambda one: local_info_nce(one, blocks=4, generator=generator(), lengths=lengths), z),
        (lambda one: sparsity(one, lengths=lengths), h),
        (lambda one: temporal_consistency(one, generator=generator(), lengths=lengths), h),
        (lambda one: temporal_consistency(one, variant="reference", generator=generator(), lengths=lengths), h),
    ]
    for loss, given in pairs:
        bad = spoilt(given)
        torch.testing.assert_close(loss(bad), loss(given))
        gradient = torch.autograd.grad(loss(bad), bad)[0]
        assert not gradient[padding].any()
        assert gradient[~padding].any()


# Edges


@VARIANTS
@pytest.mark.parametrize("time", [1, 2, 3])
def test_a_mask_of_fewer_than_four_steps_has_no_consistency(variant: Variant, time: int) -> None:
    h = masks(2, time).requires_grad_()
    loss = temporal_consistency(h, variant=variant)
    assert loss == 0
    assert not torch.autograd.grad(loss, h)[0].any()


def test_one_series_alone_is_defined_everywhere() -> None:
    z, h = embeddings(1, 32), masks(1, 32)
    assert global_info_nce(z, z.flip(1)).item() == pytest.approx(0, abs=1e-12)
    for variant in BOTH:
        assert local_info_nce(z, variant=variant) > 0
        assert torch.isfinite(temporal_consistency(h, variant=variant))
    assert 0 < kernel_mmd(z[:, 0], z[:, 1]) < 10


def test_embeddings_of_zeros_spoil_nothing() -> None:
    z = torch.zeros(3, 32, 4, requires_grad=True)
    total = global_info_nce(z, z) + local_info_nce(z) + kernel_mmd(z[:, 0], z[:, 1])
    assert torch.isfinite(total)
    assert torch.isfinite(torch.autograd.grad(total, z)[0]).all()


def test_huge_and_tiny_embeddings_stay_finite() -> None:
    for scale in (1e-15, 1e15):
        z = (scale * embeddings(3, 32, dtype=torch.float32)).requires_grad_()
        for loss in (global_info_nce(z, z.flip(1)), local_info_nce(z), kernel_mmd(z[:, 0], z[:, 1])):
            assert torch.isfinite(loss)
            assert torch.isfinite(torch.autograd.grad(loss, z)[0]).all()


def everything(z: Tensor, h: Tensor) -> Tensor:
    """All losses of one batch and of one mask."""
    rest: list[Tensor] = []
    for variant in BOTH:
        draws: dict[str, Any] = {"variant": variant, "generator": generator()}
        rest += [local_info_nce(z, **draws), temporal_consistency(h, **draws)]
    return torch.stack([global_info_nce(z, z.flip(1)), kernel_mmd(z[:, 0], z[:, 1]), sparsity(h), *rest])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_single(dtype: torch.dtype) -> None:
    z, h = embeddings(4, 40).to(dtype).requires_grad_(), masks(4, 40).to(dtype)
    found = everything(z, h)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, everything(z.float(), h.float()))
    assert torch.autograd.grad(found.sum(), z)[0].dtype == dtype


def test_autocast_reaches_nothing() -> None:
    z, h = embeddings(4, 40, dtype=torch.float32), masks(4, 40).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = everything(z, h)
    assert torch.equal(cast, everything(z, h))


def test_equal_generators_give_equal_losses_and_others_do_not() -> None:
    z, h = embeddings(4, 47), masks(4, 47)
    for variant in BOTH:
        for loss, given in ((local_info_nce, z), (temporal_consistency, h)):
            first, again, other = (loss(given, variant=variant, generator=generator(seed)) for seed in (1, 1, 2))
            assert torch.equal(first, again)
            assert not torch.equal(first, other)


def test_nothing_waits_for_the_device() -> None:
    """Fake tensors have no values: whoever asks for one raises."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        z, h, lengths = torch.randn(4, 40, 5), torch.rand(4, 40, 3), torch.full((4,), 30)
        assert everything(z, h).shape == (7,)
        assert global_info_nce(z, z, lengths=lengths).shape == ()
        for variant in BOTH:
            assert local_info_nce(z, variant=variant, lengths=lengths).shape == ()
            assert temporal_consistency(h, variant=variant, lengths=lengths).shape == ()
