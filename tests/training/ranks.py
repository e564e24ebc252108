"""What one of two processes does, run as `python -m tests.training.ranks FOLDER` with torchrun's variables set."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.optim import SGD, Optimizer

from tests.methods.patients import recordings
from tests.methods.test_coconut import told
from tests.methods.toys import TINY, method_of, nothing, waves
from tests.training.tiny import TinyConfig, TinyContrast, nt_xent, run, series
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import DataInfo, Part
from tswork.errors import ModelUnfit
from tswork.methods.base import Method, Update, build_model
from tswork.methods.model import Model
from tswork.recorder import MemoryRecorder, NullRecorder, Recorder
from tswork.training.distributed import average_gradients, gather_with_gradient
from tswork.training.loop import Trained, train
from tswork.training.runtime import Runtime, open_runtime

TEXT: dict[str, Any] = {"answer": "text", "decoder": {"dim": 8, "layers": 1, "heads": 2, "dropout": 0.0}}
STRATEGIES: dict[str, dict[str, Any]] = {
    "finetune": {},
    "finetune text": TEXT,
    "joint text": TEXT,
    "er": {"memory": 8},
    "er of the memory": {"memory": 8, "from_memory": 2},
    "er text": {"memory": 8, **TEXT},
    "agem": {"memory": 8, "from_memory": 4},
    "agem text": {"memory": 8, "from_memory": 4, **TEXT},
    "derpp": {"memory": 8},
    "derpp text": {"memory": 8, **TEXT},
    "ewc": {"samples": 4, "weight": 10.0},
    "icarl": {"memory": 8},
    "co2l": {"memory": 8, "width": 6},
    "audio_kd": {"memory": 8},
    "token_kd": {"memory": 8},
    "token_kd text": {"memory": 8, **TEXT},
    "sequence_kd text": {"memory": 8, **TEXT},
    "coconut": {"memory": 8, "width": 6},
    "coconut text": {"memory": 8, "width": 6, "sequence_weight": 1.0, **TEXT},
}
"""Continual methods, what they answer with or draw from, and their options."""


class TinyGathered(TinyContrast):
    """NT-Xent over the batch of all processes, whatever their number."""

    def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        z = model.heads["projection"](model.embed(batch.x, batch.lengths))
        halves = model.heads["projection"](model.embed(batch.x[:, ::2]))
        yield Update("model", {"contrast": nt_xent(gather_with_gradient(z), gather_with_gradient(halves))})


def contrast(world_size: int, rank: int) -> dict[str, Any]:
    """Loss and gradient of 64 rows in float64, from this process's share, in two ways of writing the loss."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, 5, dtype=torch.float64, generator=generator).chunk(world_size)[rank]
    found: dict[str, Any] = {}
    for way in ("all rows", "own rows"):
        torch.manual_seed(1)
        encoder = nn.Linear(5, 3).double()
        z1, z2 = encoder(x), encoder(x + 0.1)
        loss = nt_xent(gather_with_gradient(z1), gather_with_gradient(z2)) if way == "all rows" else own_rows(z1, z2)
        loss.backward()
        if world_size > 1:
            average_gradients(list(encoder.parameters()))
            distributed.all_reduce(loss.detach().div_(world_size))
        gradients = [
            parameter.grad.flatten().tolist() for parameter in encoder.parameters() if parameter.grad is not None
        ]
        found[way] = {"loss": loss.item(), "gradients": gradients}
    return found


def own_rows(z1: Tensor, z2: Tensor) -> Tensor:
    """NT-Xent of this process's anchors against the candidates of all."""
    rank = distributed.get_rank() if distributed.is_initialized() else 0
    unit = nn.functional.normalize
    logits = unit(z1, dim=-1) @ unit(gather_with_gradient(z2), dim=-1).T / 0.5
    return nn.functional.cross_entropy(logits, torch.arange(len(z1)) + rank * len(z1))


def trained(runtime: Runtime | None, folder: Path | None = None) -> dict[str, Any]:
    """A whole training."""
    recorder = MemoryRecorder()
    config = TinyConfig(iterations=30, batch_size=6, dropout=0, averaging="mean", clip_gradient=1.0)
    result = run(TinyGathered(config), recorder=recorder, folder=folder, every_steps=25, runtime=runtime)
    return {
        "weights": {name: tensor.tolist() for name, tensor in result.models[0].state_dict().items()},
        "losses": [loss for _, loss in recorder.curves.get("loss", [])],
        "resumed_from": result.resumed_from,
    }


def among(method: Method[Any], part: Part, runtime: Runtime | None, recorder: Recorder | None = None) -> Trained:
    """A training in these processes."""
    return train(
        method,
        train=part,
        validation=nothing(part),
        info=DataInfo.of(part),
        context=Context(recorder=recorder or NullRecorder()),
        runtime=runtime,
    )


def alternating(runtime: Runtime | None, *, segments: int = 1) -> dict[str, Any]:
    """A whole training of AutoTCL without draws: its losses are those of the batch of all processes. Segments: of unequal lengths."""
    recorder, part = MemoryRecorder(), waves([24] * 6 if segments == 1 else [24, 3, 24, 9, 24, 16])
    options: dict[str, Any] = {
        "trunk": TINY,
        "factor": "none",
        "mask": "all_true",
        "local_weight": 0.0,
        "segments": segments,
    }
    rates: dict[str, Any] = {"learning_rate": 0.01, "augmenter_learning_rate": 0.01, "batch_size": 6}
    result = among(method_of("autotcl", **options, **rates, iterations=6, ratio=2), part, runtime, recorder)
    return {
        "weights": {name: tensor.tolist() for name, tensor in result.models[0].state_dict().items()},
        "losses": {name: points for name, points in recorder.curves.items() if name.endswith("loss")},
    }


def queued(runtime: Runtime | None) -> dict[str, Any]:
    """A whole training of CoST without draws, but for the random step, which all processes share."""
    recorder, part = MemoryRecorder(), waves([24] * 6)
    options: dict[str, Any] = {"encoder": TINY, "views": [], "window": 24, "fill_batch": False}
    rates: dict[str, Any] = {"learning_rate": 0.01, "alpha": 0.1, "momentum": 0.9, "queue": 12, "batch_size": 6}
    result = among(method_of("cost", **options, **rates, iterations=5), part, runtime, recorder)
    state = result.models[0].state_dict()
    entries = state.pop("heads.queue.entries")
    return {
        "weights": {name: tensor.tolist() for name, tensor in state.items()},
        "queue": sorted(entries.tolist()),
        "losses": recorder.curves.get("loss", []),
    }


def of_patients(runtime: Runtime | None) -> dict[str, Any]:
    """A whole training of CLOCS, which has no draws: patients meet in the batch of all processes."""
    recorder, part = MemoryRecorder(), recordings(patients=2, lengths=(24,))
    result = among(
        method_of("clocs", patient="patient", batch_size=6, learning_rate=0.01, iterations=5), part, runtime, recorder
    )
    return {
        "weights": {name: tensor.tolist() for name, tensor in result.models[0].state_dict().items()},
        "losses": recorder.curves.get("loss", []),
    }


def of_classes(runtime: Runtime | None) -> dict[str, Any]:
    """A whole training of both losses of `supervised` without draws: classes meet in the batch of all processes."""
    recorder, part = MemoryRecorder(), waves([24] * 9, classes=3)
    options: dict[str, Any] = {
        "mode": "ce_plus_contrast",
        "dropout": 0.0,
        "balanced": True,
        "objective": "arc_face",
        "head": {"hidden": 6, "dim": 5},
    }
    result = among(
        method_of("supervised", **options, items_per_class=2, learning_rate=0.01, iterations=4), part, runtime, recorder
    )
    return {
        "weights": {name: tensor.tolist() for name, tensor in result.models[0].state_dict().items()},
        "losses": {name: recorder.curves.get(f"terms/{name}", []) for name in ("cross_entropy", "contrast")},
    }


def task_by_task(runtime: Runtime | None, name: str) -> dict[str, Any]:
    """A whole training on two tasks without draws in a step, on sequences and texts of unequal length."""
    recorder, part = MemoryRecorder(), told(waves([24, 17, 20, 24] * 4, classes=4))
    options: dict[str, Any] = {"dropout": 0.0, "batch_size": 4, **STRATEGIES[name]}
    method = method_of(name.partition(" ")[0], **options, epochs=2)
    method.optimisers = plainly  # type: ignore[method-assign]
    result = among(method, part, runtime, recorder)
    return {
        "weights": {name: tensor.tolist() for name, tensor in result.models[-1].state_dict().items()},
        "conflicts": recorder.curves.get("conflict", []),
    }


def plainly(model: Model) -> Mapping[str, Optimizer]:
    """Steps as large as their gradient: Adam would bring a gradient that is rounding alone to the size of others."""
    return {"model": SGD(model.parameters(), lr=0.1)}


def with_draws(runtime: Runtime | None, name: str) -> dict[str, list[float]]:
    """The weights of a short training in which every process draws for its own rows."""
    part = recordings(patients=2, lengths=(24, 17) if name != "tf_c" else (24,))
    result = among(method_of(name, batch_size=6, iterations=2), part, runtime)
    return {name: tensor.tolist() for name, tensor in result.models[0].state_dict().items()}


def grouped(runtime: Runtime | None) -> dict[str, Any]:
    """A whole training of COMET without draws: its samples are compared with those of all processes."""
    recorder, part = MemoryRecorder(), waves([24] * 8)
    table = part.collection.table.assign(patient=[0, 0, 0, 0, 1, 1, 1, 1], trial=[0, 0, 1, 1, 0, 0, 1, 1])
    part = Part.whole(part.collection.replaced(table=table))
    options: dict[str, Any] = {"dropout": 0.0, "step_mask": "all_true", "learning_rate": 0.01}
    result = among(method_of("comet", **options, iterations=6, batch_size=4, shuffle="random"), part, runtime, recorder)
    levels = {level: recorder.curves.get(level, []) for level in ("patient", "trial", "sample")}
    return {
        "weights": {name: tensor.tolist() for name, tensor in result.models[0].state_dict().items()},
        "losses": levels,
    }


def main(folder: Path) -> None:
    """Do everything once and write down what came out."""
    torch.set_num_threads(1)
    runtime = open_runtime(torch.device("cpu"))
    rank = runtime.rank
    found: dict[str, Any] = {
        "world_size": runtime.world_size,
        "contrast": contrast(runtime.world_size, rank),
        "codes": gather_with_gradient(torch.tensor([[rank, 7]])).tolist(),
        "agree": runtime.agree(rank == 1, False),
        "broadcast": runtime.broadcast({"score": rank}),
    }
    try:
        runtime.prepare(build_model(TinyContrast(TinyConfig(batch_norm=True)), DataInfo.of(series()), seed=0))
    except ModelUnfit as unfit:
        found["batch norm"] = str(unfit)
    found["training"] = trained(runtime, folder / "checkpoints")
    found["alternating"] = alternating(runtime)
    found["segments"] = alternating(runtime, segments=8)
    found["queued"] = queued(runtime)
    found["patients"] = of_patients(runtime)
    found["grouped"] = grouped(runtime)
    found["classes"] = of_classes(runtime)
    found["task by task"] = {name: task_by_task(runtime, name) for name in STRATEGIES}
    found["with draws"] = {name: with_draws(runtime, name) for name in ("ts_tcc", "tf_c", "mixing_up")}
    found["resumed training"] = trained(runtime, folder / "checkpoints")
    runtime.close()
    found["still open"] = distributed.is_initialized()
    (folder / f"rank-{rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
