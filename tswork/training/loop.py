"""The one training loop: batches in order, a method's updates, and everything around them.

All randomness follows from (seed, task, epoch, step): methods draw from their context's generators, and torch's global
generators (dropout) are seeded before every step. A checkpoint therefore holds no state of any generator, and after
`kill -9` the resumed training ends with the very same bits.
"""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import DataInfo, Part
from tswork.errors import Interrupted, TrainingDiverged, TsworkWarning
from tswork.methods.base import Method, Update, build_model
from tswork.methods.model import Model, evaluating
from tswork.methods.weights import changing_weights_of, copied, load_changing_weights
from tswork.random import derive, reseed
from tswork.recorder import NullRecorder, Resumable
from tswork.training.checkpoints import Checkpoints, Snapshot
from tswork.training.continuation import find_continuation, identity, machine
from tswork.training.costs import Costs
from tswork.training.curves import Curves, FiniteWatch, Progress, Ticker, update_values
from tswork.training.interruption import Interruption
from tswork.training.panel import Panel
from tswork.training.runtime import Precision, Runtime, open_runtime, release_memory
from tswork.training.task import Task

LOOK_EVERY = 25
"""Steps from one look at the device (are the losses finite? do other processes stop?) to the next."""

Stop = Literal["budget", "patience"]


@dataclass(frozen=True)
class Trained:
    """What training gives: one model a task, in evaluation mode, and how it came about."""

    models: tuple[Model, ...]
    steps: int
    """Steps over all tasks, those before a resumption included."""
    seconds: float
    """Time of this process."""
    stopped_because: tuple[Stop, ...]
    """For each task whether its budget or its patience ended it."""
    ends: tuple[int, ...] = ()
    """For each task the steps made when it was over; of a checkpoint by an earlier version only for those after it."""
    resumed_from: int | None = None
    """The step it went on from; None: it began anew."""
    bit_identical: bool = True
    """False when it was resumed where the last digits may come out differently."""

    @property
    def resumed(self) -> bool:
        """Whether a checkpoint was continued."""
        return self.resumed_from is not None


def train(
    method: Method[Any],
    *,
    train: Part,
    validation: Part,
    info: DataInfo,
    context: Context,
    name: str = "training",
    checkpoints: Checkpoints | None = None,
    progress: Progress | None = None,
    precision: Precision = "32-true",
    runtime: Runtime | None = None,
) -> Trained:
    """Train a method on its tasks, going on from the newest whole checkpoint when there is one.

    A task ends with the weights that are judged (the best validated, else the mean, else the latest); the next begins
    with them. `name` stands in errors. `runtime` overrides the context's device and `precision`, and stays open. Raises
    `TrainingDiverged` when a loss stops being finite, `Interrupted` after SIGINT or SIGTERM (a checkpoint is written
    first), and `ModelUnfit` or `DataInvalid` when model and data do not suit each other.
    """
    started = time.perf_counter()
    mine = open_runtime(context.device, precision=precision) if runtime is None else nullcontext(runtime)
    with mine as used, _generators_put_back(used.device), Interruption() as interruption:
        training = _Training(
            method, train, validation, info, _in_process(context, used), name, used, checkpoints, interruption, progress
        )
        trained = training.run()
        if interruption.requested:  # after the last step, where nothing looks at it any more
            raise Interrupted(f"{name}: interrupted when the last step was made; run it again to finish")
    return replace(trained, seconds=time.perf_counter() - started)


class _Training:
    """One call of `train`."""

    def __init__(
        self,
        method: Method[Any],
        train: Part,
        validation: Part,
        info: DataInfo,
        context: Context,
        name: str,
        runtime: Runtime,
        checkpoints: Checkpoints | None,
        interruption: Interruption,
        progress: Progress | None,
    ) -> None:
        self.method = method
        self.parts: Sequence[Part] = method.tasks(train)
        self.validation = validation
        self.validates = len(validation) > 0 and type(method).validate is not Method.validate
        self.info = info
        self.context = context
        self.name = name
        self.runtime = runtime
        self.checkpoints = checkpoints
        self.interruption = interruption
        self.identity = identity(method, train, context, runtime)
        self.watch = FiniteWatch(name)
        self.panel = Panel(method, context.recorder, runtime)
        self.ticker = Ticker(progress)
        self.costs = Costs(context.recorder)
        self.models: list[Model] = []
        self.stops: list[Stop] = []
        self.ends: list[int] = []
        self.saved_at, self.saved_step = time.perf_counter(), 0

    def run(self) -> Trained:
        if self.method.config.patience is not None and (self.method.monitor is None or not self.validates):
            text = f"{self.name}: `patience` has no effect without a validation part and a method that monitors a score"
            warnings.warn(text, TsworkWarning, stacklevel=3)
        release_memory()  # what imports and the reading of data have left
        found = find_continuation(self.checkpoints, self.identity, self.runtime.device)
        self.model = self.runtime.prepare(build_model(self.method, self.info, seed=self.context.seed))
        self.model.train()
        steps = self.saved_step = found.step
        with found.threads():
            task = self._resume(found.snapshot) if found.snapshot is not None else None
            if isinstance(self.context.recorder, Resumable):
                self.context.recorder.resume(before=steps)
            for index in range(len(self.models), len(self.parts)):
                task = task or self._start(index, before=steps)
                steps, task = self._run_task(task), None
        self.panel.report_histograms()
        resumed_from = found.step if found.snapshot is not None else None
        models = tuple(model.eval() for model in self.models)
        ends = tuple(self.ends)
        return Trained(models, steps, 0.0, tuple(self.stops), ends, resumed_from, found.bit_identical)

    # Tasks

    def _start(self, index: int, *, before: int) -> Task:
        self._begin(index)
        return self._task(index, before=before)

    def _begin(self, index: int) -> None:
        context = self._task_context(index)
        reseed(derive(context.seed, "begin"), context.device)
        self.method.begin(self.model, index, self.parts[index], context)
        self.model.to(context.device)

    def _task(self, index: int, *, before: int) -> Task:
        context, part = self._task_context(index), self.parts[index]
        return Task.start(self.method, self.model, index, part, context, before=before, validates=self.validates)

    def _task_context(self, index: int) -> Context:
        if index == 0:
            return self.context
        return replace(self.context, seed=derive(self.context.seed, "task", index))

    def _run_task(self, task: Task) -> int:
        curves = Curves(self.context.recorder, steps=task.total * len(self.parts))
        while not task.over:
            self._step(task, curves)
        self._end(task)
        last = task.index == len(self.parts) - 1
        self.models.append(self.model if last else copy.deepcopy(self.model))
        self.stops.append("patience" if task.done < task.total else "budget")
        self.ends.append(task.position)
        if not last:
            self._save(task.position, None)
        return task.position

    def _end(self, task: Task) -> None:
        """Leave the model with the weights that are judged."""
        self._look(task)
        task.settle(self.model)
        self.model.zero_grad(set_to_none=True)
        self._look_at_weights(task)
        reseed(derive(task.context.seed, "finish"), task.context.device)
        self.method.finish(self.model, task.index, task.part, task.context)
        self.costs.add(steps=task.done, told=self.method.costs(self.model, task.index, task.part))

    # Steps

    def _step(self, task: Task, curves: Curves) -> None:
        position = task.position
        context = task.context.at(task.epoch, task.step)
        rank = ("rank", context.rank) if context.rank else ()
        reseed(derive(context.seed, "step", context.epoch, context.step, *rank), context.device)
        batch = task.batches.at(context.epoch, context.step)
        values: dict[str, float | Tensor] = {}
        for shown in self._updates(task, batch, context):
            values.update(shown)
        if task.average is not None:
            task.average.update()
        epoch_over = task.advance()
        curves.count(len(batch))
        if curves.wants(position) or task.over:
            curves.point({**values, **task.learning_rates()}, step=position)
        read = self.panel.read_if_due(task, self.model)
        self.model.zero_grad(set_to_none=True)  # gradients are as large as the model, and the next step begins without
        if read:  # after the first step, too, in which what stays was laid between what does not
            release_memory()
        if task.done % LOOK_EVERY == 0:
            self._look(task)
        self._validate_if_due(task, context, epoch_over=epoch_over)
        self.ticker.tick(task.position, task.before + task.total, values, last=task.over)
        self._keep_if_due(task)

    def _updates(self, task: Task, batch: Batch, context: Context) -> Iterator[Mapping[str, Tensor]]:
        """Make the updates of one step; yields what each of them shows."""
        updates = self.method.updates(self.model, batch, context)
        while (update := self._next(updates)) is not None:
            optimiser, loss = task.optimisers[update.optimiser], update.loss
            optimiser.zero_grad(set_to_none=True)
            self.runtime.backward(loss)
            self.runtime.gather_gradients(optimiser)
            changed = {} if update.change is None else update.change()
            norm = self.runtime.step(optimiser, clip=self.method.config.clip_gradient)
            if update.optimiser in task.schedulers:
                task.schedulers[update.optimiser].step()
            values = update_values(update, loss, norm, changed, prefix=task.prefix(update.optimiser))
            self.watch.add(task.position, loss, values, span=batch.span)
            yield values

    def _next(self, updates: Iterator[Update]) -> Update | None:
        # Entered anew for each update: it caches casts of weights, and the weights change in between.
        with self.runtime.autocast():
            return next(updates, None)

    def _look(self, task: Task) -> None:
        """Raise `TrainingDiverged` when a loss since the last look was not finite, here or in another process."""
        fault = self.watch.fault()
        (somewhere,) = self.runtime.agree(fault is not None)
        if somewhere:
            fault = fault or TrainingDiverged(self.name, task.position - 1, {"loss in another process": float("nan")})
            fault.kept = self._kept()
            raise fault

    # Validation

    def _validate_if_due(self, task: Task, context: Context, *, epoch_over: bool) -> None:
        if not self.validates:
            return
        every = self.method.config.validate_every
        due = epoch_over if every is None else task.done % every == 0
        if not due and task.done < task.total:
            return
        self._look(task)
        reseed(derive(context.seed, "validate", context.epoch, context.step), context.device)
        averaged = task.average.applied() if task.average is not None else nullcontext()
        with averaged, evaluating(self.model), self.runtime.autocast():
            scores = self.runtime.broadcast(dict(self.method.validate(self.model, self.validation, context)))
            if task.selection.offer(scores, step=task.position):
                task.best = copied(changing_weights_of(self.model))
        named = {f"validation/{score}": value for score, value in scores.items()}
        self.context.recorder.scalars(named, step=task.position - 1)

    # Checkpoints

    def _keep_if_due(self, task: Task) -> None:
        """Write a checkpoint when it is time or when a signal arrived; several processes decide it together."""
        if self.runtime.world_size > 1 and task.done % LOOK_EVERY and not task.over:
            return
        seconds, steps = time.perf_counter() - self.saved_at, task.position - self.saved_step
        due = self.checkpoints is not None and self.checkpoints.due(seconds=seconds, steps=steps)
        interrupted, due = self.runtime.agree(self.interruption.requested, due)
        if interrupted or due:
            self._look(task)
            self._look_at_weights(task)
            self._save(task.position, task)
        if interrupted:
            kept = "; run it again to go on from there" if self.checkpoints is not None else "; nothing was kept"
            raise Interrupted(f"{self.name}: interrupted after step {task.position}{kept}")

    def _look_at_weights(self, task: Task) -> None:
        """Raise `TrainingDiverged` when a gradient has spoilt them though the loss was still finite."""
        if not all(bool(weight.isfinite().all()) for weight in self.model.parameters()):
            raise TrainingDiverged(self.name, task.position - 1, {"weights": float("nan")}, kept=self._kept())

    def _kept(self) -> int | None:
        """The step of the newest checkpoint; losses and weights are looked at before one is written, so it is good."""
        return self.saved_step if self.checkpoints is not None and self.saved_step else None

    def _save(self, step: int, task: Task | None) -> None:
        """Write everything needed to go on after so many steps: within a task, or (without one) before the next."""
        if isinstance(self.context.recorder, Resumable):
            self.context.recorder.flush()
        if self.checkpoints is not None and self.runtime.rank == 0:
            weights = {"model": changing_weights_of(self.model)}
            kept = {f"task-{index}": changing_weights_of(model) for index, model in enumerate(self.models)}
            if task is not None and task.average is not None:
                weights["mean"] = task.average.means
            if task is not None and task.best is not None:
                kept[f"best-{task.selection.best_step}"] = task.best
            state = {
                "identity": self.identity,
                "machine": machine(self.runtime.device),
                "stops": list(self.stops),
                "ends": list(self.ends),
                "task": task.state_dict() if task is not None else None,
                "method": self.method.state_dict(),
                "precision": self.runtime.state_dict(),
                "panel": self.panel.state_dict(),
                "costs": self.costs.state_dict(),
            }
            self.checkpoints.save(Snapshot(step, weights, state, kept))
        self.saved_at, self.saved_step = time.perf_counter(), step

    def _resume(self, snapshot: Snapshot) -> Task | None:
        """Bring model and method to where a checkpoint was written; gives the task it was in, if it was within one."""
        state = snapshot.state
        self.stops, self.ends = list(state["stops"]), list(state.get("ends", ()))
        self.panel.load_state_dict(state["panel"])
        if "costs" in state:  # checkpoints of earlier versions tell no costs
            self.costs.load_state_dict(state["costs"])
        self.runtime.load_state_dict(state["precision"])
        for index in range(len(self.stops)):
            self._begin(index)
            load_changing_weights(self.model, snapshot.kept[f"task-{index}"], source=f"the model of task {index}")
            self.models.append(copy.deepcopy(self.model))
        if self.stops:  # a first task begins without anything of earlier ones
            self.method.load_state_dict(state["method"])
        if state["task"] is None:
            return None
        self._begin(len(self.stops))
        load_changing_weights(self.model, snapshot.weights["model"], source=f"the checkpoint of step {snapshot.step}")
        self.method.load_state_dict(state["method"])
        task = self._task(len(self.stops), before=state["task"]["before"])
        task.load_state_dict(state["task"], snapshot)
        return task


def _in_process(context: Context, runtime: Runtime) -> Context:
    return replace(
        context,
        device=runtime.device,
        recorder=context.recorder if runtime.rank == 0 else NullRecorder(),
        rank=runtime.rank,
        world_size=runtime.world_size,
    )


def _generators_put_back(device: torch.device) -> AbstractContextManager[None]:
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
