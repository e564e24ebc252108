"""What AutoTCL and its rivals share: windows, the encoder's loss, and what is refused before training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.methods.toys import BATCH_NORM, TINY, method_of, model_of, trained, waves
from tests.reference import autotcl as plain
from tswork.augment.base import View
from tswork.augment.mask import draw_mask
from tswork.config import configure
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import Collection, Part
from tswork.data.samplers import EqualLength
from tswork.errors import DataInvalid, ModelUnfit
from tswork.methods.base import Method
from tswork.methods.model import Model

FIXED: dict[str, Any] = {"views": [{"uses": "jitter", "sigma": 0.3}], "blocks": 4}


def method(**options: Any) -> Method[Any]:
    """AutoTCL with a fixed view, which leaves what the methods share."""
    return method_of("autotcl", **(FIXED | options))


def first_batch(method: Method[Any], part: Part) -> tuple[Model, Batch]:
    model = model_of(method, part)
    return model, method.batches(model, part, Context()).at(0, 0)


def loss_of(method: Method[Any], model: Model, batch: Batch, context: Context | None = None) -> Tensor:
    (update,) = method.updates(model, batch, context or Context())
    return update.loss


def plain_loss(model: Model, batch: Batch, *, mask: bool, view: str = "jitter", **local: Any) -> Tensor:
    """The loss from the encoder's frames by the plain twins, with the draws that the method makes."""
    context, lengths = Context(), batch.lengths.tolist()
    change = configure("view", {"uses": view, **({"sigma": 0.3} if view == "jitter" else {})}).build()
    changed = change(View(batch.x, batch.lengths), generator=context.generator("view"))
    masks, frames = context.generator("masks"), []
    for x, real in ((batch.x, batch.lengths), (changed.x, changed.lengths)):
        keep = draw_mask("binomial", real, x.shape[1], generator=masks) if mask else None
        frames.append(model.encoder(x, real, keep=keep).values)
    moved = [row[:length] for row, length in zip(frames[1], changed.lengths.tolist(), strict=True)]
    largest = [torch.stack([row[:n].amax(dim=0) for row, n in zip(frames[0], lengths, strict=True)])[:, None]]
    largest.append(torch.stack([row.amax(dim=0) for row in moved])[:, None])
    drawn: dict[str, Any] = {"blocks": 4, "generator": context.generator("local"), "lengths": lengths}
    return plain.global_info_nce(*largest) + 0.3 * plain.local_info_nce(frames[0], **(drawn | local))


@pytest.mark.parametrize("lengths", [[20] * 4, [20, 9, 3, 14]])
@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize("view", ["jitter", "subsequence", "cutout"])
def test_the_loss_is_the_global_and_the_local_one_of_windows_and_views(
    lengths: list[int], mask: bool, view: str
) -> None:
    views = FIXED["views"] if view == "jitter" else [view]
    given = method(mask="binomial" if mask else "all_true", views=views)
    model, batch = first_batch(given, waves(lengths))
    expected = plain_loss(model, batch, mask=mask, view=view)
    torch.testing.assert_close(loss_of(given, model, batch), expected, rtol=1e-5, atol=1e-6)


def test_windows_and_views_are_encoded_in_one_pass_unless_rows_depend_on_each_other() -> None:
    part = waves([20] * 4)
    for encoder, sizes in ((TINY, [8]), (BATCH_NORM, [4, 4])):
        given = method(encoder=encoder)
        model, batch = first_batch(given, part)
        seen: list[int] = []
        model.encoder.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(len(given[0])))
        loss_of(given, model, batch)
        assert seen == sizes


def test_the_local_loss_can_be_that_of_the_first_window_only_or_left_out() -> None:
    part = waves([20] * 4)
    first = method(local_windows="first")
    model, batch = first_batch(first, part)
    expected = plain_loss(model, batch, mask=True, variant="reference")
    torch.testing.assert_close(loss_of(first, model, batch), expected, rtol=1e-5, atol=1e-6)
    (update,) = method(local_weight=0.0).updates(model, batch, Context())
    assert list(update.terms) == ["global"]


def test_a_long_series_is_cut_as_published() -> None:
    """The training rows of ETTh1 with windows of 257: 33 pieces of 261 or 262 steps, and a batch of 32 once an epoch."""
    part = waves([8640], channels=1)
    given = method(max_train_length=257, batch_size=32)
    batches = given.batches(model_of(given, part), part, Context())
    assert len(batches.part) == 33
    assert sorted(set(batches.part.lengths.tolist())) == [261, 262]
    assert batches.steps(0) == 1
    batch = batches.at(0, 0)
    assert batch.x.shape == (32, 257, 1)
    begins = batches.part.spans[batches.sampler.at(0, 0), 1]
    assert len((batch.span[:, 1] - begins).unique()) == 1  # one place for all pieces of a batch


def test_short_sequences_serve_whole_as_windows() -> None:
    part = waves([20, 12, 17, 20])
    given = method(max_train_length=257)
    _, batch = first_batch(given, part)
    assert sorted(batch.lengths.tolist()) == [12, 17, 20, 20]


@pytest.mark.parametrize(("sequences", "steps"), [(50, 200), (51, 600)])
def test_without_a_budget_it_takes_as_many_steps_as_ts2vec(sequences: int, steps: int) -> None:
    part = waves([1000] + [10] * (sequences - 1))
    given = method(max_train_length=1000)
    batches = given.batches(model_of(given, part), part, Context())
    assert given.steps(part, batches) == steps
    assert (
        method(epochs=3, batch_size=sequences).steps(part, given.batches(model_of(given, part), part, Context())) <= 6
    )


def test_windows_that_stand_alone_are_refused() -> None:
    part = waves([100])
    message = r"train: no batch has two windows, so that there is nothing to contrast one with\. Train on longer series"
    for given in (method(max_train_length=80), method(max_train_length=20, batch_size=1)):
        with pytest.raises(DataInvalid, match=message):
            given.batches(model_of(given, part), part, Context())


def test_windows_shorter_than_the_blocks_are_refused_unless_there_is_no_local_loss() -> None:
    part = waves([12] * 4)
    given = method(blocks=16)
    with pytest.raises(DataInvalid, match=r"longest training window has 12 steps, and the local loss cuts it into 16"):
        given.batches(model_of(given, part), part, Context())
    assert trained(method(blocks=16, local_weight=0.0, iterations=2), part)[0].steps == 2
    assert trained(method(blocks=12, iterations=2), part)[0].steps == 2


def test_an_encoder_with_fewer_frames_than_blocks_is_refused() -> None:
    part = waves([32] * 4)
    given = method(encoder={"uses": "transformer", "dim": 8, "patch": 4}, blocks=16)
    message = (
        r"transformer: it gives 8 frames of 32 steps, and the local loss cuts them into 16 blocks\. Lower `blocks`"
    )
    with pytest.raises(ModelUnfit, match=message):
        given.batches(model_of(given, part), part, Context())
    fits = method(encoder={"uses": "transformer", "dim": 8, "patch": 4}, blocks=8, iterations=2)
    assert trained(fits, part)[0].steps == 2


def covariates_and_target(target: np.ndarray) -> Part:
    clock = np.arange(len(target))
    values = np.stack([np.sin(clock / 5), np.cos(clock / 7), target], axis=1).astype(np.float32)
    collection = Collection.from_sequences([values], channels=("hour", "week", "load"), targets=("load",))
    return Part.whole(collection)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            np.full(200, np.nan),
            r"no step of it has a value of a target \(load\), so that only covariates would be seen",
        ),
        (np.full(200, 7.0), r"every target \(load\) is constant, so that there is nothing to learn of them"),
    ],
)
def test_covariates_alone_are_refused(target: np.ndarray, message: str) -> None:
    part, given = covariates_and_target(target), method(max_train_length=40)
    with pytest.raises(DataInvalid, match=f"train: {message}. Look at the data with `tswork data check`"):
        given.batches(model_of(given, part), part, Context())


@pytest.mark.parametrize(("value", "message"), [(3.0, r"every target \(.*\) is constant"), (np.nan, "has a value")])
def test_series_in_which_nothing_changes_are_refused(value: float, message: str) -> None:
    part, given = waves([40] * 4), method()
    part.collection.values[:] = value
    with pytest.raises(DataInvalid, match=message):
        given.batches(model_of(given, part), part, Context())


@pytest.mark.parametrize("learned", [True, False])
def test_missing_values_and_constant_channels_spoil_nothing(learned: bool) -> None:
    part = waves([40, 25, 33, 17, 6], channels=3)
    part.collection.values[:, 1] = 5.0
    part.collection.values[10:14] = torch.nan
    part.collection.values[60, 0] = torch.nan
    options: dict[str, Any] = {"views": None, "trunk": TINY} if learned else {}
    result, recorder = trained(method(iterations=4, max_train_length=20, **options), part)
    losses = [value for name, points in recorder.curves.items() if "loss" in name for _, value in points]
    assert np.isfinite(losses).all()
    assert all(bool(weight.isfinite().all()) for weight in result.models[0].parameters())


def test_windows_begin_and_end_where_there_is_a_value() -> None:
    part = waves([20, 20, 20])
    values = part.collection.values
    values[:4], values[17:20] = torch.nan, torch.nan  # both ends of the first
    values[20:40] = torch.nan  # all of the second
    given = method()
    assert given.batches(model_of(given, part), part, Context()).part.spans.tolist() == [[0, 4, 17], [2, 0, 20]]


def test_encoders_that_padding_would_change_never_see_any() -> None:
    part = waves([20, 9, 20, 9, 14])
    given = method(encoder=BATCH_NORM, batch_size=2, iterations=2)
    assert isinstance(given.batches(model_of(given, part), part, Context()).sampler, EqualLength)
    assert trained(given, part)[0].steps == 2


def test_hidden_steps_change_the_loss() -> None:
    part, losses = waves([20] * 4), {}
    for mask in ("all_true", "binomial", "all_false"):
        given = method(mask=mask)
        model, batch = first_batch(given, part)
        losses[mask] = loss_of(given, model, batch).item()
    assert len(set(losses.values())) == 3


def test_training_lowers_the_loss() -> None:
    given = method(iterations=60, learning_rate=0.01, max_train_length=30)
    _, recorder = trained(given, waves([240] * 2))
    losses = [loss for _, loss in recorder.curves["loss"]]
    assert np.mean(losses[-10:]) < np.mean(losses[:10]) - 0.1


def test_the_health_panel_sees_windows_and_their_views() -> None:
    given = method()
    model, batch = first_batch(given, waves([16, 9, 12, 5]))
    views = given.views(model, batch, Context())
    assert views is not None
    assert [view.shape for view in views] == [(4, 8), (4, 8)]
    assert not torch.equal(views[0], views[1])


@pytest.mark.real_data
def test_the_real_training_rows_are_cut_the_same_way(data_root: Any) -> None:
    rows = np.loadtxt(data_root / "ett" / "ETTh1.csv", delimiter=",", skiprows=1, usecols=[7], dtype=np.float32)[:8640]
    part = Part.whole(Collection.from_sequences([rows[:, None]]))
    given = method(max_train_length=257)
    batches = given.batches(model_of(given, part), part, Context())
    assert (len(batches.part), batches.steps(0)) == (33, 1)


@pytest.mark.parametrize("name", ["autotcl", "fixed_augmentation", "infots", "cost", "ts2vec"])
def test_sequences_without_steps_are_left_out(name: str) -> None:
    part = waves([20, 20, 14, 20])
    with_empty = waves([20, 0, 20, 14, 0, 20])
    given = method_of(name, **({"blocks": 4} if "local_weight" in type(method_of(name).config).model_fields else {}))
    found, expected = (
        given.batches(model_of(given, one), one, Context()).part.lengths.tolist() for one in (with_empty, part)
    )
    assert found == expected
