"""Computing one stage into its entry of the store."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tswork.config import Configured
from tswork.context import Context
from tswork.data.collection import DataInfo, Split
from tswork.encoders.base import is_loaded
from tswork.encoders.checkpoints import untrained
from tswork.figures.curves import training_curves
from tswork.methods.base import Method, build_model
from tswork.methods.model import Model
from tswork.methods.saving import load_model, save_model
from tswork.pipeline.plan import CHECKPOINTS
from tswork.pipeline.records import EntryRecorder
from tswork.pipeline.results import save_result
from tswork.pipeline.spec import Member, StageSpec
from tswork.protocols.base import Protocol
from tswork.recorder import Recorder, Tee
from tswork.training.checkpoints import Checkpoints
from tswork.training.loop import train
from tswork.training.runtime import Runtime

Progress = Callable[[int, int, Mapping[str, float]], None]


@dataclass(frozen=True)
class Surroundings:
    """What a stage is computed with: the data's split, a context without recorder, and where live reports go."""

    split: Split
    context: Context
    live: Recorder
    workspace: Path
    progress: Progress
    checkpoint_seconds: float = 30.0
    runtime: Runtime | None = None
    """What several processes share; None: training opens and closes its own."""


def compute_method(folder: Path, stage: StageSpec, member: Member, around: Surroundings) -> None:
    """Train a method and write its models (`model-0`, one a task), records and a summary."""
    recorder = EntryRecorder(journal=around.workspace / "scalars.jsonl")
    context = _reporting(around, recorder)
    method: Method[Any] = stage.component.build()
    trained = train(
        method,
        train=around.split.train,
        validation=around.split.validation,
        info=DataInfo.of(around.split.train),
        context=context,
        name=stage.name,
        checkpoints=Checkpoints(around.workspace / CHECKPOINTS, every_seconds=around.checkpoint_seconds),
        precision=member.header.precision,
        runtime=around.runtime,
        progress=around.progress,
    )
    for task, model in enumerate(trained.models):
        save_model(folder / f"model-{task}", model, stage.component)
    losses = _losses(recorder)
    if losses:
        context.recorder.figure("loss", training_curves(losses, title=f"Training of {stage.name}"))
    recorder.write(folder)
    (folder / "stage.json").write_text(json.dumps({"steps": trained.steps, "tasks": len(trained.models)}))


def _losses(recorder: EntryRecorder) -> dict[str, list[tuple[int, float]]]:
    """The curves of all losses, as a figure takes them."""
    points = recorder.scalars_frame
    chosen = points[points["name"].str.fullmatch(r"(.*/)?loss")]
    return {
        str(name).removesuffix("/loss"): list(zip(one["step"], one["value"], strict=True))
        for name, one in chosen.groupby("name")
    }


def load_models(folder: Path) -> tuple[Model, ...]:
    """The models of a finished method stage, one a task."""
    tasks = json.loads((folder / "stage.json").read_text())["tasks"]
    return tuple(load_model(folder / f"model-{task}") for task in range(tasks))


def compute_protocol(
    folder: Path, stage: StageSpec, member: Member, around: Surroundings, trained: Mapping[str, Path]
) -> None:
    """Judge the models of finished stages beside their controls and write the result and its records."""
    recorder = EntryRecorder()
    context = _reporting(around, recorder)
    protocol: Protocol[Any] = stage.component.build()
    candidates = {name: load_models(path) for name, path in trained.items()}
    everything = {**controls(member, stage.needs, around), **candidates}
    for models in everything.values():
        for model in models:
            model.to(around.context.device).eval()
    result = protocol.evaluate(everything, around.split, context)
    for name, table in result.tables.items():
        context.recorder.table(name, table)
    save_result(folder, result)
    recorder.write(folder)


def controls(member: Member, needs: Sequence[str], around: Surroundings) -> dict[str, tuple[Model, ...]]:
    """Models that no method trained: `random`, or `random.STAGE` for each stage where encoders differ.

    Exactly as the judged methods started; where these start from a checkpoint, that is `as_loaded`, and `random` is the same
    architecture with weights that are drawn.
    """
    info = DataInfo.of(around.split.train)
    blocks = {name: member.stage(name).component for name in needs}
    encoders = {name: getattr(block.config, "encoder", None) for name, block in blocks.items()}
    shared = len({repr(encoder) for encoder in encoders.values()}) == 1
    made: dict[str, tuple[Model, ...]] = {}
    for name in needs[:1] if shared else needs:
        for control, model in _starts(blocks[name], info, seed=member.header.seed).items():
            made[control if shared else f"{control}.{name}"] = (model,)
    return made


def _starts(block: Configured, info: DataInfo, *, seed: int) -> dict[str, Model]:
    """What a method starts from, and what it would start from without any checkpoint."""
    started = build_model(block.build(), info, seed=seed)
    if not is_loaded(started):
        return {"random": started}
    drawn = build_model(untrained(block).build(), info, seed=seed)
    # An encoder whose input is what another one's checkpoint gave has no form without it.
    return {"as_loaded": started} if is_loaded(drawn) else {"random": drawn, "as_loaded": started}


def _reporting(around: Surroundings, recorder: Recorder) -> Context:
    context = around.context
    return Context(context.device, Tee([recorder, around.live]), context.store, context.seed)
