"""COMET: what its levels weigh and cost, which views they share, its batches and groups, its variants, what it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional

from tests.methods.toys import TINY, method_of, model_of, trained, waves
from tests.reference import comet as plain
from tests.reference import encoders as plain_encoders
from tswork.config import configure, dump_configured
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import Collection, Part
from tswork.encoders.dilated_conv import DilatedConv
from tswork.errors import DataInvalid, ModelUnfit, TsworkWarning
from tswork.methods.comet import COMET, REFERENCE, COMETConfig
from tswork.methods.model import Model, draws_nothing, evaluating
from tswork.methods.patients_and_trials import pair_codes
from tswork.methods.view_pairs import Views

LEVELS = ("patient", "trial", "sample", "observation")
MANY = [(2, 3), (3, 2), (2, 2), (3, 3)]


def only(*levels: str) -> dict[str, Any]:
    """Weights of these levels alone."""
    return {f"{level}_weight": 0.25 if level in levels else 0.0 for level in LEVELS}


def visits(
    samples: Sequence[Sequence[int]] = ((2, 2), (3, 1), (2, 2)), *, time: int = 12, lengths: Sequence[int] = ()
) -> Part:
    """Patients with trials of so many samples each; names of trials begin anew with every patient."""
    rows = [
        (f"p{patient}", trial)
        for patient, trials in enumerate(samples)
        for trial, count in enumerate(trials)
        for _ in range(count)
    ]
    part = waves(lengths or [time] * len(rows))
    table = part.collection.table.assign(patient=[name for name, _ in rows], trial=[trial for _, trial in rows])
    return Part.whole(part.collection.replaced(table=table))


def method(**options: Any) -> COMET:
    found = method_of("comet", **options)
    assert isinstance(found, COMET)
    return found


def first_batch(given: COMET, part: Part) -> tuple[Model, Batch]:
    model = model_of(given, part)
    return model, given.batches(model, part, Context()).at(0, 0)


def terms(given: COMET, model: Model, batch: Batch) -> dict[str, Tensor]:
    """The terms of one step; dropout is drawn alike each time."""
    torch.manual_seed(0)
    (update,) = given.updates(model, batch, Context())
    return dict(update.terms)


def passes(monkeypatch: pytest.MonkeyPatch, model: Model) -> list[Tensor | None]:
    """What is kept in each pass through the encoder from now on."""
    seen: list[Tensor | None] = []
    forward = model.encoder.forward

    def watched(x: Tensor, lengths: Tensor | None = None, *, keep: Tensor | None = None) -> Any:
        seen.append(keep)
        return forward(x, lengths, keep=keep)

    monkeypatch.setattr(model.encoder, "forward", watched)
    return seen


# Levels


@pytest.mark.parametrize("similarity", ["flattened", "pooled", "time"])
@pytest.mark.parametrize("pairs", ["all", "later"])
def test_a_step_equals_a_plain_one(similarity: str, pairs: str) -> None:
    """Without dropout, and with the masks that the method draws."""
    part = visits()
    part = Part(part.collection.replaced(values=part.collection.values.double()), part.spans)
    given = method(dropout=0.0, similarity=similarity, pairs=pairs)
    model = model_of(given, part).double()
    batch = given.batches(model, part, Context()).at(0, 0)
    found = terms(given, model, batch)
    assert isinstance(model.encoder, DilatedConv)
    masks = Context().generator("views/continuous")
    keeps = [Views(model, batch, dropout=0.0)._keep("continuous", masks) for _ in range(2)]
    clear = plain_encoders.dilated_conv(model.encoder, batch.x)
    hidden = [plain_encoders.dilated_conv(model.encoder, batch.x, keep) for keep in keeps]
    names = part.table.iloc[batch.span[:, 0].tolist()]
    options: dict[str, Any] = {"similarity": similarity, "variant": "paper" if pairs == "all" else "reference"}
    for level, keys in (("patient", ["patient"]), ("trial", ["patient", "trial"])):
        group = names.groupby(keys).ngroup().tolist()
        expected = 0.25 * plain.group_contrast(clear, clear, group, **options)
        torch.testing.assert_close(found[level], expected, rtol=1e-9, atol=1e-9)
    for level, loss in (("sample", plain.sample_contrast), ("observation", plain.observation_contrast)):
        expected = 0.25 * torch.stack([loss(a, b) for a, b in plain.scales(*hidden)]).mean()
        torch.testing.assert_close(found[level], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("level", LEVELS)
def test_each_weight_scales_the_loss_and_the_gradient_of_its_level_alone(level: str) -> None:
    part = visits()
    found = []
    for weight in (0.2, 0.6):
        given = method(**{**dict.fromkeys((f"{one}_weight" for one in LEVELS), 0.2), f"{level}_weight": weight})
        model, batch = first_batch(given, part)
        losses = terms(given, model, batch)
        gradient = torch.autograd.grad(losses[level], next(model.encoder.parameters()))[0]
        found.append(({name: loss.item() for name, loss in losses.items()}, gradient))
    (once, gradient), (thrice, larger) = found
    assert thrice == pytest.approx({name: loss * (3 if name == level else 1) for name, loss in once.items()})
    assert gradient.any()
    torch.testing.assert_close(larger, 3 * gradient, rtol=1e-4, atol=1e-7)


def test_in_the_reference_weights_only_switch_patient_and_trial_level_on_or_off() -> None:
    part = visits()
    found = []
    for weight in (0.2, 0.6, 0.0):
        given = method(variant="reference", patient_weight=weight, trial_weight=weight, sample_weight=weight)
        found.append(terms(given, *first_batch(given, part)))
    for level in ("patient", "trial"):
        assert torch.equal(found[0][level], found[1][level])
    torch.testing.assert_close(found[1]["sample"], 3 * found[0]["sample"])
    assert found[2].keys() == {"observation"}


@pytest.mark.parametrize(
    ("levels", "options", "count"),
    [
        (LEVELS, {}, 3),
        (LEVELS, {"share_views": False}, 5),
        (LEVELS, {"group_mask": "continuous"}, 2),
        (("patient",), {}, 1),
        (("trial",), {"group_mask": "binomial"}, 2),
        (("sample", "observation"), {}, 2),
        (("patient", "observation"), {}, 3),
        (LEVELS, {"encoder": {"uses": "recurrent", "dim": 8}}, 4),
        (LEVELS, {"encoder": {"uses": "recurrent", "dim": 8}, "share_views": False}, 8),
    ],
)
def test_levels_share_passes_and_those_without_weight_cost_none(
    levels: tuple[str, ...], options: dict[str, Any], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A view that hides nothing needs one pass in all, unless the encoder has dropouts of its own inside."""
    given = method(**only(*levels), **options)
    model, batch = first_batch(given, visits())
    model.train()
    seen = passes(monkeypatch, model)
    assert terms(given, model, batch).keys() == set(levels)
    assert len(seen) == count


def test_the_whole_loss_is_the_sum_of_the_levels() -> None:
    given = method()
    model, batch = first_batch(given, visits())
    torch.manual_seed(0)
    (update,) = given.updates(model, batch, Context())
    torch.testing.assert_close(update.loss, torch.stack(list(update.terms.values())).sum())
    assert tuple(update.terms) == LEVELS


def test_a_level_without_positives_in_a_batch_is_zero_and_the_others_go_on() -> None:
    part = visits([(3, 1), (3, 3)])
    given = method()
    model, batch = first_batch(given, part)
    alone = Batch(batch.x, batch.lengths, batch.span, {"patient": torch.arange(10), "trial": torch.arange(10)})
    found = terms(given, model, alone)
    assert found["patient"] == 0
    assert found["trial"] == 0
    torch.testing.assert_close(found["sample"], terms(given, model, batch)["sample"])
    sum(found.values(), torch.zeros(())).backward()


# Views


def test_views_of_groups_differ_by_dropout_alone_and_those_of_steps_by_what_is_hidden() -> None:
    given = method(dropout=0.5)
    model, batch = first_batch(given, visits())
    views = Views(model, batch, dropout=0.5)
    pair = views.pair("all_true", generator=torch.Generator())
    clear = model.encoder(batch.x).values
    for one in (pair.first.values, pair.second.values):
        torch.testing.assert_close(one, torch.where(one == 0, 0.0, 2 * clear))
    assert not torch.equal(pair.first.values, pair.second.values)
    hidden = Views(model, batch, dropout=0.0).pair("continuous", generator=torch.Generator())
    assert not torch.equal(hidden.first.values, hidden.second.values)


def test_the_dropout_of_views_stands_in_for_the_one_an_encoder_ends_with() -> None:
    part = visits()
    given = method(encoder={**TINY, "dropout": 0.9}, dropout=0.0)
    bare = method(dropout=0.0)
    model, batch = first_batch(given, part)
    model.train()
    twin = model_of(bare, part).train()
    assert {name: loss.item() for name, loss in terms(given, model, batch).items()} == pytest.approx(
        {name: loss.item() for name, loss in terms(bare, twin, batch).items()}
    )
    assert model.encoder.frame_dropout is not None
    assert model.encoder.frame_dropout.training  # and is as before
    assert model.encoder.frame_dropout.p == 0.9


def test_evaluation_is_the_same_twice_and_training_is_not() -> None:
    given = method()
    model, batch = first_batch(given, visits())
    with evaluating(model):
        assert torch.equal(model.embed(batch.x), model.embed(batch.x))
    first, second = (next(given.updates(model, batch, Context().at(0, step))).loss for step in (0, 1))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("mask", ["channel_binomial", "channel_continuous", "last", "all_false"])
def test_other_masks_hide_steps_or_single_channels(mask: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = method(step_mask=mask)
    model, batch = first_batch(given, visits())
    seen = passes(monkeypatch, model)
    found = terms(given, model, batch)
    assert all(torch.isfinite(loss) for loss in found.values())
    hidden = [keep for keep in seen if keep is not None]
    assert [keep.shape for keep in hidden] == [(12, 12, 6) if mask.startswith("channel") else (12, 12)] * 2


def test_single_channels_can_only_be_hidden_where_an_encoder_projects() -> None:
    block = {"uses": "transformer", "dim": 8, "layers": 1}
    said = r"transformer.*it cannot hide single channels of what it projects, as the mask 'channel_binomial' would"
    with pytest.raises(ModelUnfit, match=said):
        model_of(method(encoder=block, step_mask="channel_binomial"), visits())
    model_of(method(encoder=block, step_mask="channel_binomial", **only("patient")), visits())


def test_the_health_panel_sees_two_views_and_who_has_a_positive() -> None:
    part = visits([(2, 1), (1, 1), (3, 1)])
    given = method()
    model, batch = first_batch(given, part)
    with evaluating(model):
        views, health = given.views(model, batch, Context()), given.health(model, batch, Context())
    assert [view.shape for view in views] == [(9, 8), (9, 8)]
    assert not torch.equal(*views)
    assert {name: value.item() for name, value in health.items()} == pytest.approx(
        {"patient_anchors": 1.0, "trial_anchors": 5 / 9}
    )
    _, recorder = trained(method(iterations=2), part)
    assert {"health/alignment", "health/trial_anchors"} <= recorder.curves.keys()


# Groups


def test_a_trial_is_a_pair_of_patient_and_name() -> None:
    """Both patients call their trials 0 and 1."""
    part = visits([(2, 2), (2, 2)])
    renamed = part.collection.table.assign(trial=part.table["patient"] + part.table["trial"].astype(str))
    losses = []
    for collection in (part.collection, part.collection.replaced(table=renamed)):
        given = method(shuffle="random")
        losses.append(terms(given, *first_batch(given, Part.whole(collection))))
    assert torch.equal(losses[0]["trial"], losses[1]["trial"])
    assert not torch.equal(losses[0]["trial"], losses[0]["patient"])
    codes = pair_codes(torch.tensor([0, 0, 1, 1, -1, 0]), torch.tensor([0, 1, 0, 1, 0, -1]))
    assert codes.unique().numel() == 5
    assert codes[-2:].tolist() == [-1, -1]


@pytest.mark.parametrize("name", [str, int, lambda number: number + 2**24, lambda number: number + 2**60])
def test_names_of_patients_and_trials_may_be_text_or_large_numbers(name: Any) -> None:
    part = visits()
    patients = [name(int(one[1:])) for one in part.table["patient"]]
    trials = [name(one) for one in part.table["trial"]]
    table = part.collection.table.assign(patient=patients, trial=trials)
    given = method()
    found = terms(given, *first_batch(given, Part.whole(part.collection.replaced(table=table))))
    assert {level: loss.item() for level, loss in found.items()} == pytest.approx(
        {level: loss.item() for level, loss in terms(given, *first_batch(given, part)).items()}, abs=1e-6
    )


def test_a_sample_without_a_patient_is_nobodys_positive() -> None:
    part = visits()
    table = part.collection.table.copy()
    table.loc[0, "patient"] = None
    given = method()
    model, batch = first_batch(given, Part.whole(part.collection.replaced(table=table)))
    assert (batch.codes["patient"] == -1).sum() == 1
    assert all(torch.isfinite(loss) for loss in terms(given, model, batch).values())


def test_columns_may_have_other_names_and_only_needed_ones_are_looked_for() -> None:
    part = visits()
    table = part.collection.table.rename(columns={"patient": "who", "trial": "visit"})
    renamed = Part.whole(part.collection.replaced(table=table))
    first_batch(method(patient="who", trial="visit"), renamed)
    first_batch(method(patient="who", shuffle="group", **only("patient", "sample")), renamed)
    first_batch(method(shuffle="random", **only("sample", "observation")), renamed)
    said = (
        r"train: the table has no column 'patient', which should name the patient of each sample\. Known: .*\n"
        r"train: the table has no column 'trail', .* Say `trial: COLUMN`"
    )
    with pytest.raises(DataInvalid, match=said):
        first_batch(method(trial="trail"), renamed)


def test_batches_hold_whole_trials() -> None:
    part = visits(MANY)
    given = method(batch_size=10)
    model = model_of(given, part)
    batches = given.batches(model, part, Context())
    for step in range(batches.steps(0)):
        rows = part.table.iloc[batches.at(0, step).span[:, 0].tolist()]
        for _, trial in rows.groupby(["patient", "trial"]):
            everywhere = part.table.merge(trial[["patient", "trial"]].drop_duplicates())
            assert len(trial) == len(everywhere)


# Variants and budget


def test_defaults_are_the_papers_and_the_released_codes_where_asked() -> None:
    paper, reference = COMETConfig(), COMETConfig.model_validate({"variant": "reference"})
    changed = {name for name in COMETConfig.model_fields if getattr(paper, name) != getattr(reference, name)}
    assert changed == {"variant", *REFERENCE}
    assert (paper.batch_size, paper.epochs, paper.learning_rate, paper.weight_decay) == (256, 100, 1e-4, 0.01)
    assert reference.epochs == 99
    assert COMETConfig.model_validate({"variant": "reference", "epochs": 3}).epochs == 3
    block = configure("method", {"uses": "comet", "variant": "reference"})
    assert configure("method", dump_configured(block)).config == block.config


def test_every_option_of_the_reference_changes_what_happens() -> None:
    part = visits(MANY)
    base: dict[str, Any] = {"batch_size": 10, "epochs": 4, "learning_rate": 0.01}
    ours = dict(trained(method(**base), part)[0].models[0].state_dict())
    for name, value in REFERENCE.items():
        options = base | {name: 3 if name == "epochs" else value}
        theirs = trained(method(**options), part)[0].models[0].state_dict()
        assert any(not torch.equal(ours[key], theirs[key]) for key in ours), name


def test_the_published_batches_meet_again_and_ours_do_not() -> None:
    part = visits(MANY)
    for variant, again in (("reference", True), ("paper", False)):
        given = method(variant=variant, batch_size=10)
        batches = given.batches(model_of(given, part), part, Context())
        first, second = (
            {frozenset(batches.at(epoch, step).span[:, 0].tolist()) for step in range(batches.steps(epoch))}
            for epoch in (0, 1)
        )
        assert (first == second) is again


@pytest.mark.parametrize(("share", "left_out"), [(0.0, 0), (0.5, 2), (0.75, 3)])
def test_the_mean_of_weights_leaves_out_the_first_share_of_the_steps(share: float, left_out: int) -> None:
    part = visits()
    options: dict[str, Any] = {"learning_rate": 0.01}
    snapshots = [model_of(method(), part)]
    for steps in (1, 2, 3, 4):
        snapshots.append(trained(method(**options, iterations=steps, averaging="none"), part)[0].models[0])
    (judged,) = trained(method(**options, iterations=4, average_from=share), part)[0].models
    for name, weight in judged.named_parameters():
        mean = torch.stack([one.get_parameter(name) for one in snapshots[left_out:]]).mean(dim=0)
        torch.testing.assert_close(weight.detach(), mean.detach(), rtol=1e-5, atol=1e-7)


def test_epochs_are_exact_and_steps_follow_the_data_without_them() -> None:
    part = visits()
    given = method(epochs=7)
    assert given.steps(part, given.batches(model_of(given, part), part, Context())) == 7
    free = method(epochs=None)
    assert free.steps(part, free.batches(model_of(free, part), part, Context())) == 200


@pytest.mark.parametrize("options", [{}, {"variant": "reference"}])
def test_training_lowers_the_loss(options: dict[str, Any]) -> None:
    _, recorder = trained(method(iterations=40, epochs=None, learning_rate=0.01, **options), visits())
    losses = [loss for _, loss in recorder.curves["loss"]]
    assert np.mean(losses[-10:]) < 0.97 * np.mean(losses[:10])


@pytest.mark.parametrize(
    "encoder",
    [
        {"uses": "transformer", "dim": 8, "layers": 1, "patch": 4},
        {"uses": "causal_mixture", "depth": 2, "dim": 8, "hidden": 6, "kernels": [1, 4]},
        {"uses": "recurrent", "dim": 8},
    ],
)
def test_any_encoder_will_do_also_for_samples_of_unequal_length(encoder: dict[str, Any]) -> None:
    part = visits(lengths=[20, 13, 20, 8, 16, 20, 9, 20, 20, 12, 17, 20])
    assert trained(method(encoder=encoder, iterations=2), part)[0].steps == 2


def test_padding_of_a_batch_does_not_enter_its_loss() -> None:
    lengths = [20, 13, 20, 8, 16, 20, 9, 20, 20, 12, 17, 20]
    given = method(dropout=0.0, step_mask="all_true")
    model, batch = first_batch(given, visits(lengths=lengths))
    longer = Batch(functional.pad(batch.x, (0, 0, 0, 4)), batch.lengths, batch.span, batch.codes)
    short, long = (terms(given, model, one) for one in (batch, longer))
    for level in ("patient", "trial"):
        torch.testing.assert_close(short[level], long[level])


def test_an_encoder_draws_nothing_only_without_any_dropout() -> None:
    part = visits()
    for block, nothing in (
        ({**TINY, "dropout": 0.0}, True),
        ({**TINY, "dropout": 0.1}, False),
        ({"uses": "transformer", "dim": 8, "layers": 1}, False),
    ):
        assert draws_nothing(model_of(method(encoder=block), part).encoder) is nothing
    encoder = model_of(method(encoder={**TINY, "dropout": 0.1}), part).encoder
    assert draws_nothing(encoder, but=encoder.frame_dropout)
    assert not draws_nothing(torch.nn.LSTM(2, 2, num_layers=2, dropout=0.1))


# What it refuses


def test_all_weights_at_zero_are_refused() -> None:
    with pytest.raises(ValidationError, match="give one of the four levels a weight above 0"):
        COMETConfig.model_validate(only())


def test_one_patient_leaves_nothing_to_tell_apart() -> None:
    part = visits([(3, 3)])
    said = r"train: all 6 samples are of one patient: .*Train on several, or set `patient_weight: 0`\."
    with pytest.raises(DataInvalid, match=said):
        method().check(part)
    first_batch(method(patient_weight=0.0), part)


def test_trials_of_one_sample_leave_nothing_to_bring_together() -> None:
    part = visits([(1, 1), (1, 1)])
    said = r"train: no trial has two samples, so that level trial has nothing to bring together\. .*`segment`, or set `trial_weight: 0`\."
    with pytest.raises(DataInvalid, match=said):
        method().check(part)
    first_batch(method(trial_weight=0.0), part)


def test_all_faults_are_told_at_once() -> None:
    part = visits([(1,), (1,)], time=1)
    part.collection.table["patient"] = None
    with pytest.raises(DataInvalid) as refused:
        method().check(part)
    assert [str(problem) for problem in refused.value.problems] == [
        "train: no sample has a known patient. Fill the column, or set `patient_weight: 0`.",
        "train: no sample has a known trial. Fill the column, or set `trial_weight: 0`.",
    ]


def test_samples_of_one_frame_have_no_observations_to_contrast() -> None:
    said = "the longest sample has 1 step, one frame, .* Use longer samples, or set `observation_weight: 0`."
    with pytest.raises(DataInvalid, match=said):
        first_batch(method(), visits([(3,), (3,)], time=1))


def test_constant_samples_are_refused() -> None:
    part = visits()
    part.collection.values[:] = 1.0
    with pytest.raises(DataInvalid, match="is constant, so that there is nothing to learn"):
        method().check(part)


def test_batches_of_one_patient_are_refused_and_some_of_them_warned_of() -> None:
    part = visits([(8,), (8,), (8,)])
    said = r"all of the 3 batches of an epoch hold samples of one patient only\. Raise `batch_size`, or set `shuffle: random`"
    with pytest.raises(DataInvalid, match=said):
        first_batch(method(batch_size=8), part)
    with pytest.warns(
        TsworkWarning, match=r"comet: 1 of the 2 batches of an epoch holds samples of one patient only, where"
    ):
        first_batch(method(batch_size=16, **only("patient")), part)
    first_batch(method(batch_size=8, shuffle="random"), part)


def test_batches_of_one_sample_are_refused_where_samples_are_compared() -> None:
    part = visits()
    with pytest.raises(DataInvalid, match=r"no batch has two samples, so that there is nothing to contrast one with"):
        first_batch(method(batch_size=1, **only("sample", "observation")), part)
    first_batch(method(batch_size=1, **only("observation")), part)


def test_samples_of_unequal_length_are_refused_in_several_processes() -> None:
    part = visits(lengths=[20, 13, 20, 8, 16, 20, 9, 20, 20, 12, 17, 20])
    given = method()
    said = r"train: samples of 8 to 20 steps cannot be compared over 2 processes\. Cut the data with the preparation `segment`"
    with pytest.raises(DataInvalid, match=said):
        given.batches(model_of(given, part), part, Context(world_size=2))


def test_a_collection_without_a_table_of_patients_is_refused() -> None:
    table = pd.DataFrame({"id": range(4)})
    sequences = [np.random.default_rng(seed).normal(size=(8, 2)).astype(np.float32) for seed in range(4)]
    part = Part.whole(Collection.from_sequences(sequences, table=table))
    with pytest.raises(DataInvalid, match=r"no column 'patient'.*\n.*no column 'trial'"):
        first_batch(method(), part)
