"""Computing one stage into its entry of the store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tswork.context import Context
from tswork.data.collection import DataInfo, Split
from tswork.figures.curves import training_curves
from tswork.methods.base import Method
from tswork.methods.model import Model
from tswork.methods.saving import load_model, save_model
from tswork.pipeline.controls import controls
from tswork.pipeline.plan import CHECKPOINTS
from tswork.pipeline.records import EntryRecorder
from tswork.pipeline.results import save_result
from tswork.pipeline.spec import Member, StageSpec
from tswork.protocols.base import Protocol
from tswork.recorder import Recorder, Tee
from tswork.store import PIECES, Store
from tswork.training.checkpoints import Checkpoints
from tswork.training.curves import Progress
from tswork.training.loop import train
from tswork.training.runtime import Runtime


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
    recorder = EntryRecorder(journal=around.workspace / "scalars.jsonl", live=around.live)
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
        context.recorder.figure(
            "loss", training_curves(losses, borders=trained.ends[:-1], title=f"Training of {stage.name}")
        )
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
    """Judge the models of finished stages beside their controls and write the result and its records.

    What a protocol keeps of its work (`Context.kept`) lies in the workspace until the result is written.
    """
    recorder = EntryRecorder()
    context = replace(_reporting(around, recorder), pieces=Store(around.workspace / PIECES))
    protocol: Protocol[Any] = stage.component.build()
    candidates = {name: load_models(path) for name, path in trained.items()}
    everything = {**controls(member, stage, around.split), **candidates}
    for models in everything.values():
        for model in models:
            model.to(around.context.device).eval()
    result = protocol.evaluate(everything, around.split, context)
    for name, table in result.tables.items():
        context.recorder.table(name, table)
    save_result(folder, result)
    recorder.write(folder)


def _reporting(around: Surroundings, recorder: Recorder) -> Context:
    context = around.context
    return Context(context.device, Tee([recorder, around.live]), context.store, context.seed)
