"""TS2Vec: a step equals a plain one, and everything around a step is as published."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from tests.methods.toys import BATCH_NORM, method_of, model_of, trained, waves
from tests.reference import ts2vec as plain
from tswork.context import Context
from tswork.data.collection import Collection, Part
from tswork.data.samplers import EqualLength
from tswork.encoders.dilated_conv import DilatedConv
from tswork.errors import DataInvalid, ModelUnfit
from tswork.methods.model import Model
from tswork.objectives.ts2vec import hierarchical_contrast


def doubled(part: Part) -> Part:
    collection = part.collection
    return Part(collection.replaced(values=collection.values.double()), part.spans)


def plain_loss(model: Model, part: Part, context: Context, rows: list[int]) -> torch.Tensor:
    """The loss of the sequences of a batch by the plain twin."""
    assert isinstance(model.encoder, DilatedConv)
    series = [part.collection.sequence(row) for row in rows]
    crops, masks = context.host_generator("crops"), context.generator("crops/masks")
    return plain.step_loss(model.encoder, series, crops=crops, masks=masks)


@pytest.mark.parametrize("lengths", [[20] * 4, [20, 9, 3, 14], [17]])
@pytest.mark.parametrize("missing", [False, True])
def test_training_steps_equal_plain_ones(lengths: list[int], missing: bool) -> None:
    """Three steps of AdamW on the method's loss, and on the plain one: losses and weights stay equal."""
    part = doubled(waves(lengths))
    if missing:
        part.collection.values[5] = torch.nan
    method = method_of("ts2vec")
    model = model_of(method, part).double()
    twin = copy.deepcopy(model)
    batches = method.batches(model, part, Context())
    optimisers = [method.optimisers(one)["model"] for one in (model, twin)]
    for epoch in range(3):
        context, batch = Context().at(epoch, 0), batches.at(epoch, 0)
        (update,) = method.updates(model, batch, context)
        slow = plain_loss(twin, part, context, batch.span[:, 0].tolist())
        torch.testing.assert_close(update.loss, slow, rtol=1e-10, atol=1e-10)
        for loss, optimiser in zip((update.loss, slow), optimisers, strict=True):
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-8)


def test_what_is_judged_is_the_mean_of_the_initial_weights_and_all_iterates() -> None:
    part = waves([16] * 4)
    snapshots = [model_of(method_of("ts2vec"), part)]
    for steps in (1, 2, 3):
        snapshots.append(trained(method_of("ts2vec", iterations=steps, averaging="none"), part)[0].models[0])
    (judged,) = trained(method_of("ts2vec", iterations=3), part)[0].models
    for name, weight in judged.named_parameters():
        mean = torch.stack([snapshot.get_parameter(name) for snapshot in snapshots]).mean(dim=0)
        torch.testing.assert_close(weight.detach(), mean.detach(), rtol=1e-5, atol=1e-7)
    assert not torch.equal(next(judged.parameters()), next(snapshots[-1].parameters()))


@pytest.mark.parametrize(("sequences", "steps"), [(50, 200), (51, 600)])
def test_it_takes_200_steps_up_to_100_000_values_and_600_beyond(sequences: int, steps: int) -> None:
    """The array of two channels that series would be filled up to counts, not their own values."""
    part = waves([1000] + [10] * (sequences - 1))
    method = method_of("ts2vec")
    batches = method.batches(model_of(method, part), part, Context())
    assert method.steps(part, batches) == steps
    assert method_of("ts2vec", iterations=7).steps(part, batches) == 7


def test_a_long_series_is_cut_as_published() -> None:
    """The training rows of ETTh1 with windows of 257: 33 pieces of 261 or 262 steps, and a batch of 32 once an epoch."""
    part = Part.whole(Collection.from_sequences([np.zeros((8640, 1), dtype=np.float32)]))
    method = method_of("ts2vec", max_train_length=257, batch_size=32)
    batches = method.batches(model_of(method, part), part, Context())
    assert len(batches.part) == 33
    assert sorted(set(batches.part.lengths.tolist())) == [261, 262]
    assert batches.steps(0) == 1
    batch = batches.at(0, 0)
    assert batch.x.shape == (32, 257, 1)
    places = batch.span[:, 1] - torch.tensor(
        [batches.part.spans[batches.sampler.at(0, 0)][row, 1] for row in range(32)]
    )
    assert len(places.unique()) == 1  # one place for all pieces of a batch
    whole = method_of("ts2vec")
    assert sorted(whole.batches(model_of(whole, part), part, Context()).part.lengths.tolist()) == [4320, 4320]


@pytest.mark.real_data
def test_the_real_training_rows_are_cut_the_same_way(data_root: Any) -> None:
    rows = np.loadtxt(data_root / "ett" / "ETTh1.csv", delimiter=",", skiprows=1, usecols=[7], dtype=np.float32)[:8640]
    part = Part.whole(Collection.from_sequences([rows[:, None]]))
    method = method_of("ts2vec", max_train_length=257, batch_size=32)
    batches = method.batches(model_of(method, part), part, Context())
    assert (len(batches.part), batches.steps(0)) == (33, 1)


def test_a_batch_is_reduced_to_the_pieces_there_are_and_a_smaller_rest_is_dropped() -> None:
    method = method_of("ts2vec")
    for sequences, size, steps in ((3, 3, 1), (8, 8, 1), (17, 8, 2)):
        part = waves([9] * sequences)
        batches = method.batches(model_of(method, part), part, Context())
        assert (batches.sampler.batch_size, batches.steps(0)) == (size, steps)


def test_pieces_begin_and_end_where_there_is_a_value() -> None:
    part = waves([20, 20, 20])
    values = part.collection.values
    values[:4], values[17:20] = torch.nan, torch.nan  # both ends of the first
    values[20:40] = torch.nan  # all of the second
    values[45, 0] = torch.nan  # one channel inside the third
    method = method_of("ts2vec")
    batches = method.batches(model_of(method, part), part, Context())
    assert batches.part.spans.tolist() == [[0, 4, 17], [2, 0, 20]]


def test_data_without_any_value_are_refused() -> None:
    part = waves([20])
    part.collection.values[:] = torch.nan
    method = method_of("ts2vec")
    with pytest.raises(
        DataInvalid, match=r"train: no step of it has a value\. Look at the data with `tswork data check`"
    ):
        method.batches(model_of(method, part), part, Context())


def test_crops_are_no_longer_than_the_encoder_takes() -> None:
    part = waves([50, 40])
    block = {"uses": "tsai", "model": "TSTPlus", "length": 24, "options": {"d_model": 16, "n_layers": 1, "n_heads": 2}}
    method = method_of("ts2vec", encoder=block)
    batches = method.batches(model_of(method, part), part, Context())
    assert batches.at(0, 0).x.shape[1] == 24
    assert trained(method_of("ts2vec", encoder=block, iterations=2), part)[0].steps == 2


def test_encoders_that_padding_would_change_never_see_any(monkeypatch: pytest.MonkeyPatch) -> None:
    part = waves([20, 9, 20, 9, 14])
    method = method_of("ts2vec", encoder=BATCH_NORM, batch_size=2)
    model = model_of(method, part)
    batches = method.batches(model, part, Context())
    assert isinstance(batches.sampler, EqualLength)
    seen: list[Any] = []
    forward = model.encoder.forward

    def watched(x: torch.Tensor, lengths: torch.Tensor | None = None, *, keep: torch.Tensor | None = None) -> Any:
        seen.append(lengths)
        return forward(x, lengths, keep=keep)

    monkeypatch.setattr(model.encoder, "forward", watched)
    for step in range(batches.steps(0)):
        list(method.updates(model, batches.at(0, step), Context().at(0, step)))
    assert seen == [None] * 2 * batches.steps(0)


def test_encoders_that_shorten_the_series_are_refused() -> None:
    with pytest.raises(
        ModelUnfit, match=r"transformer gives one frame in 4 steps, and crops are compared step by step"
    ):
        model_of(method_of("ts2vec", encoder={"uses": "transformer", "dim": 8, "patch": 4}), waves([16] * 2))


def test_hidden_steps_change_the_loss_and_no_mask_leaves_the_encoders_own_frames() -> None:
    part = waves([16] * 4)
    losses = {}
    for mask in ("all_true", "binomial", "all_false"):
        method = method_of("ts2vec", mask=mask)
        model = model_of(method, part)
        batch = method.batches(model, part, Context()).at(0, 0)
        (update,) = method.updates(model, batch, Context())
        losses[mask] = update.loss.item()
    assert len(set(losses.values())) == 3


def test_the_overlap_is_long_enough_for_the_first_temporal_scale() -> None:
    part = waves([16] * 4)
    method = method_of("ts2vec", temporal_unit=2, alpha=0.3)
    model = model_of(method, part)
    batch = method.batches(model, part, Context()).at(0, 0)
    for step in range(10):
        z1, z2, overlap = method._overlap(model, batch, Context().at(0, step), purpose="crops")  # type: ignore[attr-defined]
        assert int(overlap.min()) >= 8
        (update,) = method.updates(model, batch, Context().at(0, step))
        assert torch.equal(update.loss, hierarchical_contrast(z1, z2, alpha=0.3, temporal_unit=2))


def test_training_lowers_the_loss() -> None:
    _, recorder = trained(method_of("ts2vec", iterations=40, learning_rate=0.03), waves([24] * 8))
    losses = [loss for _, loss in recorder.curves["loss"]]
    assert np.mean(losses[-10:]) < 0.85 * np.mean(losses[:10])


def test_the_health_panel_sees_two_views_of_each_sequence() -> None:
    part = waves([16, 9, 12, 5])
    method = method_of("ts2vec")
    model = model_of(method, part)
    views = method.views(model, method.batches(model, part, Context()).at(0, 0), Context())
    assert views is not None
    assert [view.shape for view in views] == [(4, 8), (4, 8)]
    assert not torch.equal(views[0], views[1])
    _, recorder = trained(method_of("ts2vec", iterations=2), part)
    assert "health/alignment" in recorder.curves
