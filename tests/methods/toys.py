"""Small data for the tests of methods, and one way to train on them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tswork.config import configure
from tswork.context import Context
from tswork.data.collection import Collection, DataInfo, Part
from tswork.data.tasks_spec import TasksSpec
from tswork.data.text_spec import TextSpec
from tswork.methods.base import Method, build_model
from tswork.methods.model import Model
from tswork.recorder import MemoryRecorder, NullRecorder, Recorder
from tswork.training.checkpoints import Checkpoints
from tswork.training.loop import Trained, train

TINY: dict[str, Any] = {"uses": "dilated_conv", "depth": 2, "dim": 8, "hidden": 6, "dropout": 0.0}
NEEDED: dict[str, dict[str, Any]] = {
    "clocs": {"patient": "label"},
    "sequence_kd": {"decoder": {"dim": 8, "layers": 1, "heads": 2, "dropout": 0.0}},
}
"""Options without which a method cannot train on waves (a class stands for a patient), or would have a large decoder."""
BATCH_NORM: dict[str, Any] = {"uses": "tsai", "model": "ResNetPlus", "options": {"nf": 4}}


def waves(lengths: Sequence[int], *, channels: int = 2, classes: int = 2, noise: float = 0.3, seed: int = 0) -> Part:
    """Noisy waves, one frequency a class, labelled `c0`, `c1`, ... in turn; continual methods learn one class after another."""
    random = np.random.default_rng(seed)
    sequences = []
    for number, length in enumerate(lengths):
        clock = np.arange(length)[:, None] + random.uniform(0, 20, size=(1, channels))
        clean = np.sin(clock * (0.3 + 0.9 * (number % classes)))
        sequences.append((clean + noise * random.normal(size=(length, channels))).astype(np.float32))
    table = pd.DataFrame({"label": [f"c{number % classes}" for number in range(len(lengths))]})
    return Part.whole(Collection.from_sequences(sequences, table=table, label="label", tasks=TasksSpec()))


def said_waves(method: Method[Any], part: Part) -> Part:
    """The same waves, saying the name of their class where a method writes texts."""
    if getattr(method.config, "answer", None) != "text":
        return part
    return Part(part.collection.replaced(text=TextSpec(vocabulary=16, longest=6)), part.spans)


def nothing(part: Part) -> Part:
    """A part of the same collection without spans."""
    return Part(part.collection, part.spans[:0])


def method_of(name: str, **options: Any) -> Method[Any]:
    """A method with a tiny encoder, unless another is named."""
    method: Method[Any] = configure(
        "method", {"uses": name, "encoder": TINY, **NEEDED.get(name, {}), **options}
    ).build()
    return method


def model_of(method: Method[Any], part: Part, *, seed: int = 0) -> Model:
    return build_model(method, DataInfo.of(part), seed=seed)


def trained(
    method: Method[Any], part: Part, *, validation: Part | None = None, seed: int = 0
) -> tuple[Trained, MemoryRecorder]:
    """A training and what it recorded."""
    recorder = MemoryRecorder()
    result = train(
        method,
        train=part,
        validation=nothing(part) if validation is None else validation,
        info=DataInfo.of(part),
        context=Context(seed=seed, recorder=recorder),
    )
    return result, recorder


def checkpointed(method: Method[Any], part: Part, folder: Path, recorder: Recorder | None = None) -> Trained:
    """A training that keeps a checkpoint of every step in a folder, and goes on from the last one there."""
    return train(
        method,
        train=part,
        validation=nothing(part),
        info=DataInfo.of(part),
        context=Context(seed=3, recorder=recorder or NullRecorder()),
        checkpoints=Checkpoints(folder, every_seconds=None, every_steps=1, keep=99),
    )


def forget(folder: Path, *, after: int) -> None:
    """Remove the checkpoints of later steps."""
    for step in folder.glob("step-*"):
        if int(step.name.removeprefix("step-")) > after:
            shutil.rmtree(step)
