"""COMET's four losses: closed forms, plain twins, gradients, orders and names that do not matter, edges, half precision."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.reference import comet as plain
from tswork.objectives import log_sum_exp
from tswork.objectives.comet import (
    Similarity,
    Variant,
    comparable,
    contrast_groups,
    group_contrast,
    mean_over_scales,
    observation_contrast,
    pool_hierarchy,
    sample_contrast,
    scales_of,
)
from tswork.objectives.cosines import cosines

SIMILARITIES: list[Similarity] = ["flattened", "pooled", "time"]
VARIANTS: list[Variant] = ["paper", "reference"]
GROUPS = [0, 1, 0, 2, 1, 0, -1, -1, 3]


def views(batch: int, time: int, dim: int = 4, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(batch * 100 + time)
    h1, h2 = torch.randn(2, batch, time, dim, dtype=dtype, generator=generator)
    return h1, h2


def codes(*group: int) -> Tensor:
    return torch.tensor(group)


# Observation and sample


def test_observation_loss_of_equal_steps_is_the_log_of_its_candidates() -> None:
    h = torch.ones(3, 16, 5, dtype=torch.float64)
    assert observation_contrast(h, h).item() == pytest.approx(3.4339872, abs=1e-6)


def test_observation_loss_of_two_steps_by_hand() -> None:
    h = torch.tensor([[[1.0], [0.0]]])
    assert observation_contrast(h, h).item() == pytest.approx(0.8250285, abs=1e-6)


@pytest.mark.parametrize(("batch", "value"), [(8, 2.7080502), (256, 6.2363696)])
def test_sample_loss_of_equal_series_is_the_log_of_its_candidates(batch: int, value: float) -> None:
    h = torch.ones(batch, 2, 3)
    assert sample_contrast(h, h).item() == pytest.approx(value, abs=1e-5)


def test_one_series_has_no_sample_loss_and_one_step_no_observation_loss() -> None:
    assert sample_contrast(*views(1, 6)) == 0
    assert observation_contrast(*views(4, 1)) == 0


@pytest.mark.parametrize(("batch", "time"), [(2, 3), (4, 5), (3, 1), (1, 4)])
def test_both_equal_their_plain_forms(batch: int, time: int) -> None:
    h1, h2 = views(batch, time)
    torch.testing.assert_close(observation_contrast(h1, h2), plain.observation_contrast(h1, h2), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(sample_contrast(h1, h2), plain.sample_contrast(h1, h2), rtol=1e-10, atol=1e-10)


def test_the_sample_level_is_the_observation_level_with_series_and_steps_exchanged() -> None:
    h1, h2 = views(4, 7)
    exchanged = sample_contrast(h1.transpose(0, 1), h2.transpose(0, 1))
    torch.testing.assert_close(observation_contrast(h1, h2), exchanged, rtol=1e-12, atol=1e-12)


# The hierarchy


@pytest.mark.parametrize(
    ("time", "lengths"),
    [
        (256, [256, 128, 64, 32, 16, 8, 4, 2]),
        (300, [300, 150, 75, 37, 18, 9, 4, 2]),
        (3, [3]),
        (2, [2]),
        (1, [1]),
    ],
)
def test_scales_end_before_a_single_step(time: int, lengths: list[int]) -> None:
    h = torch.randn(2, time, 1)
    assert [scale.h1.shape[1] for scale in scales_of(h, h)] == lengths


@pytest.mark.parametrize(("time", "value"), [(16, 2.2966400), (256, 3.7439393)])
def test_hierarchical_observation_loss_of_equal_steps(time: int, value: float) -> None:
    h = torch.ones(2, time, 3)
    assert pool_hierarchy(observation_contrast, h, h).item() == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize("loss", ["observation_contrast", "sample_contrast"])
@pytest.mark.parametrize("time", [1, 2, 3, 9, 16])
def test_the_hierarchy_equals_the_plain_one(loss: str, time: int) -> None:
    h1, h2 = views(3, time)
    fast = {"observation_contrast": observation_contrast, "sample_contrast": sample_contrast}[loss]
    slow = torch.stack([getattr(plain, loss)(a, b) for a, b in plain.scales(h1, h2)]).mean()
    torch.testing.assert_close(pool_hierarchy(fast, h1, h2), slow, rtol=1e-10, atol=1e-10)


def test_the_published_structure_gives_the_same() -> None:
    h1, h2 = views(5, 67, dtype=torch.float32)
    for loss, across in ((sample_contrast, True), (observation_contrast, False)):
        slow = plain.published_hierarchy(h1, h2, across=across)
        torch.testing.assert_close(pool_hierarchy(loss, h1, h2), slow, rtol=1e-5, atol=0)


def test_one_step_is_a_scale_of_its_own_and_differentiable() -> None:
    h1, h2 = (h.requires_grad_() for h in views(3, 1))
    torch.testing.assert_close(pool_hierarchy(sample_contrast, h1, h2), sample_contrast(h1, h2))
    alone = pool_hierarchy(observation_contrast, h1, h2)
    assert alone == 0
    assert not torch.autograd.grad(alone, h1)[0].any()


@pytest.mark.parametrize("lengths", [(9, 9, 9), (9, 5, 2), (1, 9, 1)])
def test_padding_neither_enters_the_hierarchy_nor_receives_a_gradient(lengths: tuple[int, ...]) -> None:
    h1, h2 = views(3, 9)
    given = torch.tensor(lengths)
    padding = torch.arange(9) >= given[:, None]
    for loss in (observation_contrast, sample_contrast):
        values = []
        for filling in (1e3, -7.0):
            spoilt = [torch.where(padding[..., None], filling, h).requires_grad_() for h in (h1, h2)]
            values.append(pool_hierarchy(loss, spoilt[0], spoilt[1], lengths=given))
            assert not torch.autograd.grad(values[-1], spoilt[0])[0][padding].any()
        torch.testing.assert_close(values[0], values[1], rtol=1e-12, atol=1e-12)


def test_observations_of_padded_series_cost_what_each_series_costs_alone() -> None:
    h1, h2 = views(3, 8)
    lengths = torch.tensor([8, 5, 2])
    alone = [plain.observation_contrast(h1[[i], :n], h2[[i], :n]) * n for i, n in enumerate(lengths.tolist())]
    padded = observation_contrast(h1, h2, lengths=lengths)
    torch.testing.assert_close(padded, torch.stack(alone).sum() / lengths.sum(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("level", ["sample", "observation"])
def test_memory_beyond_the_views_is_bounded_by_the_size_of_a_tile(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many series and steps, no matrix of similarities is larger than a tile, and none is kept for backward."""
    monkeypatch.setitem(log_sum_exp.TILE, "cpu", 4)
    monkeypatch.setattr(log_sum_exp, "TOGETHER", 32)
    monkeypatch.setattr(log_sum_exp, "KEPT", 0)
    tiles: list[int] = []
    tile = log_sum_exp._Tiles.tile

    def noted(self: Any, a: slice, b: slice) -> Tensor:
        found = tile(self, a, b)
        tiles.append(found.numel())
        return found

    monkeypatch.setattr(log_sum_exp._Tiles, "tile", noted)
    kept: list[int] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor.numel())
        return tensor

    loss = sample_contrast if level == "sample" else observation_contrast
    for batch, time in ((4, 8), (12, 8), (12, 16)):
        h1, h2 = (h.requires_grad_() for h in views(batch, time, 2))
        kept.clear()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss(h1, h2)
        assert max(kept) <= 2 * h1.numel()
    assert max(tiles) <= 32


# Trial and patient


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize(("batch", "value"), [(8, 2.0794415), (256, 5.5451774)])
def test_group_loss_of_equal_series_is_the_log_of_the_batch(
    variant: Variant, similarity: Similarity, batch: int, value: float
) -> None:
    h = torch.ones(batch, 3, 2)
    group = torch.arange(batch) // 3
    loss = group_contrast(h, h, group, similarity=similarity, variant=variant)
    assert loss.item() == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("members", "value"), [(2, 0.6931926), (5, 1.6094833)])
def test_group_loss_of_perfect_clusters_is_the_log_of_their_size(variant: Variant, members: int, value: float) -> None:
    group = torch.arange(2).repeat_interleave(members)
    h = torch.nn.functional.one_hot(group).double()[:, None, :]
    assert group_contrast(h, h, group, variant=variant).item() == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("group", "value"), [(codes(1, 1), 10.0000454), (codes(1, 1, 2), 10.0000908)])
def test_group_loss_of_orthogonal_series(variant: Variant, group: Tensor, value: float) -> None:
    h = torch.eye(len(group))[:, None, :]
    assert group_contrast(h, h, group, variant=variant).item() == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_the_group_loss_and_its_gradient_equal_the_plain_ones(
    variant: Variant, similarity: Similarity, temperature: float
) -> None:
    h1, h2 = (h.requires_grad_() for h in views(len(GROUPS), 5))
    options: dict[str, Any] = {"temperature": temperature, "similarity": similarity, "variant": variant}
    fast = group_contrast(h1, h2, codes(*GROUPS), **options)
    slow = plain.group_contrast(h1, h2, GROUPS, **options)
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-10)
    gradients = [torch.autograd.grad(loss, [h1, h2]) for loss in (fast, slow)]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


def test_the_published_structure_gives_the_paper_form() -> None:
    h1, h2 = views(9, 5, dtype=torch.float32)
    group = codes(0, 1, 0, 2, 1, 0, 4, 5, 3)
    torch.testing.assert_close(group_contrast(h1, h2, group), plain.published_group_contrast(h1, h2, group))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_gradcheck(variant: Variant, similarity: Similarity) -> None:
    h1, h2 = (h.requires_grad_() for h in views(5, 3, 2))
    group = codes(0, 1, 0, 1, -1)

    def loss(a: Tensor, b: Tensor) -> Tensor:
        return group_contrast(a, b, group, temperature=0.5, similarity=similarity, variant=variant)

    assert torch.autograd.gradcheck(loss, (h1, h2))


@pytest.mark.parametrize("loss", [sample_contrast, observation_contrast])
def test_gradcheck_over_scales(loss: Any) -> None:
    h1, h2 = (h.requires_grad_() for h in views(3, 4, 2))
    assert torch.autograd.gradcheck(lambda a, b: pool_hierarchy(loss, a, b), (h1, h2))


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_the_order_of_the_batch_does_not_matter(similarity: Similarity) -> None:
    h1, h2 = views(len(GROUPS), 5)
    group = codes(*GROUPS)
    order = torch.randperm(len(group), generator=torch.Generator().manual_seed(3))
    given, turned = (
        [
            group_contrast(a, b, of, similarity=similarity),
            pool_hierarchy(sample_contrast, a, b),
            pool_hierarchy(observation_contrast, a, b),
        ]
        for a, b, of in ((h1, h2, group), (h1[order], h2[order], group[order]))
    )
    torch.testing.assert_close(given, turned, rtol=1e-12, atol=1e-12)


def test_the_published_group_loss_depends_on_the_order_of_the_batch_and_its_last_member_is_no_anchor() -> None:
    h1, h2 = views(8, 5)
    group = codes(0, 0, 1, 1, 0, 1, 2, 2)
    draw = torch.Generator().manual_seed(0)
    orders = [torch.randperm(8, generator=draw) for _ in range(8)]
    found = [group_contrast(h1[order], h2[order], group[order], variant="reference").item() for order in orders]
    assert max(found) - min(found) > 0.01


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_exchanging_the_views_changes_nothing(variant: Variant, similarity: Similarity) -> None:
    h1, h2 = views(len(GROUPS), 5)
    group = codes(*GROUPS)
    one, other = (
        [
            group_contrast(a, b, group, similarity=similarity, variant=variant),
            pool_hierarchy(sample_contrast, a, b),
            pool_hierarchy(observation_contrast, a, b),
        ]
        for a, b in ((h1, h2), (h2, h1))
    )
    torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
def test_names_of_groups_do_not_matter_however_large(variant: Variant) -> None:
    """Neighbours above 2^24 and above 2^53, which single and double precision cannot tell apart."""
    h1, h2 = views(6, 4)
    group = codes(0, 1, 0, 2, 1, 2)
    expected = group_contrast(h1, h2, group, variant=variant)
    for names in ([2, 0, 1], [2**24, 2**24 + 1, 2**24 + 2], [2**60 + 1, 2**60, 2**60 + 2]):
        renamed = torch.tensor(names)[group]
        assert torch.equal(group_contrast(h1, h2, renamed, variant=variant), expected)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("group", [codes(0, 1, 2, 3), codes(-1, -1, -1, -1), codes(0, -1, -1, 1)])
def test_without_positives_the_loss_is_zero_attached_and_without_gradient(
    variant: Variant, similarity: Similarity, group: Tensor
) -> None:
    h1, h2 = (h.requires_grad_() for h in views(4, 5))
    loss = group_contrast(h1, h2, group, similarity=similarity, variant=variant)
    assert loss == 0
    assert not any(gradient.any() for gradient in torch.autograd.grad(loss, [h1, h2]))


def test_one_series_has_no_group_loss() -> None:
    assert group_contrast(*views(1, 5), codes(4)) == 0


def test_a_series_of_unknown_group_is_a_negative_and_nobodys_positive() -> None:
    h1, h2 = views(4, 5)
    known = group_contrast(h1[:2], h2[:2], codes(0, 0))
    beside_strangers = group_contrast(h1, h2, codes(0, 0, -1, -1))
    torch.testing.assert_close(beside_strangers, group_contrast(h1, h2, codes(0, 0, 1, 2)))
    assert beside_strangers > known


def test_where_all_are_positives_the_loss_rewards_collapse() -> None:
    """With one patient and tied views it is at least ln B, reached when all are equal: there is nothing to tell apart."""
    for seed in range(20):
        h = torch.randn(6, 3, 4, generator=torch.Generator().manual_seed(seed))
        assert group_contrast(h, h, torch.zeros(6, dtype=torch.int64)) > math.log(6)
    h = torch.ones(6, 3, 4)
    torch.testing.assert_close(group_contrast(h, h, torch.zeros(6, dtype=torch.int64)), torch.tensor(math.log(6)))


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_padding_does_not_enter_the_group_loss(similarity: Similarity) -> None:
    h1, h2 = views(4, 9)
    lengths, group = torch.tensor([9, 4, 6, 1]), codes(0, 0, 1, 1)
    padding = torch.arange(9) >= lengths[:, None]
    values = []
    for filling in (1e3, -7.0):
        spoilt = [torch.where(padding[..., None], filling, h).requires_grad_() for h in (h1, h2)]
        values.append(group_contrast(spoilt[0], spoilt[1], group, similarity=similarity, lengths=lengths))
        assert not torch.autograd.grad(values[-1], spoilt[0])[0][padding].any()
    torch.testing.assert_close(values[0], values[1], rtol=1e-12, atol=1e-12)
    full = torch.full((4,), 9)
    torch.testing.assert_close(
        group_contrast(h1, h2, group, similarity=similarity, lengths=full),
        group_contrast(h1, h2, group, similarity=similarity),
    )


def test_similarities_are_what_their_names_say() -> None:
    h1, h2 = views(3, 6)
    pooled = torch.nn.functional.cosine_similarity(h1[0].amax(dim=0), h2[1].amax(dim=0), dim=0)
    flat = torch.nn.functional.cosine_similarity(h1[0].flatten(), h2[1].flatten(), dim=0)
    # Each latent channel's uncentred correlation over time, and their mean.
    time = torch.nn.functional.cosine_similarity(h1[0], h2[1], dim=0).mean()
    for similarity, expected in (("pooled", pooled), ("flattened", flat), ("time", time)):
        a, b = (comparable(h, similarity=similarity) for h in (h1, h2))  # type: ignore[arg-type]
        torch.testing.assert_close(cosines(a, b)[0, 1], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_cosines_do_not_depend_on_the_size_of_representations(similarity: Similarity) -> None:
    h1, h2 = views(6, 4, dtype=torch.float32)
    group = codes(0, 0, 1, 1, 2, 2)
    expected = group_contrast(h1, h2, group, similarity=similarity)
    for factor in (1e-6, 1e6):
        torch.testing.assert_close(group_contrast(factor * h1, h2, group, similarity=similarity), expected)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_representations_of_zeros_are_alike_to_nobody_and_receive_no_gradient(
    variant: Variant, similarity: Similarity, dtype: torch.dtype
) -> None:
    h = torch.zeros(4, 3, 2, dtype=dtype, requires_grad=True)
    group = codes(0, 0, 1, 1)
    loss = group_contrast(h, h, group, similarity=similarity, variant=variant)
    assert loss.item() == pytest.approx(math.log(4), abs=1e-6)
    assert not torch.autograd.grad(loss, h)[0].any()
    some = torch.cat([h.detach(), torch.ones(1, 3, 2, dtype=dtype)]).requires_grad_()
    loss = group_contrast(some, some, codes(0, 0, 1, 1, 0), similarity=similarity, variant=variant)
    assert torch.isfinite(torch.autograd.grad(loss, some)[0]).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_summed_in_single(dtype: torch.dtype) -> None:
    """Also at temperatures whose exponentials half precision cannot hold: exp(1 / 0.05) is above 65,504."""
    h1, h2 = (h.to(dtype) for h in views(6, 8, dtype=torch.float32))
    group = codes(0, 0, 1, 1, 2, 2)
    half = group_contrast(h1.requires_grad_(), h2, group, temperature=0.05)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, group_contrast(h1.float(), h2.float(), group, temperature=0.05))
    (gradient,) = torch.autograd.grad(half, h1)
    assert gradient.dtype == dtype
    assert torch.isfinite(gradient).all()
    for loss in (sample_contrast, observation_contrast):
        found = pool_hierarchy(loss, h1, h2)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, pool_hierarchy(loss, h1.float(), h2.float()))


def test_autocast_does_not_reach_the_similarities() -> None:
    h1, h2 = views(6, 8, dtype=torch.float32)
    group = codes(0, 0, 1, 1, 2, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = [group_contrast(h1, h2, group), mean_over_scales(sample_contrast, scales_of(h1, h2))]
    assert torch.equal(cast[0], group_contrast(h1, h2, group))
    assert torch.equal(cast[1], pool_hierarchy(sample_contrast, h1, h2))


def test_levels_that_share_views_share_their_similarities() -> None:
    h1, h2 = views(6, 4)
    matrix = cosines(*(comparable(h, similarity="flattened") for h in (h1, h2)))
    for group in (codes(0, 0, 1, 1, 2, 2), codes(0, 0, 0, 1, 1, 1)):
        assert torch.equal(contrast_groups(matrix, group), group_contrast(h1, h2, group))
