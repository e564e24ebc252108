"""InfoTS: its two steps equal plain lines, each moves its own weights, and the mixture learns what it is judged by."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.methods.test_fixed_augmentation import with_target
from tests.methods.toys import method_of, model_of, trained, waves
from tests.reference import autotcl as plain_autotcl
from tests.reference import infots as plain
from tests.training.tiny import bits, run
from tswork.augment.base import View
from tswork.augment.mixture import Mixture
from tswork.config import configure, dump
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import Part
from tswork.errors import ModelUnfit
from tswork.methods.infots import InfoTS
from tswork.methods.model import Model
from tswork.methods.saving import load_model, save_model

BLANK = {"uses": "cutout", "share": 1.0}


def infots(**options: Any) -> InfoTS:
    method = method_of("infots", **{"mask": "all_true", "blocks": 4, "epochs": None, **options})
    assert isinstance(method, InfoTS)
    return method


def begun(method: InfoTS, part: Part | None = None) -> tuple[Model, Batch]:
    part = waves([20, 20, 13, 20]) if part is None else part
    model = model_of(method, part)
    return model, method.batches(model, part, Context()).at(0, 0)


def mixture_of(model: Model) -> Mixture:
    mixture = model.heads["mixture"]
    assert isinstance(mixture, Mixture)
    return mixture


def vectors(model: Model, x: Tensor, lengths: Tensor) -> Tensor:
    frames = model.encoder(x, lengths).values
    return torch.stack([row[: int(length)].amax(dim=0) for row, length in zip(frames, lengths, strict=True)])


def test_the_published_settings_are_the_defaults() -> None:
    config = dump(configure("method", "infots").config)
    assert [view["uses"] for view in config["augmentations"]] == [
        "subsequence",
        "cutout",
        "jitter",
        "scaling",
        "time_warp",
        "window_slice",
        "window_warp",
    ]
    assert [config["augmentations"][place].get("sigma") for place in (2, 3)] == [0.3, 0.5]
    assert config["augmentations"][1]["share"] == 0.1
    assert (config["encoder"]["uses"], config["encoder"]["hidden"], config["encoder"]["dim"]) == (
        "dilated_conv",
        60,
        320,
    )
    published = {
        "batch_size": 128,
        "learning_rate": 1e-3,
        "meta_learning_rate": 1e-2,
        "max_train_length": 2048,
        "epochs": 400,
        "iterations": 4000,
        "local_weight": 0.5,
        "blocks": 8,
        "variety_weight": 0.1,
        "probability": 0.7,
        "meta_every": 2,
    }
    assert {name: config[name] for name in published} == published


def test_the_variant_sets_only_what_is_not_given() -> None:
    def weight(**options: Any) -> float:
        return float(dump(configure("method", {"uses": "infots", **options}).config)["variety_weight"])

    assert weight() == weight(variant="paper") == 0.1
    assert weight(variant="reference") == 0.0
    assert weight(variant="reference", variety_weight=0.4) == 0.4
    again = configure("method", {"uses": "infots", **dump(configure("method", "infots").config)})
    assert dump(again.config) == dump(configure("method", "infots").config)


@pytest.mark.parametrize("variety_weight", [0.0, 0.4])
def test_a_meta_step_judges_the_mixture_by_fidelity_and_variety(variety_weight: float) -> None:
    method = infots(variety_weight=variety_weight, temperature=0.5)
    model, batch = begun(method)
    mixed = method._mixed(model, batch, Context().generator("meta"))
    z_v, z_x = vectors(model, mixed.x, mixed.lengths), vectors(model, batch.x, batch.lengths)
    expected = plain_autotcl.global_info_nce(z_v[:, None], z_x[:, None], temperature=0.5)
    if variety_weight:
        expected = expected + variety_weight * plain.leave_one_out(z_v, z_x, temperature=0.5)
    update = next(iter(method.updates(model, batch, Context())))
    assert update.optimiser == "mixture"
    assert update.terms.keys() == ({"fidelity", "variety"} if variety_weight else {"fidelity"})
    torch.testing.assert_close(update.loss, expected, rtol=1e-5, atol=1e-6)
    logits = mixture_of(model).logits
    (slope,) = torch.autograd.grad(expected, [logits])
    update.loss.backward()
    torch.testing.assert_close(logits.grad, slope, rtol=1e-4, atol=1e-7)
    assert slope.abs().max() > 0
    assert all(weight.grad is None and weight.requires_grad for weight in model.encoder.parameters())


def test_the_encoders_step_contrasts_a_window_with_the_mixture_as_it_is() -> None:
    method = infots(local_weight=0.5)
    model, batch = begun(method)
    mixed = method._mixed(model, batch, Context().at(1, 0).generator("view"))
    z_v, z_x = vectors(model, mixed.x, mixed.lengths), vectors(model, batch.x, batch.lengths)
    frames = model.encoder(batch.x, batch.lengths).values
    generator = Context().at(1, 0).generator("local")
    local = plain_autotcl.local_info_nce(frames, blocks=4, generator=generator, lengths=batch.lengths.tolist())
    expected = plain_autotcl.global_info_nce(z_x[:, None], z_v[:, None]) + 0.5 * local
    (update,) = method.updates(model, batch, Context().at(1, 0))
    assert update.optimiser == "model"
    torch.testing.assert_close(update.loss, expected, rtol=1e-5, atol=1e-6)
    update.loss.backward()
    assert mixture_of(model).logits.grad is None
    assert all(weight.grad is not None for weight in model.encoder.parameters())


@pytest.mark.parametrize(("every", "epochs"), [(1, [0, 1, 2, 3, 4]), (2, [0, 2, 4]), (3, [0, 3])])
def test_a_meta_step_comes_at_the_first_step_of_every_so_many_epochs(every: int, epochs: list[int]) -> None:
    method = infots(meta_every=every)
    model, batch = begun(method)
    found = [
        epoch
        for epoch in range(5)
        for step in range(2)
        if len(list(method.updates(model, batch, Context().at(epoch, step)))) == 2
    ]
    assert found == epochs


def test_each_step_moves_its_own_weights() -> None:
    method = infots()
    model, batch = begun(method)
    optimisers = method.optimisers(model)
    for update in method.updates(model, batch, Context()):
        before = copy.deepcopy(model.state_dict())
        optimisers[update.optimiser].zero_grad()
        update.loss.backward()
        optimisers[update.optimiser].step()
        moved = {name for name, weight in model.state_dict().items() if not torch.equal(weight, before[name])}
        own = {
            name for name in before if name.startswith("heads.mixture" if update.optimiser == "mixture" else "encoder")
        }
        assert moved == own


def test_the_mixture_leaves_what_tells_nothing_of_the_window() -> None:
    """Between the window itself and a blank one, fidelity has a clear choice; a large weight of variety has the other."""
    weights = {}
    for variety in (0.0, 5.0):
        method = infots(
            augmentations=["identity", BLANK],
            probability=1.0,
            meta_every=1,
            meta_learning_rate=0.2,
            variety_weight=variety,
            temperature=0.1,
            iterations=40,
            averaging="none",
        )
        (model,) = trained(method, waves([20] * 6))[0].models
        weights[variety] = float(mixture_of(model).weights[0].detach())
    assert weights[0.0] > 0.8
    assert weights[5.0] < 0.2


def test_weights_are_saved_and_shown() -> None:
    method = infots(iterations=3, averaging="none")
    result, recorder = trained(method, waves([20] * 4))
    weights = mixture_of(result.models[0]).weights
    assert "heads.mixture.logits" in result.models[0].state_dict()
    assert not torch.equal(weights, torch.full((7,), 1 / 7))
    shown = [name for name in recorder.curves if name.startswith("health/weight/")]
    assert shown[0] == "health/weight/1_subsequence"
    assert len(shown) == 7
    assert math.isclose(sum(recorder.curves[name][0][1] for name in shown), 1, rel_tol=1e-5)


@pytest.mark.parametrize("name", ["infots", "fixed_augmentation"])
def test_a_saved_model_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    part = with_target(waves([20] * 4))
    method = method_of(name, blocks=4, epochs=None, iterations=2)
    (model,) = trained(method, part)[0].models
    save_model(tmp_path / "model", model, configure("method", {"uses": name, **dump(method.config)}))
    loaded = load_model(tmp_path / "model")
    assert loaded.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(weight, loaded.state_dict()[key]) for key, weight in model.state_dict().items())
    x = torch.randn(3, 16, 2)
    assert torch.equal(loaded.embed(x), model.embed(x))


class Stop(Exception):
    """Something unforeseen."""


def test_a_training_goes_on_from_a_checkpoint_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mixture, its optimiser and the place in the order of meta steps are all there."""
    contrast = InfoTS.contrast

    def stopping(method: InfoTS, model: Model, batch: Batch, view: View, context: Context) -> Any:
        if context.epoch == 5:
            raise Stop
        return contrast(method, model, batch, view, context)

    options = {"iterations": 9, "meta_learning_rate": 0.3}
    monkeypatch.setattr(InfoTS, "contrast", stopping)
    with pytest.raises(Stop):
        run(infots(**options), folder=tmp_path)
    monkeypatch.setattr(InfoTS, "contrast", contrast)
    resumed, whole = run(infots(**options), folder=tmp_path), run(infots(**options))
    assert resumed.resumed_from == 4
    assert bits(resumed) == bits(whole)


def test_views_of_other_lengths_are_refused_by_name() -> None:
    said = r"a mixture needs views of one length, and the view 'subsequence' changes it\. Set `elsewhere: zero`"
    with pytest.raises(ModelUnfit, match=said):
        model_of(infots(augmentations=["jitter", "subsequence"]), waves([20] * 4))


@pytest.mark.parametrize("augment_covariates", [True, False])
def test_covariates_are_augmented_unless_told_otherwise(augment_covariates: bool) -> None:
    method = infots(augment_covariates=augment_covariates)
    model, batch = begun(method, with_target(waves([20] * 4)))
    view = method.changed(model, batch, Context(), purpose="view")
    assert torch.equal(view.x[..., 0], batch.x[..., 0]) is not augment_covariates
    assert not torch.equal(view.x[..., 1], batch.x[..., 1])


def test_it_trains_on_unequal_series_with_missing_values() -> None:
    part = waves([120, 64, 30])
    part.collection.values[5:9] = torch.nan
    part.collection.values[70, 0] = torch.nan
    method = infots(max_train_length=20, iterations=10, mask="binomial", meta_every=1)
    result, recorder = trained(method, part)
    assert result.steps == 10
    for curve in ("model/loss", "mixture/loss"):
        assert all(value == value for _, value in recorder.curves[curve])
    assert mixture_of(result.models[0]).logits.isfinite().all()
