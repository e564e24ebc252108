"""CoST: a step equals a plain one, and everything around a step is as published."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, pad

from tests.encoders.blocks import TSAI
from tests.methods.toys import TINY, method_of, model_of, trained, waves
from tests.reference import cost as plain
from tests.reference import encoders as plain_encoders
from tswork.augment.base import View
from tswork.config import configure
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import Collection, Part
from tswork.encoders.base import Encoder
from tswork.encoders.dilated_conv import DilatedConv
from tswork.encoders.trend_seasonal import TrendSeasonal
from tswork.errors import DataInvalid, ModelUnfit
from tswork.methods.base import Method
from tswork.methods.cost import CostConfig, _at
from tswork.methods.model import Model
from tswork.methods.queue import Follower, Queue

WINDOW = 12
OWN: dict[str, Any] = {
    "uses": "trend_seasonal",
    "length": WINDOW,
    "dim": 8,
    "hidden": 6,
    "depth": 2,
    "kernels": [1, 2, 4],
    "dropout": 0.0,
}
CHANGES: list[dict[str, Any]] = [
    {"uses": "sometimes", "view": {"uses": name, "sigma": 0.5}} for name in ("scaling", "shift", "jitter")
]


def cost(**options: Any) -> Method[Any]:
    small = {"encoder": OWN, "window": WINDOW, "queue": 8, "batch_size": 8, "fill_batch": False, "momentum": 0.9}
    return method_of("cost", **{**small, **options})


def doubled(part: Part) -> Part:
    collection = part.collection
    return Part(collection.replaced(values=collection.values.double()), part.spans)


class PlainTraining:
    """The training as the paper draws it: windows one by one, and loops instead of tensors."""

    def __init__(self, model: Model, *, momentum: float, steps: int) -> None:
        follower, queue = model.heads["momentum"], model.heads["queue"]
        assert isinstance(follower, Follower)
        assert isinstance(queue, Queue)
        self.encoder, self.project = copy.deepcopy(model.encoder), copy.deepcopy(model.heads["project"])
        self.slow_encoder, self.slow_project = copy.deepcopy(self.encoder), copy.deepcopy(self.project)
        self.queue = list(queue.read())
        self.momentum, self.steps, self.done = momentum, steps, 0
        self.velocity: dict[nn.Parameter, Tensor] = {}

    def step(self, batch: Batch, context: Context) -> Tensor:
        self._follow()
        first, second = self._views(batch, context)
        place = torch.rand((), generator=context.generator("step")).item()
        anchors, seasonal = self._parts(self.encoder, self.project, first, place)
        _, other = self._parts(self.encoder, self.project, second, place)
        with torch.no_grad():
            twins, _ = self._parts(self.slow_encoder, self.slow_project, second, place)
        amplitude, phase = plain.seasonal_contrast(seasonal, other)
        loss = plain.trend_contrast(anchors, twins, torch.stack(self.queue)) + 5e-4 / 2 * (amplitude + phase)
        self._descend(loss)
        self.queue = [*self.queue, *twins][-8:]
        return loss.detach()

    def _views(self, batch: Batch, context: Context) -> list[View]:
        generator, found = context.generator("views"), []
        for _ in range(2):
            view = View(batch.x, batch.lengths)
            for change in CHANGES:
                view = configure("view", change).build()(view, generator=generator)
            found.append(view)
        return found

    def _parts(self, encoder: Encoder, project: nn.Module, view: View, place: float) -> tuple[Tensor, Tensor]:
        trend, seasonal = [], []
        for x, length in zip(view.x, view.lengths.tolist(), strict=True):
            at = min(int(place * length), length - 1)
            series = x[None, :length]
            if isinstance(encoder, TrendSeasonal):
                missing = series.new_full((1, WINDOW - length, series.shape[2]), torch.nan)
                frames = plain.encoded(encoder, torch.cat([missing, series], dim=1))[0]
                trend.append(frames[WINDOW - length + at, : encoder.half_dim])
                seasonal.append(frames[:, encoder.half_dim :])
            else:
                assert isinstance(encoder, DilatedConv)
                frames = plain_encoders.dilated_conv(encoder, series)[0]
                trend.append(frames[at])
                seasonal.append(pad(frames, (0, 0, 0, WINDOW - length)))
        return project(torch.stack(trend)), torch.stack(seasonal)

    def _follow(self) -> None:
        pairs = [(self.slow_encoder, self.encoder), (self.slow_project, self.project)]
        with torch.no_grad():
            for slow, fast in pairs:
                for own, other in zip(slow.parameters(), fast.parameters(), strict=True):
                    own.copy_(self.momentum * own + (1 - self.momentum) * other)

    def _descend(self, loss: Tensor) -> None:
        """SGD with momentum 0.9 and weight decay 1e-4, at a rate along a half cosine."""
        rate = 1e-3 * (1 + math.cos(math.pi * self.done / self.steps)) / 2
        parameters = [*self.encoder.parameters(), *self.project.parameters()]
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                change = gradient + 1e-4 * parameter
                self.velocity[parameter] = 0.9 * self.velocity.get(parameter, torch.zeros(())) + change
                parameter.sub_(rate * self.velocity[parameter])
        self.done += 1


@pytest.mark.parametrize("encoder", [OWN, TINY], ids=["trend_seasonal", "dilated_conv"])
@pytest.mark.parametrize("lengths", [[30, 20, 14, 15], [WINDOW, 9, 3, 1]], ids=["long", "ragged"])
def test_training_steps_equal_plain_ones(encoder: dict[str, Any], lengths: list[int]) -> None:
    """Three steps, whose batches (of five where there are as many windows) do not divide the queue."""
    part = doubled(waves(lengths))
    method = cost(encoder=encoder, iterations=3, batch_size=5, temperature=0.07, alpha=5e-4)
    model = model_of(method, part).double()
    twin = PlainTraining(model, momentum=0.9, steps=3)
    batches = method.batches(model, part, Context())
    optimisers = method.optimisers(model)
    schedulers = method.schedulers(optimisers, 3)
    for epoch in range(3):
        context, batch = Context().at(epoch, 0), batches.at(epoch, 0)
        updates = method.updates(model, batch, context)
        update = next(updates)
        slow = twin.step(batch, context)
        torch.testing.assert_close(update.loss.detach(), slow, rtol=1e-9, atol=1e-9)
        optimisers["model"].zero_grad()
        update.loss.backward()
        optimisers["model"].step()
        schedulers["model"].step()
        assert next(updates, None) is None
    ours = [*model.encoder.parameters(), *model.heads["project"].parameters()]
    theirs = [*twin.encoder.parameters(), *twin.project.parameters()]
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-7, atol=1e-9)


def test_the_published_settings_are_the_defaults() -> None:
    config = CostConfig()
    assert config.encoder.name == "trend_seasonal"
    assert [change.config.model_dump() for change in config.views] == [
        {"view": {"uses": name, "sigma": 0.5}, "probability": 0.5} for name in ("scaling", "shift", "jitter")
    ]
    assert (config.batch_size, config.window, config.queue, config.temperature) == (128, 201, 256, 0.07)
    assert (config.learning_rate, config.weight_decay, config.optimiser_momentum) == (1e-3, 1e-4, 0.9)
    assert (config.momentum, config.alpha, config.averaging) == (0.999, 5e-4, "none")


def test_the_rate_falls_to_zero_along_a_half_cosine() -> None:
    _, recorder = trained(cost(iterations=8, learning_rate=0.1), waves([20] * 4))
    rates = [rate for _, rate in recorder.curves["lr"]]
    expected = [0.1 * (1 + math.cos(math.pi * step / 8)) / 2 for step in range(1, 9)]
    assert rates == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("sequences", "steps"), [(50, 200), (51, 600)])
def test_it_takes_200_steps_up_to_100_000_values_and_600_beyond(sequences: int, steps: int) -> None:
    part = waves([1000] + [10] * (sequences - 1))
    method = cost()
    batches = method.batches(model_of(method, part), part, Context())
    assert method.steps(part, batches) == steps


def test_few_windows_fill_a_batch_by_being_taken_several_times_each_time_changed_anew() -> None:
    """Three windows of exactly the length, and batches of eight."""
    part = waves([WINDOW] * 3)
    filled, reduced = cost(fill_batch=True, views=["jitter"]), cost(fill_batch=False)
    model = model_of(filled, part)
    batch = filled.batches(model, part, Context()).at(0, 0)
    assert sorted(torch.bincount(batch.span[:, 0]).tolist()) == [2, 3, 3]
    view = filled._view(batch, Context().generator("views"))  # type: ignore[attr-defined]
    assert len({tuple(row.flatten().tolist()) for row in view.x}) == 8
    assert len(reduced.batches(model, part, Context()).at(0, 0)) == 3


def test_etth1_gives_one_batch_of_128_windows_an_epoch() -> None:
    part = Part.whole(Collection.from_sequences([np.arange(8640, dtype=np.float32)[:, None]]))
    method = method_of("cost", encoder={**OWN, "length": 201})
    batches = method.batches(model_of(method, part), part, Context())
    assert (len(batches.part), batches.steps(0)) == (4 * 42, 1)
    assert batches.at(0, 0).x.shape == (128, 201, 1)
    assert method.steps(part, batches) == 200


def test_windows_are_no_longer_than_the_encoder_takes() -> None:
    part = waves([40, 30])
    method = cost(window=201)
    assert method.batches(model_of(method, part), part, Context()).at(0, 0).x.shape[1] == WINDOW
    assert trained(cost(window=201, iterations=2), part)[0].steps == 2
    free = cost(window=201, encoder=TINY)
    assert free.batches(model_of(free, part), part, Context()).at(0, 0).x.shape[1] == 40


def test_the_queue_holds_the_newest_features_of_the_slow_copy_whatever_the_batch_size() -> None:
    part = waves([WINDOW] * 5)
    method = cost(batch_size=5)
    model = model_of(method, part)
    queue, rows = model.heads["queue"], []
    assert isinstance(queue, Queue)
    batches = method.batches(model, part, Context())
    for epoch in range(3):
        before = queue.read()
        list(method.updates(model, batches.at(epoch, 0), Context().at(epoch, 0)))
        places = (5 * epoch + torch.arange(5)) % 8
        rows += queue.read()[places].tolist()
        assert set((queue.read() != before).any(dim=1).nonzero()[:, 0].tolist()) == set(places.tolist())
    assert sorted(rows[-8:]) == sorted(queue.read().tolist())


def test_a_single_window_is_told_from_the_queue_alone() -> None:
    part = waves([WINDOW])
    result, recorder = trained(cost(iterations=3), part)
    assert result.steps == 3
    assert [value for _, value in recorder.curves["terms/amplitude"]] == [0, 0, 0]
    assert all(math.isfinite(value) and value > 0 for _, value in recorder.curves["terms/trend"])


@pytest.mark.parametrize("encoder", [OWN, TINY], ids=["trend_seasonal", "dilated_conv"])
@pytest.mark.parametrize("kind", ["constant", "zero", "holes", "nothing"])
def test_a_channel_of_constant_or_missing_values_gives_finite_losses_and_weights(
    encoder: dict[str, Any], kind: str
) -> None:
    part = waves([WINDOW] * 4)
    values = part.collection.values[:, 1]
    if kind == "holes":
        values[torch.rand(values.shape, generator=torch.Generator().manual_seed(0)) < 0.3] = torch.nan
    else:
        values[:] = {"constant": 3.0, "zero": 0.0, "nothing": torch.nan}[kind]
    for views in ([], CHANGES):
        result, recorder = trained(cost(encoder=encoder, iterations=3, views=views, alpha=1.0), part)
        assert all(math.isfinite(loss) for _, loss in recorder.curves["loss"])
        assert all(torch.isfinite(weight).all() for weight in result.models[0].parameters())


@pytest.mark.parametrize(
    ("value", "said"), [(3.0, "every target .* is constant"), (torch.nan, "no step of it has a value")]
)
def test_targets_without_anything_to_learn_are_refused(value: float, said: str) -> None:
    part = waves([WINDOW] * 4)
    part.collection.values[:] = value
    method = cost()
    with pytest.raises(DataInvalid, match=said):
        method.batches(model_of(method, part), part, Context())


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"views": ["permutation"]}, r"cost: it compares step by step, and the view 'permutation' moves steps\. Use views"),
    ({"views": ["jitter", {"uses": "sometimes", "view": "time_warp"}]}, "the view 'sometimes' moves steps"),
    (
        {"encoder": TSAI["RNN_FCNPlus"]},
        r"cost: tsai gives one frame for 20 steps, so it has no course in time\. Use an encoder that gives frames",
    ),
]


@pytest.mark.parametrize(("options", "said"), REFUSED)
def test_what_does_not_fit_together_is_refused_before_training(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelUnfit, match=said):
        model_of(cost(**options), waves([20] * 4))


def test_the_random_step_is_the_same_share_of_each_sequence_and_every_step_comes_up_equally_often() -> None:
    lengths = torch.tensor([1, 5, 12])
    steps = torch.stack([_at(place, lengths) for place in torch.linspace(0, 1, 1201)[:-1]])
    for column, length in zip(steps.unbind(1), lengths.tolist(), strict=True):
        counts = torch.bincount(column, minlength=length)
        assert len(counts) == length
        assert (counts - 1200 / length).abs().max() <= 2
    assert _at(torch.tensor(1.0), lengths).tolist() == [0, 4, 11]  # a share that was rounded up


def test_only_the_encoder_and_the_projection_are_trained_and_all_state_is_saved() -> None:
    part, method = waves([WINDOW] * 4), cost(iterations=5)
    random, (result, _) = model_of(method, part), trained(method, part)
    state, before = result.models[0].state_dict(), random.state_dict()
    assert state["heads.queue.written"] == 20
    names = [name for group in method.optimisers(random)["model"].param_groups for name in group["params"]]
    assert len(names) == len([*random.encoder.parameters(), *random.heads["project"].parameters()])
    for name in ("encoder.seasonal.weight", "encoder.trend.weights.0", "heads.project.0.weight"):
        assert not torch.equal(state[name], before[name])
    assert not torch.equal(
        state["heads.momentum.copy.project.0.weight"], before["heads.momentum.copy.project.0.weight"]
    )


def test_training_tells_windows_apart() -> None:
    """From where the queue holds features of real windows, which are harder to tell from than its first random directions."""
    options = {"batch_size": 12, "learning_rate": 0.01, "momentum": 0.99, "temperature": 0.2, "queue": 24}
    _, recorder = trained(cost(iterations=80, views=["jitter"], **options), waves([WINDOW] * 12))
    losses = [loss for _, loss in recorder.curves["terms/trend"]]
    assert np.mean(losses[-10:]) < 0.85 * np.mean(losses[10:20])


def test_views_for_the_panel_leave_the_model_as_it_is() -> None:
    part, method = waves([WINDOW] * 4), cost()
    model = model_of(method, part)
    batch = method.batches(model, part, Context()).at(0, 0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    views = method.views(model, batch, Context())
    assert views is not None
    assert [view.shape for view in views] == [(4, 8), (4, 8)]
    assert not torch.equal(normalize(views[0]), normalize(views[1]))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
