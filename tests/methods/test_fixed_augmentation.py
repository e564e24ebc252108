"""Fixed augmentations: a step equals plain lines, and only the view differs from a learned one."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from tests.methods.toys import BATCH_NORM, TINY, method_of, model_of, trained, waves
from tests.reference import autotcl as plain
from tests.reference import segments as plain_segments
from tswork.augment.base import View
from tswork.config import configure, dump_configured
from tswork.context import Context
from tswork.data.collection import Part
from tswork.methods.fixed_augmentation import FixedAugmentation
from tswork.methods.window_contrast import WindowContrast, WindowContrastConfig

JITTER = {"uses": "jitter", "sigma": 0.5}
WARP = {"uses": "time_warp", "sigma": 0.5}
SHORT = {"uses": "subsequence", "share": 0.6}
USUAL = {
    "jitter",
    "scaling",
    "permutation",
    "time_warp",
    "magnitude_warp",
    "window_slice",
    "window_warp",
    "cutout",
    "subsequence",
}


def fixed(**options: Any) -> FixedAugmentation:
    method = method_of("fixed_augmentation", **{"mask": "all_true", "blocks": 4, **options})
    assert isinstance(method, FixedAugmentation)
    return method


def with_target(part: Part) -> Part:
    """The last channel is what a forecast is about, the others are covariates."""
    collection = part.collection
    return Part(collection.replaced(targets=collection.channels[-1:]), part.spans)


@pytest.mark.parametrize("lengths", [[20] * 4, [20, 9, 14, 2]])
@pytest.mark.parametrize("views", [[JITTER, WARP], [SHORT]])
def test_the_loss_is_that_of_a_window_and_its_views_one_after_another(lengths: list[int], views: list[Any]) -> None:
    method = fixed(views=views, choose="all", local_weight=0.7)
    part = waves(lengths)
    model = model_of(method, part)
    batch = method.batches(model, part, Context()).at(0, 0)
    view, generator = View(batch.x, batch.lengths), Context().generator("view")
    for block in views:
        view = configure("view", block).build()(view, generator=generator)
    pairs = [(batch.x, batch.lengths), (view.x, view.lengths)]
    frames = [model.encoder(x, real).values for x, real in pairs]
    largest = [
        torch.stack([row[: int(length)].amax(dim=0) for row, length in zip(values, real, strict=True)])[:, None]
        for values, (_, real) in zip(frames, pairs, strict=True)
    ]
    local = plain.local_info_nce(
        frames[0], blocks=4, generator=Context().generator("local"), lengths=batch.lengths.tolist()
    )
    expected = plain.global_info_nce(*largest) + 0.7 * local
    (update,) = method.updates(model, batch, Context())
    torch.testing.assert_close(update.loss, expected, rtol=1e-5, atol=1e-6)


def test_one_of_the_views_is_drawn_for_every_step() -> None:
    """Each scales by its own factor, which shows which one it was."""
    method = fixed(choose="one", views=[{"uses": "cutout", "share": share} for share in (0.25, 0.5, 1.0)])
    part = waves([20] * 4)
    model = model_of(method, part)
    batch = method.batches(model, part, Context()).at(0, 0)
    found: Counter[int] = Counter()
    for step in range(300):
        view = method.changed(model, batch, Context().at(0, step), purpose="view")
        zeros = (view.x[..., 0] == 0).sum(dim=1)
        assert (zeros == zeros[0]).all()
        found[int(zeros[0])] += 1
    assert found.keys() == {5, 10, 20}
    assert min(found.values()) > 70


def test_the_usual_augmentations_are_drawn_from_by_default() -> None:
    config = method_of("fixed_augmentation").config
    assert {view.name for view in config.views} == USUAL
    assert config.choose == "one"


def test_only_the_view_is_its_own() -> None:
    """Windows, losses, optimiser, averaging and budget are those of AutoTCL, and so are all their defaults."""
    own = {name for name in vars(FixedAugmentation) if not name.startswith("_")}
    assert own == {"build", "changed"}
    assert issubclass(FixedAugmentation, WindowContrast)
    fixed_view, learned_view = (configure("method", name).config for name in ("fixed_augmentation", "autotcl"))
    for name in WindowContrastConfig.model_fields:
        ours, theirs = getattr(fixed_view, name), getattr(learned_view, name)
        if name == "encoder":
            ours, theirs = dump_configured(ours), dump_configured(theirs)
        assert ours == theirs, name


@pytest.mark.parametrize("augment_covariates", [False, True])
def test_covariates_stay_as_they_are_unless_asked_for(augment_covariates: bool) -> None:
    part = with_target(waves([20] * 4))
    method = fixed(views=[JITTER, WARP], choose="all", augment_covariates=augment_covariates)
    model = model_of(method, part)
    batch = method.batches(model, part, Context()).at(0, 0)
    view = method.changed(model, batch, Context(), purpose="view")
    assert torch.equal(view.x[..., 0], batch.x[..., 0]) is not augment_covariates
    assert not torch.equal(view.x[..., 1], batch.x[..., 1])


def test_a_view_is_needed() -> None:
    with pytest.raises((ValueError, ValidationError)):
        method_of("fixed_augmentation", views=[])


@pytest.mark.parametrize(
    "encoder",
    [
        TINY,
        BATCH_NORM,
        {"uses": "recurrent", "dim": 8},
        {"uses": "transformer", "dim": 8, "heads": 2},
        {"uses": "causal_mixture", "dim": 8, "hidden": 6, "depth": 2, "kernels": [1, 4]},
    ],
    ids=lambda encoder: encoder["uses"],
)
def test_it_trains_any_encoder_on_series_with_missing_values(encoder: dict[str, Any]) -> None:
    part = waves([120, 64, 40])
    part.collection.values[5:9] = torch.nan
    part.collection.values[70, 0] = torch.nan
    method = fixed(encoder=encoder, max_train_length=20, iterations=12, mask="binomial")
    result, recorder = trained(method, part)
    assert result.steps == 12
    losses = [loss for _, loss in recorder.curves["loss"]]
    assert all(loss == loss for loss in losses)
    assert "health/alignment" in recorder.curves


def test_training_lowers_the_loss() -> None:
    method = fixed(views=[JITTER], choose="all", max_train_length=24, iterations=60, learning_rate=0.01)
    _, recorder = trained(method, waves([200, 200], classes=2))
    losses = [loss for _, loss in recorder.curves["terms/global"]]
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])


@pytest.mark.parametrize("lengths", [[20] * 4, [20, 9, 14, 2]])
def test_with_segments_the_global_loss_is_the_mean_over_resolutions(lengths: list[int]) -> None:
    """Two steps are compared whole and in halves, not in quarters."""
    method = fixed(views=[JITTER], segments=5, local_weight=0, temperature=0.5)
    part = waves(lengths)
    model = model_of(method, part)
    batch = method.batches(model, part, Context()).at(0, 0)
    view = method.changed(model, batch, Context(), purpose="view")
    frames = [model.encoder(x, batch.lengths).values for x in (batch.x, view.x)]
    real, expected = batch.lengths.tolist(), []
    for count in (1, 2, 4):
        x, v = (plain_segments.largest_of_segments(values, count, lengths=real) for values in frames)
        takes_part = [length >= count for length in real]
        expected.append(plain_segments.segment_info_nce(x, v, temperature=0.5, takes_part=takes_part))
    (update,) = method.updates(model, batch, Context())
    torch.testing.assert_close(update.loss, torch.stack(expected).mean(), rtol=1e-5, atol=1e-6)


def test_segments_finer_than_every_window_change_nothing() -> None:
    part = waves([6] * 4)
    losses = []
    for segments in (4, 64):
        method = fixed(views=[JITTER], segments=segments, local_weight=0)
        model = model_of(method, part)
        (update,) = method.updates(model, method.batches(model, part, Context()).at(0, 0), Context())
        losses.append(update.loss)
    torch.testing.assert_close(*losses)
