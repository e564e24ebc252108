"""AutoTCL: whose turn it is, what each turn minimises and changes, its options, and going on after an interruption."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.methods.toys import BATCH_NORM, TINY, method_of, model_of, nothing, trained, waves
from tests.reference import autotcl as plain
from tswork.augment.parametric import ParametricAugmentation, ParametricView
from tswork.config import configure, dump_configured
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import DataInfo, Part
from tswork.errors import ModelUnfit, TrainingDiverged
from tswork.methods import autotcl
from tswork.methods.autotcl import REFERENCE, AutoTCL, AutoTCLConfig
from tswork.methods.base import Update
from tswork.methods.model import Model, frozen
from tswork.methods.saving import load_model, save_model
from tswork.methods.weights import weights_of
from tswork.training.checkpoints import Checkpoints
from tswork.training.loop import Trained, train

MIXTURE: dict[str, Any] = {"uses": "causal_mixture", "depth": 2, "dim": 8, "hidden": 6, "kernels": [1, 4]}
TRUNK: dict[str, Any] = {**TINY, "depth": 1, "dim": 4}
SMALL: dict[str, Any] = {"encoder": MIXTURE, "trunk": TRUNK, "blocks": 4, "max_train_length": 20}


def method(**options: Any) -> AutoTCL:
    found = method_of("autotcl", **(SMALL | options))
    assert isinstance(found, AutoTCL)
    return found


def config(**options: Any) -> AutoTCLConfig:
    return AutoTCLConfig.model_validate(options)


def first_batch(method: AutoTCL, part: Part) -> tuple[Model, Batch]:
    model = model_of(method, part)
    return model, method.batches(model, part, Context()).at(0, 0)


def augmenter_of(model: Model) -> ParametricAugmentation:
    head = model.heads["augmenter"]
    assert isinstance(head, ParametricAugmentation)
    return head


def steps(method: AutoTCL, model: Model, batch: Batch, *, count: int) -> Iterator[tuple[int, Update]]:
    """The updates of so many steps, each of them made, as the loop makes it, before the next is computed."""
    optimisers = method.optimisers(model)
    for step in range(count):
        for update in method.updates(model, batch, Context().at(0, step)):
            optimiser = optimisers[update.optimiser]
            optimiser.zero_grad()
            update.loss.backward()
            optimiser.step()
            yield step, update


# Turns


@pytest.mark.parametrize(("ratio", "count"), [(1, 5), (2, 5), (3, 7), (8, 3)])
def test_the_augmentation_network_has_its_turn_every_ratio_steps_beginning_with_the_first(
    ratio: int, count: int
) -> None:
    given = method(ratio=ratio)
    model, batch = first_batch(given, waves([20] * 4))
    turns = [(step, update.optimiser) for step, update in steps(given, model, batch, count=count)]
    augmenter = [step for step, optimiser in turns if optimiser == "augmenter"]
    assert augmenter == list(range(0, count, ratio))
    assert len(augmenter) == math.ceil(count / ratio)
    assert [step for step, optimiser in turns if optimiser == "encoder"] == list(range(count))
    assert turns[:2] == [(0, "augmenter"), (0, "encoder")]


def test_turns_go_on_over_epochs_and_begin_anew_with_each_training() -> None:
    part, given = waves([20] * 9), method(ratio=2, iterations=5, batch_size=4)
    for _ in range(2):
        _, recorder = trained(given, part)  # two steps an epoch
        assert [step for step, _ in recorder.curves["encoder/loss"]] == [0, 1, 2, 3, 4]
        assert [step for step, _ in recorder.curves["augmenter/loss"]] == [0, 2, 4]


@pytest.mark.parametrize(
    "encoder", [MIXTURE, BATCH_NORM, {"uses": "dilated_conv", "depth": 2, "dim": 8, "dropout": 0.5}]
)
def test_each_turn_leaves_the_other_network_as_it_is_bit_for_bit(encoder: dict[str, Any]) -> None:
    given = method(encoder=encoder)
    model, batch = first_batch(given, waves([20] * 4))
    model.train()
    parts: dict[str, nn.Module] = {"encoder": model.encoder, "augmenter": augmenter_of(model)}

    def snapshot(name: str) -> dict[str, Tensor]:
        return {key: value.clone() for key, value in parts[name].state_dict().items()}

    before = {name: snapshot(name) for name in parts}
    for _, update in steps(given, model, batch, count=2):
        other = "encoder" if update.optimiser == "augmenter" else "augmenter"
        assert all(torch.equal(before[other][key], value) for key, value in snapshot(other).items())
        gradients = [parameter.grad for parameter in parts[update.optimiser].parameters()]
        assert any(gradient is not None and gradient.any() for gradient in gradients)
        before = {name: snapshot(name) for name in parts}
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_no_gradient_flows_into_the_view_of_the_encoders_turn_nor_into_the_encoder_in_the_others() -> None:
    given = method()
    model, batch = first_batch(given, waves([20] * 4))
    for update in given.updates(model, batch, Context()):
        model.zero_grad()
        update.loss.backward()
        for name, module in (("encoder", model.encoder), ("augmenter", augmenter_of(model))):
            touched = any(parameter.grad is not None for parameter in module.parameters())
            assert touched is (name == update.optimiser)


def test_a_frozen_module_passes_gradients_and_comes_back_as_it_was() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    module[0].bias.requires_grad_(False)
    before = copy.deepcopy(module.state_dict())
    x = torch.randn(6, 3, requires_grad=True)
    with frozen(module):
        first, again = module(x), module(x)
        assert torch.equal(first, again)
        assert not any(parameter.requires_grad for parameter in module.parameters())
        assert first.mean(dim=0).abs().max() < 1e-5  # normalised by the batch, as in training
        assert torch.autograd.grad(first.square().sum(), x)[0].shape == x.shape
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    assert [parameter.requires_grad for parameter in module.parameters()] == [True, False, True, True]
    module(x)
    assert not torch.equal(before["1.running_mean"], module.state_dict()["1.running_mean"])


def test_a_frozen_layer_that_drops_by_itself_stops_dropping() -> None:
    layer, x = nn.LSTM(3, 4, 2, dropout=0.5), torch.randn(6, 2, 3)
    with frozen(layer):
        assert torch.equal(layer(x)[0], layer(x)[0])
    assert layer.dropout == 0.5
    attention, x = nn.MultiheadAttention(4, 2, dropout=0.5), torch.randn(6, 2, 4)
    with frozen(attention):
        assert torch.equal(attention(x, x, x)[0], attention(x, x, x)[0])
    assert attention.dropout == 0.5


# What is minimised


def drawn_view(model: Model, batch: Batch) -> ParametricView:
    """The view of the augmentation network's turn."""
    lengths = batch.unequal_lengths
    view: ParametricView = augmenter_of(model)(batch.x, lengths, generator=Context().generator("augmenter"))
    return view


def largest(frames: Tensor, lengths: list[int]) -> Tensor:
    return torch.stack([row[:length].amax(dim=0) for row, length in zip(frames, lengths, strict=True)])


@pytest.mark.parametrize("lengths", [[20] * 4, [20, 9, 17, 14]])
@pytest.mark.parametrize("variant", ["paper", "reference"])
def test_the_augmentation_network_minimises_relevant_information(lengths: list[int], variant: str) -> None:
    given = method(variant=variant, consistency_weight=0.7, discrepancy_weight=2.0, sparsity_weight=0.4)
    model, batch = first_batch(given, waves(lengths))
    view, real = drawn_view(model, batch), batch.lengths.tolist()
    encoder: Any = model.encoder
    look = encoder.trunk if variant == "reference" else encoder
    frames = [look(x, batch.lengths).values for x in (batch.x, view.x)]
    discrepancy = plain.kernel_mmd(*(largest(one, real) for one in frames))
    sparse = plain.sparsity(view.keep, over="sum" if variant == "reference" else "mean", lengths=real)
    draws = Context().generator("consistency")
    consistent = plain.temporal_consistency(view.keep, variant=variant, generator=draws, lengths=real)
    update = next(iter(given.updates(model, batch, Context())))
    found = {name: term.item() for name, term in update.terms.items()}
    expected = {"discrepancy": 2 * discrepancy, "sparsity": 0.4 * sparse, "consistency": 0.7 * consistent}
    assert found == pytest.approx({name: value.item() for name, value in expected.items()}, rel=1e-4, abs=1e-6)
    assert found["sparsity"] > 0


def test_the_adversarial_objective_works_against_the_global_loss_alone() -> None:
    given = method(objective="adversarial", variant="reference")
    model, batch = first_batch(given, waves([20] * 4))
    view = drawn_view(model, batch)
    z_x, z_v = (model.encoder(x).values for x in (batch.x, view.x))
    update = next(iter(given.updates(model, batch, Context())))
    assert list(update.terms) == ["adversarial"]
    torch.testing.assert_close(update.loss, -plain.global_info_nce(z_x, z_v), rtol=1e-5, atol=1e-6)


def test_the_encoder_contrasts_with_a_view_drawn_anew() -> None:
    given = method(mask="all_true", local_weight=0.0)
    model, batch = first_batch(given, waves([20] * 4))
    other = augmenter_of(model)(batch.x, generator=Context().generator("view"))
    assert not torch.equal(other.h, drawn_view(model, batch).h)
    z_x, z_v = (model.encoder(x).values for x in (batch.x, other.x))
    *_, update = given.updates(model, batch, Context())
    torch.testing.assert_close(update.loss, plain.global_info_nce(z_x, z_v), rtol=1e-5, atol=1e-6)


def test_training_lowers_what_each_network_minimises() -> None:
    given = method(
        iterations=60, learning_rate=0.005, augmenter_learning_rate=0.02, sparsity_weight=1.0, discrepancy_weight=0.1
    )
    _, recorder = trained(given, waves([240] * 2))
    for name in ("augmenter/loss", "encoder/loss"):
        values = [value for _, value in recorder.curves[name]]
        assert np.mean(values[-10:]) < np.mean(values[:10]) - 0.02, name


# Options


def test_the_reference_chooses_defaults_and_what_is_written_overrides_them() -> None:
    paper, reference = config(), config(variant="reference")
    differing = {name for name in AutoTCLConfig.model_fields if getattr(paper, name) != getattr(reference, name)}
    assert differing - {"encoder", "trunk"} == set(REFERENCE) | {"variant"}
    for name, value in REFERENCE.items():
        assert getattr(reference, name) == value
    assert config(variant="reference", mask="binomial", sparsity_weight=0.1).mask == "binomial"
    block = configure("method", {"uses": "autotcl", "variant": "reference", "gate": "logits"})
    assert configure("method", dump_configured(block)) == block


def test_every_default_that_the_reference_changes_is_in_the_header() -> None:
    assert autotcl.__doc__ is not None
    rows = {line.split("`")[1] for line in autotcl.__doc__.splitlines() if line.startswith("| `")}
    assert rows == set(REFERENCE)


def test_published_sizes() -> None:
    """ETTh1 with one target and seven covariates: the encoder, the augmentation network, and each of its heads."""
    info = DataInfo(tuple(f"channel_{number}" for number in range(8)))
    built = AutoTCL(config(variant="reference")).build(info, generator=torch.Generator().manual_seed(0))

    def size(module: nn.Module | None) -> int:
        assert module is not None
        return sum(parameter.numel() for parameter in module.parameters())

    learned = augmenter_of(built)
    assert size(built.encoder) == 26_752_256
    assert size(learned.trunk) == 145_008
    assert (size(learned.factor_head), size(learned.transform_head)) == (136, 136)


ABLATIONS: dict[str, dict[str, Any]] = {
    "no mask": {"factor": "none"},
    "soft mask": {"factor": "soft"},
    "no transform": {"transform": "none"},
    "no noise": {"mask": "all_true"},
    "no augmentation": {"views": []},
    "cutout": {"views": ["cutout"]},
    "jitter": {"views": ["jitter"]},
    "adversarial": {"objective": "adversarial"},
    "reference": {"variant": "reference"},
    "reference without consistency": {"variant": "reference", "consistency_weight": 0.1},
    "neither term": {"sparsity_weight": 0.0, "consistency_weight": 0.0},
    "covariates spared": {"gate_covariates": False},
}


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_ablation_trains(name: str) -> None:
    result, recorder = trained(method(iterations=3, **ABLATIONS[name]), waves([60] * 3))
    losses = [value for key, points in recorder.curves.items() if "loss" in key for _, value in points]
    assert np.isfinite(losses).all()
    learned = "views" not in ABLATIONS[name]
    assert ("augmenter/loss" in recorder.curves) is learned
    assert ("augmenter" in result.models[0].heads) is learned


def test_without_any_augmentation_only_the_hidden_steps_differ() -> None:
    given = method(views=[], mask="all_true")
    model, batch = first_batch(given, waves([20] * 4))
    views = given.views(model, batch, Context())
    assert torch.equal(views[0], views[1])
    hidden = method(views=[]).views(model, batch, Context())
    assert not torch.equal(hidden[0], hidden[1])


@pytest.mark.parametrize("gate_covariates", [False, True])
def test_fixed_views_leave_covariates_alone_exactly_when_learned_ones_do(gate_covariates: bool) -> None:
    given = method(views=["jitter"], gate_covariates=gate_covariates)
    part = waves([20] * 4)
    part = Part.whole(part.collection.replaced(targets=part.collection.channels[:1]))
    model, batch = first_batch(given, part)
    view = given.changed(model, batch, Context(), purpose="view")
    changed = [bool((view.x[..., channel] != batch.x[..., channel]).any()) for channel in range(batch.x.shape[2])]
    assert changed == [True, *[gate_covariates] * (len(changed) - 1)]


def test_an_augmentation_without_mask_and_transform_is_refused() -> None:
    with pytest.raises(
        ModelUnfit, match=r"neither mask nor transform.*Leave one of `factor` and `transform`, or set `views: \[\]`"
    ):
        model_of(method(factor="none", transform="none"), waves([20] * 4))


def test_frames_of_a_trunk_are_asked_only_of_encoders_that_have_one() -> None:
    given = {"variant": "reference", "encoder": TINY}
    with pytest.raises(
        ModelUnfit,
        match=r"dilated_conv has no trunk whose frames could be compared\. Set `discrepancy_frames: encoder`",
    ):
        model_of(method(**given), waves([20] * 4))
    assert trained(method(**given, discrepancy_frames="encoder", iterations=2), waves([20] * 4))[0].steps == 2


@pytest.mark.parametrize(
    "encoder",
    [
        {"uses": "recurrent", "dim": 8},
        {"uses": "recurrent", "cell": "gru", "dim": 8},
        {"uses": "transformer", "dim": 8},
        BATCH_NORM,
        {"uses": "tsai", "model": "TSTPlus", "length": 20, "options": {"d_model": 16, "n_layers": 1, "n_heads": 2}},
    ],
    ids=lambda block: str(block.get("cell", block.get("model", block["uses"]))),
)
def test_any_encoder_can_be_trained(encoder: dict[str, Any]) -> None:
    result, _ = trained(method(encoder=encoder, iterations=2), waves([60] * 3))
    before = model_of(method(encoder=encoder), waves([60] * 3)).encoder
    weights, judged = list(before.parameters()), list(result.models[0].encoder.parameters())
    assert any(not torch.equal(one, other) for one, other in zip(weights, judged, strict=True))


def test_half_precision_trains_weights_of_full_precision() -> None:
    result = train(
        method(iterations=3),
        train=(part := waves([60] * 3)),
        validation=nothing(part),
        info=DataInfo.of(part),
        context=Context(),
        precision="bf16-mixed",
    )
    assert all(
        weight.dtype == torch.float32 and bool(weight.isfinite().all()) for weight in result.models[0].parameters()
    )


# The loop


def test_what_is_judged_is_the_mean_of_all_weights_of_both_networks() -> None:
    part = waves([60] * 3)
    snapshots = [model_of(method(), part)]
    snapshots += [trained(method(iterations=n, averaging="none"), part)[0].models[0] for n in (1, 2, 3)]
    (judged,) = trained(method(iterations=3), part)[0].models
    for name, weight in judged.named_parameters():
        mean = torch.stack([snapshot.get_parameter(name) for snapshot in snapshots]).mean(dim=0)
        torch.testing.assert_close(weight.detach(), mean.detach(), rtol=1e-5, atol=1e-7)
    assert any(not torch.equal(a, b) for a, b in zip(judged.parameters(), snapshots[-1].parameters(), strict=True))


class Stop(Exception):
    """Something unforeseen."""


def test_going_on_gives_the_weights_of_a_training_to_which_nothing_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = waves([60] * 4)
    options = SMALL | {"ratio": 3, "iterations": 11, "batch_size": 5, "encoder": {**TINY, "dropout": 0.3}}

    def run(given: AutoTCL, folder: Path | None) -> Trained:
        return train(
            given,
            train=part,
            validation=nothing(part),
            info=DataInfo.of(part),
            context=Context(seed=3),
            checkpoints=None if folder is None else Checkpoints(folder, every_steps=4),
        )

    def stop(*_: Any, **__: Any) -> dict[str, Tensor]:
        if stopped._made == 6:
            raise Stop
        return contrast(*_, **__)

    stopped = AutoTCL(config(**options))
    contrast = stopped.contrast
    monkeypatch.setattr(stopped, "contrast", stop)
    with pytest.raises(Stop):
        run(stopped, tmp_path)
    resumed, whole = run(AutoTCL(config(**options)), tmp_path), run(AutoTCL(config(**options)), None)
    assert resumed.resumed_from == 4
    pair = [weights_of(one.models[0]) for one in (resumed, whole)]
    assert all(torch.equal(pair[0][name], pair[1][name]) for name in pair[1])


def test_a_saved_model_is_loaded_with_its_augmentation_network(tmp_path: Path) -> None:
    part = waves([60] * 3)
    result, _ = trained(method(iterations=2), part)
    block = configure("method", {"uses": "autotcl", **SMALL, "iterations": 2})
    save_model(tmp_path, result.models[0], block)
    loaded, own = weights_of(load_model(tmp_path)), weights_of(result.models[0])
    assert all(torch.equal(loaded[name], own[name]) for name in own)


def test_a_loss_that_is_not_finite_names_step_term_and_windows_and_keeps_the_last_good_checkpoint(
    tmp_path: Path,
) -> None:
    class Spoilt(AutoTCL):
        def contrast(self, model: Model, batch: Batch, *arguments: Any) -> dict[str, Tensor]:
            terms = super().contrast(model, batch, *arguments)
            return {**terms, "local": terms["local"] * (math.nan if self._made > 6 else 1)}

    part = waves([60] * 3)
    checkpoints = Checkpoints(tmp_path, every_steps=3)
    with pytest.raises(TrainingDiverged) as caught:
        train(
            Spoilt(config(**SMALL, iterations=20, batch_size=4)),
            train=part,
            validation=nothing(part),
            info=DataInfo.of(part),
            context=Context(),
            name="autotcl",
            checkpoints=checkpoints,
        )
    fault, text = caught.value, str(caught.value)
    assert (fault.step, fault.kept, len(fault.batch)) == (6, 6, 4)
    assert math.isnan(fault.terms["encoder/terms/local"])
    assert math.isfinite(fault.terms["encoder/terms/global"])
    assert "the loss is not finite at step 6 (" in text
    assert "encoder/terms/local=nan" in text
    assert "Its batch held the sequences " in text
    assert "The checkpoint after 6 steps, before that, is kept." in text
    for sequence, start, stop in fault.batch:
        assert f"{sequence}[{start}:{stop}]" in text
    newest = checkpoints.newest()
    assert newest is not None
    assert newest.step == 6
    assert all(bool(weight.isfinite().all()) for weight in newest.weights["model"].values())


# What is reported


def test_the_panel_reports_what_the_gates_do_for_each_channel() -> None:
    _, recorder = trained(method(iterations=3), waves([60] * 3))
    for gate, readings in {
        "h": ("keep_rate", "saturation", "variation"),
        "g": ("mean", "saturation", "variation"),
    }.items():
        for reading in readings:
            parts = [
                recorder.curves[f"health/{gate}/{reading}{channel}"] for channel in ("", "/channel_0", "/channel_1")
            ]
            assert [len(points) for points in parts] == [1, 1, 1]
            whole, first, second = (points[0][1] for points in parts)
            assert whole == pytest.approx((first + second) / 2, rel=1e-5)
    assert 0 < recorder.curves["health/h/keep_rate"][0][1] < 1
    assert {"health/alignment", "health/gradient_norm/encoder", "health/gradient_norm/heads"} <= set(recorder.curves)


def test_a_picture_of_an_example_is_drawn_at_the_end() -> None:
    _, recorder = trained(method(iterations=2), waves([60] * 3))
    figure: Any = recorder.figures["augmentation"]
    assert [panel.get_ylabel() for panel in figure.axes[::2]] == ["value", "mask h", "transform g"]
    _, without = trained(method(iterations=2, views=["jitter"]), waves([60] * 3))
    assert "augmentation" not in without.figures


def test_the_panel_does_not_change_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    part, given = waves([60] * 3), method(iterations=6)
    before = weights_of(trained(given, part)[0].models[0])
    monkeypatch.setattr("tswork.training.panel.SPACING", 1)
    after = weights_of(trained(given, part)[0].models[0])
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_processes_draw_different_masks() -> None:
    given = method()
    model, batch = first_batch(given, waves([20] * 4))
    views = [given.changed(model, batch, Context(rank=rank, world_size=2), purpose="view").x for rank in (0, 1)]
    assert not torch.equal(views[0], views[1])
