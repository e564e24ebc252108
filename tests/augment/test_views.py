"""What every view keeps, and what each of them changes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from tswork.augment.base import Augmentation, View
from tswork.augment.sometimes import SometimesConfig
from tswork.augment.stretch import draw_stretch, stretch_of
from tswork.config import configure

VIEWS: dict[str, dict[str, Any]] = {
    "identity": {},
    "jitter": {"sigma": 0.5},
    "scaling": {"sigma": 0.5},
    "shift": {"sigma": 0.5},
    "sometimes": {"view": {"uses": "jitter", "sigma": 0.5}},
    "sometimes a permutation": {"uses": "sometimes", "view": "permutation"},
    "sometimes a mask": {"uses": "sometimes", "view": "mask"},
    "cutout": {"share": 0.3},
    "subsequence": {"share": 0.6},
    "subsequence among zeros": {"uses": "subsequence", "share": 0.6, "elsewhere": "zero"},
    "permutation": {"segments": 3},
    "time_warp": {"sigma": 0.5},
    "magnitude_warp": {"sigma": 0.5},
    "window_slice": {"share": 0.7},
    "window_warp": {"share": 0.4},
    "mask": {"mask": "binomial"},
}
RESAMPLED = ("time_warp", "window_slice", "window_warp")
ALL = pytest.mark.parametrize("name", VIEWS)


def augmentation(name: str, **options: Any) -> Augmentation[Any]:
    view: Augmentation[Any] = configure("view", {"uses": name, **VIEWS[name], **options}).build()
    return view


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(sequences: int = 6, time: int = 20, channels: int = 3, *, ragged: bool = True) -> View:
    """Normal values, zeros past each length, some missing."""
    x = torch.randn(sequences, time, channels, generator=generator(7)) + 3
    lengths = torch.full((sequences,), time)
    if ragged:
        lengths[:3] = torch.tensor([time, time // 2, 1])
    x[torch.rand(x.shape, generator=generator(8)) < 0.1] = torch.nan
    return View(torch.where(inside(lengths, time)[..., None], x, 0.0), lengths)


def inside(lengths: Tensor, time: int) -> Tensor:
    return torch.arange(time) < lengths[:, None]


def same(first: View, second: View) -> bool:
    equal = (
        torch.allclose(first.x, second.x, rtol=0, atol=0, equal_nan=True) if first.x.shape == second.x.shape else False
    )
    keeps = [keep is not None for keep in (first.keep, second.keep)]
    hidden = not any(keeps) or (all(keeps) and torch.equal(first.keep, second.keep))  # type: ignore[arg-type]
    return equal and torch.equal(first.lengths, second.lengths) and hidden


@ALL
def test_equal_generators_give_equal_views_and_others_do_not(name: str) -> None:
    change, given = augmentation(name), batch()
    first, again, other = (change(given, generator=generator(seed)) for seed in (1, 1, 2))
    assert same(first, again)
    assert same(first, other) is (name == "identity")


@ALL
def test_the_given_view_is_left_alone(name: str) -> None:
    given = batch()
    before = View(given.x.clone(), given.lengths.clone())
    augmentation(name)(given, generator=generator())
    assert same(given, before)


@ALL
def test_padding_stays_zero(name: str) -> None:
    changed = augmentation(name)(batch(), generator=generator())
    assert not changed.x[~inside(changed.lengths, changed.x.shape[1])].any()


@ALL
def test_missing_values_stay_missing_and_no_others_become_it(name: str) -> None:
    given = batch()
    changed = augmentation(name)(given, generator=generator())
    if augmentation(name).aligned:
        assert torch.equal(changed.x.isnan(), given.x.isnan())
    elif name in RESAMPLED:  # test_warps says what is missing there
        assert 0 < changed.x.isnan().sum() < 2 * given.x.isnan().sum()
    else:
        assert set(changed.x[~changed.x.isnan()].tolist()) <= set(given.x[~given.x.isnan()].tolist())
        assert changed.x.isnan().any()


@ALL
def test_views_say_whether_they_keep_every_length(name: str) -> None:
    change, given = augmentation(name), batch()
    changed = change(given, generator=generator())
    assert torch.equal(changed.lengths, given.lengths) is change.keeps_length
    assert change.keeps_length or not change.aligned
    assert (changed.lengths <= given.lengths).all()
    assert (changed.lengths >= 1).all()


@ALL
def test_aligned_views_change_a_step_by_itself(name: str) -> None:
    """Another value at one step shows in the view at that step and nowhere else; in others elsewhere."""
    plain = View(torch.ones(8, 20, 1), torch.full((8,), 20))
    marked = View(plain.x.clone(), plain.lengths)
    marked.x[:, 10] = 2.0
    change = augmentation(name)
    first, second = (change(view, generator=generator()).x for view in (plain, marked))
    differs = (first != second)[..., 0].any(dim=0).nonzero().flatten().tolist()
    assert (set(differs) <= {10}) is change.aligned


@ALL
def test_sequences_do_not_depend_on_what_others_hold(name: str) -> None:
    given = batch()
    other = View(torch.cat([given.x[:1], given.x[1:] * 2]), given.lengths)
    first, second = (augmentation(name)(view, generator=generator()) for view in (given, other))
    torch.testing.assert_close(first.x[0], second.x[0], rtol=0, atol=0, equal_nan=True)


@ALL
def test_one_sequence_of_one_step_can_be_viewed(name: str) -> None:
    changed = augmentation(name)(View(torch.ones(1, 1, 1), torch.tensor([1])), generator=generator())
    assert changed.x.shape == (1, 1, 1)
    assert changed.lengths.tolist() == [1]


@ALL
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_the_type_of_values_is_kept(name: str, dtype: torch.dtype) -> None:
    given = batch()
    assert augmentation(name)(View(given.x.to(dtype), given.lengths), generator=generator()).x.dtype == dtype


@ALL
def test_a_sequence_of_no_steps_stays_one(name: str) -> None:
    lengths = torch.tensor([0, 4, 9])
    x = torch.randn(3, 9, 2, generator=generator(3))
    found = augmentation(name)(
        View(torch.where(inside(lengths, 9)[..., None], x, 0.0), lengths), generator=generator(1)
    )
    assert int(found.lengths[0]) == 0
    assert not found.x[0].any()


@ALL
def test_hidden_steps_stay_hidden(name: str) -> None:
    given = batch(ragged=False)
    keep = torch.zeros(given.x.shape[:2], dtype=torch.bool)
    changed = augmentation(name)(View(given.x, given.lengths, keep), generator=generator())
    assert changed.keep is not None
    assert changed.keep.shape == changed.x.shape[:2]
    assert not changed.keep.any()


@ALL
def test_no_view_waits_for_the_device(name: str) -> None:
    """Fake tensors have no values: whoever asks for one raises."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    change = augmentation(name)
    change(batch(), generator=generator())  # constants are computed once, outside
    with FakeTensorMode(allow_non_fake_inputs=True):
        given = View(torch.randn(6, 20, 3), torch.full((6,), 15), torch.ones(6, 20, dtype=torch.bool))
        assert change(given, generator=generator()).x.shape[0] == 6


def many(time: int = 50) -> View:
    return View(torch.ones(4000, time, 2), torch.full((4000,), time))


def test_jitter_is_normal_and_independent_everywhere() -> None:
    noise = augmentation("jitter", sigma=0.5)(many(), generator=generator()).x - 1
    assert noise.mean().item() == pytest.approx(0, abs=0.01)
    assert noise.std().item() == pytest.approx(0.5, rel=0.01)
    assert (noise[:, :, 0] * noise[:, :, 1]).mean().item() == pytest.approx(0, abs=0.01)
    assert (noise[:, 1:] * noise[:, :-1]).mean().item() == pytest.approx(0, abs=0.01)


def test_scaling_draws_one_factor_around_one_for_each_channel_of_each_sequence() -> None:
    factors = augmentation("scaling", sigma=0.5)(many(), generator=generator()).x
    assert torch.equal(factors, factors[:, :1].expand_as(factors))
    assert factors.mean().item() == pytest.approx(1, abs=0.02)
    assert factors[:, 0].std().item() == pytest.approx(0.5, rel=0.03)
    assert (factors[:, 0, 0] != factors[:, 0, 1]).all()


def test_shift_draws_one_offset_around_zero_for_each_channel_of_each_sequence() -> None:
    offsets = augmentation("shift", sigma=0.5)(many(), generator=generator()).x - 1
    assert torch.equal(offsets, offsets[:, :1].expand_as(offsets))
    assert offsets.mean().item() == pytest.approx(0, abs=0.02)
    assert offsets[:, 0].std().item() == pytest.approx(0.5, rel=0.03)
    assert (offsets[:, 0, 0] != offsets[:, 0, 1]).all()


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_sometimes_changes_that_share_of_sequences_and_leaves_the_others_as_they_are(probability: float) -> None:
    changed = augmentation("sometimes", probability=probability)(many(), generator=generator()).x != 1
    touched = changed.any(dim=(1, 2))
    assert touched.float().mean().item() == pytest.approx(probability, abs=0.03)
    assert changed[touched].float().mean().item() == pytest.approx(1, abs=0.01) or probability == 0


def test_sometimes_makes_of_a_chosen_sequence_what_the_other_view_makes_of_it() -> None:
    given, draws = batch(), generator(5)
    chosen = torch.rand(6, generator=draws) < 0.5
    expected = augmentation("jitter")(given, generator=draws).x
    found = augmentation("sometimes")(given, generator=generator(5)).x
    assert chosen.any()
    assert not chosen.all()
    for row, on in enumerate(chosen.tolist()):
        wanted = expected if on else given.x
        torch.testing.assert_close(found[row], wanted[row], rtol=0, atol=0, equal_nan=True)


def test_sometimes_hides_steps_of_chosen_sequences_alone() -> None:
    view = augmentation("sometimes a mask", view={"uses": "mask", "mask": "all_false"})(many(), generator=generator())
    assert view.keep is not None
    hidden = ~view.keep
    assert torch.equal(hidden.any(dim=1), hidden.all(dim=1))
    assert hidden.float().mean().item() == pytest.approx(0.5, abs=0.03)


def test_sometimes_is_aligned_when_the_other_view_is() -> None:
    assert augmentation("sometimes").aligned
    assert not augmentation("sometimes a permutation").aligned


def test_a_view_that_changes_lengths_cannot_be_for_some_sequences_only() -> None:
    with pytest.raises(ValidationError, match="'subsequence' changes the length of a sequence"):
        SometimesConfig.model_validate({"view": "subsequence"})
    assert SometimesConfig.model_validate({"view": {"uses": "subsequence", "elsewhere": "zero"}})


def test_cutout_sets_one_stretch_of_the_given_share_to_zero() -> None:
    cut = augmentation("cutout", share=0.3)(many(), generator=generator()).x == 0
    assert torch.equal(cut[..., 0], cut[..., 1])
    assert (cut[..., 0].sum(dim=1) == 15).all()
    assert (cut[:, 1:, 0] & ~cut[:, :-1, 0]).sum(dim=1).le(1).all()  # it begins once


def test_a_subsequence_is_a_stretch_of_the_sequence_moved_to_the_front() -> None:
    x = torch.arange(200.0).reshape(10, 20, 1) + 1
    lengths = torch.tensor([20, 20, 19, 18, 10, 9, 5, 3, 2, 1])
    given = View(torch.where(inside(lengths, 20)[..., None], x, 0.0), lengths)
    changed = augmentation("subsequence", share=0.5)(given, generator=generator())
    assert changed.x.shape == (10, 10, 1)
    assert changed.lengths.tolist() == [max(1, length // 2) for length in lengths.tolist()]
    for row, length in enumerate(changed.lengths.tolist()):
        taken = changed.x[row, :length, 0]
        assert (taken.diff() == 1).all()
        assert given.x[row, 0, 0] <= taken[0]
        assert taken[-1] <= given.x[row, lengths[row] - 1, 0]


def test_sequences_of_one_length_stay_without_padding_when_cut() -> None:
    changed = augmentation("subsequence", share=0.37)(many(50), generator=generator())
    assert changed.x.shape[1] == 18
    assert (changed.lengths == 18).all()


def test_a_moved_mask_follows_its_steps() -> None:
    x = torch.arange(20.0).reshape(1, 20, 1)
    keep = (torch.arange(20) % 3 == 0)[None]
    changed = augmentation("subsequence")(View(x, torch.tensor([20]), keep), generator=generator())
    assert changed.keep is not None
    assert torch.equal(changed.keep, changed.x[..., 0] % 3 == 0)


@pytest.mark.parametrize(
    ("length", "share", "size"), [(50, 0.1, 5), (9, 0.1, 1), (10, 1.0, 10), (1, 0.5, 1), (7, 0.5, 3)]
)
def test_a_stretch_has_its_size_and_lies_everywhere_equally_often(length: int, share: float, size: int) -> None:
    lengths = torch.full((20_000,), length)
    start, drawn = draw_stretch(lengths, share, generator=generator())
    assert drawn.unique().tolist() == [size] == [stretch_of(length, share)]
    counts = torch.bincount(start, minlength=length - size + 1)
    assert len(counts) == length - size + 1
    expected = 20_000 / len(counts)
    assert ((counts - expected).abs() < 5 * expected**0.5).all()


@ALL
def test_a_sequence_without_steps_spoils_nothing(name: str) -> None:
    given = batch()
    lengths = given.lengths.clone()
    lengths[1] = 0
    holed = View(torch.where(inside(lengths, 20)[..., None], given.x, 0.0), lengths)
    changed = augmentation(name)(holed, generator=generator())
    assert changed.lengths[1] == 0
    assert not changed.x[1].any()
    others = [0, *range(2, len(lengths))]
    expected = augmentation(name)(given, generator=generator())
    assert torch.equal(changed.x[others].nan_to_num(), expected.x[others].nan_to_num())
