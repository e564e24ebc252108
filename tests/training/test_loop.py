"""The loop makes the updates a method asks for, in order, and the same ones every time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import dropout

from tests.training.tiny import (
    TinyAlternating,
    TinyConfig,
    TinyContinual,
    TinyContrast,
    TinyValidated,
    bits,
    nothing,
    nt_xent,
    run,
    series,
    weight_of,
)
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import DataInfo
from tswork.errors import DataInvalid, InvalidInput, TrainingDiverged, TsworkWarning
from tswork.methods.base import Update, build_model
from tswork.methods.model import Model
from tswork.random import derive, reseed
from tswork.recorder import MemoryRecorder
from tswork.training.averaging import WeightAverage

CPU = torch.device("cpu")


def plain_training(method: TinyContrast, *, steps: int, seed: int = 0) -> Model:
    """The same training as a bare loop."""
    part = series()
    context = Context(seed=seed)
    with torch.random.fork_rng():
        model = build_model(method, DataInfo.of(part), seed=seed).train()
        batches = method.batches(model, part, context)
        optimisers = method.optimisers(model)
        for done in range(steps):
            epoch, step = divmod(done, batches.steps(0))
            reseed(derive(seed, "step", epoch, step), CPU)
            for update in method.updates(model, batches.at(epoch, step), context.at(epoch, step)):
                optimisers[update.optimiser].zero_grad()
                update.loss.backward()
                optimisers[update.optimiser].step()
    return model


@pytest.mark.parametrize("kind", [TinyContrast, TinyAlternating])
def test_training_equals_a_bare_loop_bit_for_bit(kind: type[TinyContrast]) -> None:
    method = kind(TinyConfig(iterations=10))
    trained = run(method)
    expected = plain_training(method, steps=10).state_dict()
    (model,) = trained.models
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())
    assert (trained.steps, trained.stopped_because, trained.resumed) == (10, ("budget",), False)
    assert not model.training


def test_two_trainings_with_one_seed_are_equal_and_with_two_they_differ() -> None:
    method = TinyContrast(TinyConfig())
    assert bits(run(method)) == bits(run(method))
    assert bits(run(method)) != bits(run(method, seed=1))


def test_the_global_generator_is_left_as_it_was() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    run(TinyContrast(TinyConfig(iterations=3)))
    assert torch.equal(torch.rand(3), expected)


def test_dropout_differs_from_step_to_step_and_from_task_to_task() -> None:
    drawn: list[tuple[float, ...]] = []
    method = TinyContrast(TinyConfig(iterations=3, tasks=2))
    method.on_step = lambda context: drawn.append(tuple(dropout(torch.ones(40)).tolist()))
    run(method)
    assert len(drawn) == len(set(drawn)) == 6


def test_each_update_of_a_step_sees_the_parameters_after_the_one_before() -> None:
    changes: list[bool] = []

    class Watching(TinyAlternating):
        def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
            for update in super().updates(model, batch, context):
                parts = model.get_parameter("heads.projection.weight"), weight_of(model)
                before = [part.detach().clone() for part in parts]
                yield update
                unchanged = [torch.equal(part, old) for part, old in zip(parts, before, strict=True)]
                changes.append(unchanged == [update.optimiser == "encoder", update.optimiser == "head"])

    run(Watching(TinyConfig(iterations=4)))
    assert changes == [True] * 8


def test_gradients_are_clipped_and_their_norm_before_that_is_recorded() -> None:
    recorder = MemoryRecorder()

    class Steep(TinyContrast):
        def optimisers(self, model: Model) -> Mapping[str, torch.optim.Optimizer]:
            return {"model": torch.optim.SGD(model.parameters(), lr=1.0)}

        def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
            yield Update("model", {"steep": 1000 * weight_of(model).sum()})

    method = Steep(TinyConfig(iterations=1, clip_gradient=2.0, dropout=0))
    before = build_model(method, DataInfo.of(series()), seed=0)
    (after,) = run(method, recorder=recorder).models
    moved = (weight_of(after) - weight_of(before)).detach().norm()
    assert float(moved) == pytest.approx(2.0, rel=1e-5)
    ((step, norm),) = recorder.curves["gradient_norm"]
    assert step == 0
    assert norm == pytest.approx(1000 * math.sqrt(8))


def test_a_method_may_change_gradients_before_they_are_clipped_and_tells_what_it_saw() -> None:
    recorder = MemoryRecorder()

    class Turned(TinyContrast):
        def optimisers(self, model: Model) -> Mapping[str, torch.optim.Optimizer]:
            return {"model": torch.optim.SGD(model.parameters(), lr=1.0)}

        def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
            weight = weight_of(model)

            def turn() -> Mapping[str, Tensor]:
                assert weight.grad is not None
                seen = weight.grad.sum()
                weight.grad.mul_(-2)
                return {"seen": seen}

            yield Update("model", {"steep": 1000 * weight.sum()}, change=turn)

    method = Turned(TinyConfig(iterations=1, clip_gradient=2.0, dropout=0))
    before = build_model(method, DataInfo.of(series()), seed=0)
    (after,) = run(method, recorder=recorder).models
    moved = (weight_of(after) - weight_of(before)).detach()
    torch.testing.assert_close(moved, torch.full_like(moved, 2 / math.sqrt(8)))  # upwards, and clipped
    ((_, seen),), ((_, norm),) = recorder.curves["seen"], recorder.curves["gradient_norm"]
    assert seen == pytest.approx(8000)
    assert norm == pytest.approx(2000 * math.sqrt(8))


def test_schedules_move_the_learning_rate() -> None:
    recorder = MemoryRecorder()
    run(TinyContrast(TinyConfig(iterations=10, schedule=True)), recorder=recorder)
    rates = [value for _, value in recorder.curves["lr"]]
    assert rates[0] < rates[-1]
    assert rates == sorted(rates)


def test_the_mean_of_the_initial_weights_and_all_iterates_is_returned() -> None:
    snapshots: list[Tensor] = []

    class Watching(TinyContrast):
        def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
            if not snapshots:
                snapshots.append(weight_of(model).detach().double())
            yield from super().updates(model, batch, context)
            snapshots.append(weight_of(model).detach().double())

    trained = run(Watching(TinyConfig(iterations=7, averaging="mean")))
    assert len(snapshots) == 8
    torch.testing.assert_close(
        weight_of(trained.models[0]).double(), torch.stack(snapshots).mean(0), rtol=1e-6, atol=1e-7
    )


def test_curves_hold_terms_totals_rates_and_speed() -> None:
    recorder = MemoryRecorder()
    run(TinyContrast(TinyConfig(iterations=6)), recorder=recorder)
    curves = recorder.curves
    assert {"loss", "terms/contrast", "terms/size", "norm", "lr", "speed/steps_per_second"} <= set(curves)
    assert [step for step, _ in curves["loss"]] == list(range(6))
    for (_, total), (_, contrast), (_, size) in zip(
        curves["loss"], curves["terms/contrast"], curves["terms/size"], strict=True
    ):
        assert total == pytest.approx(contrast + size)


def test_curves_of_several_optimisers_carry_their_names() -> None:
    recorder = MemoryRecorder()
    run(TinyAlternating(TinyConfig(iterations=2)), recorder=recorder)
    assert {"head/loss", "encoder/loss", "head/lr", "encoder/lr"} <= set(recorder.curves)
    assert "encoder/terms/contrast" not in recorder.curves


def test_long_curves_are_thinned_to_about_a_thousand_points_and_end_with_the_last_step() -> None:
    recorder = MemoryRecorder()

    class Idle(TinyContrast):
        def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
            yield Update("model", {"zero": weight_of(model).sum() * 0})

    run(Idle(TinyConfig(iterations=2300)), recorder=recorder)
    steps = [step for step, _ in recorder.curves["loss"]]
    assert len(steps) == 768
    assert steps[:3] == [0, 3, 6]
    assert steps[-1] == 2299


def test_progress_is_told_the_position_and_the_loss() -> None:
    told: list[tuple[int, int, dict[str, float]]] = []
    run(
        TinyContrast(TinyConfig(iterations=5)),
        progress=lambda done, total, shown: told.append((done, total, dict(shown))),
    )
    assert told[0][:2] == (1, 5)
    assert told[-1][:2] == (5, 5)
    assert math.isfinite(told[-1][2]["loss"])


class Diverging(TinyContrast):
    """Becomes infinite at the seventh step."""

    def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        at = context.epoch * 3 + context.step
        z1, z2 = self.views(model, batch, context)
        yield Update("model", {"good": nt_xent(z1, z2), "bad": z1.sum() / (0.0 if at == 6 else 1.0)})


def test_a_loss_that_is_not_finite_stops_training_and_names_step_and_terms() -> None:
    with pytest.raises(TrainingDiverged, match=r"tiny: the loss is not finite at step 6 \(.*terms/bad=-?(inf|nan)"):
        run(Diverging(TinyConfig(iterations=200)))


def test_it_names_the_batch_and_the_checkpoint_that_is_kept(tmp_path: Path) -> None:
    with pytest.raises(TrainingDiverged) as caught:
        run(Diverging(TinyConfig(iterations=200)), folder=tmp_path, every_steps=4)
    fault = caught.value
    assert fault.kept == 4
    assert len(fault.batch) == 4
    names = ", ".join(f"{sequence}[{start}:{stop}]" for sequence, start, stop in fault.batch)
    assert f" Its batch held the sequences {names}. Lower the learning rate" in str(fault)
    assert str(fault).endswith(" The checkpoint after 4 steps, before that, is kept.")
    many = TrainingDiverged("tiny", 3, {"loss": float("nan")}, [(row, 0, 5) for row in range(40)])
    assert "31[0:5] and 8 more." in str(many)
    assert "kept" not in str(many)


def test_spoilt_weights_are_not_written_to_a_checkpoint(tmp_path: Path) -> None:
    class Spoilt(TinyContrast):
        def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
            root = (weight_of(model) * 0).abs().sqrt().sum()  # finite, with a gradient that is not
            yield Update(
                "model",
                {
                    "root": root
                    if context.epoch * 3 + context.step == 7
                    else nt_xent(*self.views(model, batch, context))
                },
            )

    with pytest.raises(TrainingDiverged, match=r"weights=nan.*The checkpoint after 4 steps"):
        run(Spoilt(TinyConfig(iterations=9)), folder=tmp_path, every_steps=4)


def test_weights_spoilt_by_the_very_last_step_are_found() -> None:
    class Spoilt(TinyContrast):
        def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
            yield Update("model", {"root": (weight_of(model) * 0).abs().sqrt().sum()})

    with pytest.raises(TrainingDiverged, match="weights=nan"):
        run(Spoilt(TinyConfig(iterations=1)))


def test_an_empty_training_part_is_refused() -> None:
    with pytest.raises(DataInvalid, match="gives no batch"):
        run(TinyContrast(TinyConfig()), part=nothing())


def test_the_best_validated_weights_are_returned_and_patience_ends_training() -> None:
    method = TinyValidated(TinyConfig(iterations=60, patience=2))
    method.scores = [0, 0, 0.1, 0, 0, 0.5, 0, 0, 0.5, 0, 0, math.nan, 0, 0, 0.9]
    recorder = MemoryRecorder()
    trained = run(method, validation=series(4), recorder=recorder)
    assert trained.stopped_because == ("patience",)
    assert trained.steps == 12
    assert [step for step, _ in recorder.curves["validation/score"]] == [2, 5, 8, 11]
    best = plain_training(method, steps=6).state_dict()
    assert all(torch.equal(tensor, best[name]) for name, tensor in trained.models[0].state_dict().items())


def test_validation_may_come_every_few_steps_and_always_comes_at_the_end() -> None:
    method = TinyValidated(TinyConfig(iterations=7, validate_every=3))
    recorder = MemoryRecorder()
    run(method, validation=series(4), recorder=recorder)
    assert [step for step, _ in recorder.curves["validation/score"]] == [2, 5, 6]


def test_with_averaging_the_mean_is_what_validation_sees_and_what_is_best() -> None:
    method = TinyValidated(TinyConfig(iterations=12, averaging="mean"))
    method.scores = [0, 0, 0.1, 0, 0, 0.5]
    (model,) = run(method, validation=series(4)).models
    (six,) = run(TinyContrast(TinyConfig(iterations=6, averaging="mean"))).models
    assert torch.equal(weight_of(model), weight_of(six))


def test_a_validation_that_does_not_give_the_monitored_score_is_named() -> None:
    class Other(TinyValidated):
        monitor = "accuracy"

    with pytest.raises(KeyError, match="monitors 'accuracy'"):
        run(Other(TinyConfig()), validation=series(4))


def test_patience_without_validation_is_pointed_out() -> None:
    with pytest.warns(TsworkWarning, match="`patience` has no effect"):
        run(TinyContrast(TinyConfig(iterations=2, patience=1)))


def test_a_continual_method_gives_one_model_a_task() -> None:
    method = TinyContinual(TinyConfig(iterations=5, tasks=3))
    trained = run(method)
    sizes = [len(model.heads["memory"].rows) for model in trained.models]  # type: ignore[arg-type]
    assert sizes == [4, 8, 12]
    assert trained.steps == 15
    assert len({tuple(weight_of(model).flatten().tolist()) for model in trained.models}) == 3


def test_half_precision_trains_weights_of_full_precision() -> None:
    full, mixed = (
        run(TinyContrast(TinyConfig(dropout=0)), precision=precision) for precision in ("32-true", "bf16-mixed")
    )
    weight, other = (weight_of(trained.models[0]) for trained in (full, mixed))
    assert other.dtype == torch.float32
    assert not torch.equal(weight, other)
    torch.testing.assert_close(weight, other, rtol=0.2, atol=0.1)


def test_sixteen_bit_floats_on_a_cpu_are_refused_with_a_remedy() -> None:
    with pytest.raises(InvalidInput, match="Use bf16-mixed"):
        run(TinyContrast(TinyConfig()), precision="16-mixed")


def test_the_mean_of_weights_can_be_applied_for_a_while() -> None:
    layer = torch.nn.Linear(1, 1)
    torch.nn.init.zeros_(layer.weight)
    average = WeightAverage(layer)
    for value in (3.0, 6.0):
        torch.nn.init.constant_(layer.weight, value)
        average.update()
    with average.applied():
        assert layer.weight.item() == pytest.approx(3.0)
    assert layer.weight.item() == 6.0
    average.apply()
    assert layer.weight.item() == pytest.approx(3.0)


@pytest.mark.parametrize(("after", "mean"), [(0, 0.9), (1, 1.0), (9, 1.0)])
def test_nine_steps_at_one_weigh_nine_tenths_beside_initial_weights_that_count(after: int, mean: float) -> None:
    layer = torch.nn.Linear(1, 1)
    torch.nn.init.zeros_(layer.weight)
    average = WeightAverage(layer, after=after)
    torch.nn.init.ones_(layer.weight)
    for _ in range(9):
        average.update()
    assert average.means["weight"].item() == pytest.approx(mean)


def test_weights_before_the_mean_begins_are_left_out_also_after_a_resumption() -> None:
    layer, twin = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    average, resumed = WeightAverage(layer, after=3), WeightAverage(twin, after=3)
    for step, value in enumerate((5.0, 7.0, 1.0, 4.0, 10.0)):
        torch.nn.init.constant_(layer.weight, value)
        average.update()
        expected = value if step < 2 else {2: 1.0, 3: 2.5, 4: 5.0}[step]
        assert average.means["weight"].item() == pytest.approx(expected)
        resumed.restore(average.means, average.count)
        assert resumed.means["weight"].item() == pytest.approx(expected)
    for one, module in ((average, layer), (resumed, twin)):
        torch.nn.init.constant_(module.weight, 9.0)
        one.update()
        assert one.means["weight"].item() == pytest.approx(6.0)
