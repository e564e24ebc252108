"""What every component computes on tiny data, as a few numbers; `python -m tests.golden.store` writes them down.

A stage is cached under its component's version, so results that change under the same version would mix old with new.
The stored numbers (`values.json`) notice that: they hold four digits, which other machines and library versions share.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tests.golden.speech import BLOCKS, frozen_collection, speech_frames
from tests.methods.toys import TINY, method_of, model_of, said_waves, trained, waves
from tests.protocols.patients import toy_patients
from tests.protocols.toys import toy_classes, toy_model, toy_series
from tests.protocols.varieties import toy_varieties
from tswork.augment.base import View
from tswork.config import configure
from tswork.context import Context
from tswork.data.collection import Collection, DataInfo, Part, Split
from tswork.data.tasks_spec import TasksSpec
from tswork.data.text_spec import TextSpec
from tswork.methods.model import Model
from tswork.random import seeded
from tswork.registry import Component, Kind, components

VALUES = Path(__file__).with_name("values.json")
KINDS: tuple[Kind, ...] = (
    "front_end",
    "encoder",
    "view",
    "objective",
    "labelled_objective",
    "method",
    "preparation",
    "protocol",
    "maker",
)

Numbers = dict[str, float]

OPTIONS: dict[str, list[dict[str, Any]]] = {
    "front_end log_mel": [
        {"mels": 4, "unit": "samples", "window": 16.0, "hop": 5.0, "normalise": how} for how in ("utterance", "none")
    ],
    "encoder causal_mixture": [{"dim": 32}],
    "encoder conformer_small": [{"front_end": "none", "dim": 16, "layers": 1}],
    "encoder ecapa_small": [{"front_end": "none", "dim": 16, "channels": 8}],
    "encoder frame_norm": [{"encoder": TINY}, {"encoder": TINY, "by": "length"}],
    "encoder recurrent": [{}, {"cell": "gru", "bidirectional": True}],
    "encoder relative": [
        {},
        {"by": "mean", "scale": True, "restore": True, "encoder": {"uses": "recurrent", "dim": 8}},
    ],
    "encoder time_frequency": [{"time": TINY}, {"time": TINY, "frequency": "recurrent", "pooling": "mean"}],
    "encoder transformer": [{}, {"patch": 4}],
    "encoder tsai": [
        {"model": "InceptionTimePlus", "options": {"nf": 4}},
        {"model": "TSTPlus", "options": {"d_model": 16, "n_layers": 1, "n_heads": 2}},
        {"model": "TCN", "options": {"layers": [8, 8]}},
        {"model": "PatchTST", "options": {"d_model": 16, "n_heads": 2, "d_ff": 16}},
    ],
    "encoder trend_seasonal": [{"length": 24, "dim": 32, "dropout": 0.0}],
    "view equaliser": [{}, {"decibels": 3.0, "tilt": 12.0}],
    "view mask": [{}, {"mask": "continuous"}],
    "view reverb": [{"rate": 20.0}, {"rate": 20.0, "high": 0.2, "direct_low": -6.0}],
    "view sometimes": [{"view": "jitter"}],
    "view subsequence": [{}, {"elsewhere": "zero"}],
    "objective info_nce": [{}, {"among": "both", "symmetric": False, "normalise": False}],
    "maker espeak_varieties": [{"varieties": ["tuscany", "south"], "speakers": 1, "sentences": 1}],
    "maker synthetic_varieties": [{"varieties": 2, "cities": 1, "speakers": 1, "items": 2}],
    "labelled_objective supervised_contrast": [
        {},
        {"variant": "in", "denominator": "own"},
        {"denominator": "negatives"},
    ],
    "labelled_objective triplet": [{"mining": mining, "margin": 0.5} for mining in ("all", "hard", "semi_hard")],
    "method agem": [{"memory": 4, "from_memory": 2}],
    "method audio_kd": [{"memory": 4}, {"memory": 4, "distillation_weight": 3000.0}],
    "method autotcl": [
        {"blocks": 4, "trunk": TINY},
        {
            "blocks": 4,
            "trunk": TINY,
            "variant": "reference",
            "discrepancy_frames": "encoder",
            "consistency_weight": 0.1,
        },
    ],
    "method clocs": [{}, {"variant": "reference"}],
    "method comet": [
        {"patient": "label", "trial": "label", "learning_rate": 0.01},
        {"patient": "label", "trial": "label", "learning_rate": 0.01, "variant": "reference"},
        {
            "patient": "label",
            "trial": "label",
            "step_mask": "channel_continuous",
            "shuffle": "group",
            "similarity": "pooled",
        },
    ],
    "method contrastive": [{}, {"queue": 8, "momentum": 0.9, "views": ["cutout", "subsequence"], "head": {"dim": 4}}],
    "method cost": [
        {"window": 16, "queue": 8},
        {
            "window": 16,
            "queue": 8,
            "encoder": {"uses": "trend_seasonal", "length": 16, "dim": 8, "hidden": 6, "depth": 2},
        },
    ],
    "method co2l": [{"memory": 4}, {"memory": 4, "views": ["jitter"], "views_per_item": 2, "distillation_weight": 0.5}],
    "method coconut": [
        {"memory": 4},
        {"memory": 4, "distillation": "ntpt", "denominator": "no_self", "repel_class": False},
    ],
    "method derpp": [{"memory": 4}, {"memory": 4, "memory_weight": None, "selection": "herding"}],
    "method er": [{"memory": 4}, {"memory": 4, "selection": "herding", "growth": "growing", "from_memory": 1}],
    "method ewc": [{}, {"form": "online", "fisher": "labels", "samples": 2, "weight": 100.0}],
    "method fixed_augmentation": [{}, {"choose": "all", "views": ["magnitude_warp", "window_warp"]}],
    "method icarl": [{"memory": 4}, {"memory": 4, "selection": "nearest_to_mean", "growth": "fixed", "from_memory": 1}],
    "method infots": [{"meta_every": 1}, {"variant": "reference", "meta_every": 1}],
    "method mixing_up": [{}, {"share": "sequence"}],
    "method sequence_kd": [{"memory": 4}, {"memory": 4, "sequence_weight": 3.0, "sequence_beams": 1}],
    "method supervised": [
        {"balanced": True},
        {
            "mode": "ce_plus_contrast",
            "views": ["jitter"],
            "views_per_item": 2,
            "ramp": 2.0,
            "schedule": "cosine",
            "objective": "arc_face",
            "items_per_class": 2,
        },
        {"mode": "contrast_then_probe", "items_per_class": 2, "head": None},
    ],
    "method tf_c": [{}, {"variant": "reference"}],
    "method token_kd": [{"memory": 4}, {"memory": 4, "distillation_weight": 300.0}],
    "method ts_tcc": [{"frame_steps": 2}, {"frame_steps": 2, "variant": "reference"}],
    "preparation calendar": [{}, {"features": [], "cycles": ["day", "year"], "harmonics": 2}],
    "preparation standardize": [{}, {"per": "recording"}],
    "preparation log_mel": [{"mels": 3, "unit": "samples", "window": 16.0, "hop": 4.0, "low": 0.0}],
    "preparation quality": [{"missing": "interpolate", "flat": "drop"}],
    "preparation resample": [{"rate": 0.5}, {"rate": 0.8, "method": "linear"}],
    "preparation pad": [{"steps": 16}],
    "preparation segment": [{"steps": 4, "overlap": 0.5}],
    "preparation align_beats": [{"steps": 120, "beats": 3}],
    "preparation aggregate": [{"seconds": 14_400.0, "by": by} for by in ("sum", "mean")],
    "preparation between": [{"start": "1970-01-01T05:00", "stop": "1970-01-03T12:00"}],
    "preparation bandpass": [{"low": 0.1, "high": 0.3}],
    "protocol finetune_fraction": [{"fractions": [1.0, 0.5], "epochs": [2], "learning_rate": 1e-2, "batch_size": 16}],
    "preparation bands": [{"column": "age", "edges": [30.0]}],
    "preparation parts_in_order": [{"group": "age", "last": {"a": [0, 1], "b": [0, 0]}}],
    "preparation select": [{"keep": {"label": ["b"]}}],
    "protocol variety_analysis": [
        {"permutations": 99},
        {"distance": "cosine", "features": "statistics", "neighbours": 3, "leaks": False, "permutations": 99},
    ],
    "protocol ridge_forecast": [
        {"horizons": [1, 3], "window": 12, "drop": 8},
        {"horizons": [1, 3], "window": 12, "drop": 8, "representation_scales": [0, 0.3, 1, 3]},
    ],
}
"""Options of components that need some, or are to be looked at in several forms."""


def house() -> list[Component]:
    """All components of these kinds that tswork itself brings."""
    found = [component for kind in KINDS for component in components(kind)]
    return [component for component in found if component.target.__module__.startswith("tswork.")]


def name_of(component: Component) -> str:
    """Kind and name, as in `values.json`."""
    return f"{component.kind} {component.name}"


def summary(component: Component) -> Numbers:
    """A few numbers that change when its results do."""
    numbers: Numbers = {}
    for place, options in enumerate(OPTIONS.get(name_of(component), [{}])):
        with seeded(0):
            found = SUMMARIES[component.kind](component.name, options)
        numbers |= {f"{place}/{name}": float(f"{round(value, 6):.4g}") for name, value in found.items()}
    return numbers


def entry(component: Component) -> dict[str, Any]:
    """What `values.json` holds of a component, computed by one thread: several add up in another order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return {"version": component.version, "values": summary(component)}
    finally:
        torch.set_num_threads(threads)


def _shape(values: Tensor) -> Numbers:
    """Size, mean, spread and two places of an array; missing values are counted and left out."""
    present = values[~values.isnan()].double()
    return {
        "size": values.numel(),
        "missing": int(values.isnan().sum()),
        "mean": present.mean().item(),
        "spread": present.std().item(),
        "first": present[0].item(),
        "last": present[-1].item(),
    }


def _named(name: str, numbers: Numbers) -> Numbers:
    return {f"{name}/{key}": value for key, value in numbers.items()}


def _batch() -> tuple[Tensor, Tensor]:
    """Three sequences of unequal length with missing values."""
    x = torch.randn(3, 24, 2)
    x[0, 5], x[1, 2, 0] = torch.nan, torch.nan
    lengths = torch.tensor([24, 17, 9])
    return torch.where((torch.arange(24) < lengths[:, None])[..., None], x, 0.0), lengths


def _front_end(name: str, options: dict[str, Any]) -> Numbers:
    front = configure("front_end", {"uses": name, **options}).build(DataInfo(("u", "v"), max_length=24, rate=8000.0))
    x, lengths = _batch()
    frames = front(x, lengths, keep=torch.rand(3, 24) < 0.8)
    return _shape(frames.values) | {"lengths": int(frames.lengths.sum()), "channels": len(front.channels)}


def _encoder(name: str, options: dict[str, Any]) -> Numbers:
    if name in BLOCKS:
        found = speech_frames(name)
        return {key: value for part, values in found.items() for key, value in _named(part, _shape(values)).items()}
    encoder = configure("encoder", {"uses": name, **options}).build(DataInfo(("u", "v"), max_length=24)).eval()
    x, lengths = _batch()
    with torch.no_grad():
        frames = encoder(x, lengths if encoder.padding_invariant else None, keep=torch.rand(3, 24) < 0.8)
        last = encoder.last(x[:, :15])
    return (
        _named("frames", _shape(frames.values)) | {"lengths": int(frames.lengths.sum())} | _named("last", _shape(last))
    )


def _view(name: str, options: dict[str, Any]) -> Numbers:
    x, lengths = _batch()
    change = configure("view", {"uses": name, **options}).build()
    view = change(View(x, lengths), generator=torch.Generator().manual_seed(0))
    seen = -1 if view.keep is None else int(view.keep.sum())
    return _shape(view.x) | {"lengths": int(view.lengths.sum()), "seen": seen}


def _objective(name: str, options: dict[str, Any]) -> Numbers:
    objective = configure("objective", {"uses": name, **options}).build()
    framewise = objective.level == "frame"
    z1, z2 = torch.randn(2, 6, 9, 4) if framewise else torch.randn(2, 6, 4)
    z1.requires_grad_()
    loss = objective(
        z1,
        z2,
        lengths=torch.tensor([9, 9, 7, 4, 2, 1]) if framewise else None,
        labels=torch.tensor([0, 1, 0, 1, 2, -1]) if objective.needs_labels else None,
        negatives=torch.randn(5, 4) if objective.takes_queue else None,
    )
    (gradient,) = torch.autograd.grad(loss, z1)
    return {"loss": loss.item(), "gradient": gradient.norm().item()}


def _labelled_objective(name: str, options: dict[str, Any]) -> Numbers:
    objective = configure("labelled_objective", {"uses": name, **options}).build()
    z, weights = torch.randn(8, 4).requires_grad_(), objective.class_weights(3, 4)
    found = objective(z, torch.tensor([0, 1, 0, 1, 2, -1, 0, 2]), weights=weights)
    (gradient,) = torch.autograd.grad(found.loss, z)
    shares = {name: share.item() for name, share in found.observed.items()}
    return {"loss": found.loss.item(), "gradient": gradient.norm().item(), **shares}


def _method(name: str, options: dict[str, Any]) -> Numbers:
    """Three steps on waves of unequal length; the parts' losses, and what the judged weights make of other waves."""
    method = method_of(name, **({"encoder": TINY, "epochs": None, "iterations": 3, "batch_size": 4} | options))
    result, recorder = trained(method, said_waves(method, waves([20, 14, 20, 9])))
    other = waves([16] * 3, seed=1)
    embedded = result.models[0].embed(other.collection.values.view(3, 16, 2))
    curves = {name: points for name, points in recorder.curves.items() if name.rpartition("/")[2] == "loss"}
    losses = {f"{name} {step}": value for name, points in curves.items() for step, value in points}
    return losses | _named("embedded", _shape(embedded.detach()))


def _hearts() -> Collection:
    """Two electrocardiograms of two leads at 100 samples a second, with an R wave every 0.8 or 0.9 s."""
    random = np.random.default_rng(0)
    sequences = []
    for interval in (80, 90):
        wave = np.exp(-(((np.arange(1000) % interval - 40) / 2.0) ** 2))
        sequences.append((wave[:, None] * [1.0, -0.5] + random.normal(0, 0.02, (1000, 2))).astype(np.float32))
    return Collection.from_sequences(sequences, rate=100.0)


def _preparation(name: str, options: dict[str, Any]) -> Numbers:
    random = np.random.default_rng(0)
    sequences = [random.normal(3, 2, size=(length, 2)).cumsum(axis=0).astype(np.float32) for length in (40, 33)]
    hours = torch.arange(73) * 3_600_000_000_000
    table = pd.DataFrame({"label": ["a", "b"], "age": [20, 50]})
    collection = Collection.from_sequences(sequences, table=table, label="label", times=hours, rate=1.0)
    if name == "frozen_features":
        return _shape(frozen_collection().values)
    if name == "align_beats":
        collection = _hearts()
    step = configure("preparation", {"uses": name, **options}).build()
    step.fit(Part(collection, torch.tensor([[0, 0, 25]])))
    prepared: Collection = step.apply(collection)
    values = prepared.values.to(torch.float32)
    numbers = _shape(values) | {"sequences": len(prepared), "channels": len(prepared.channels)}
    if prepared.values is not collection.values or prepared.table is collection.table:
        return numbers
    return numbers | {
        "table": zlib.crc32(prepared.table.to_csv().encode()) % 10_000
    }  # a step that changes only the table


def _toy_tasks() -> Split:
    split = toy_classes()
    table = split.train.collection.table
    told = table.assign(
        words=[f"wave {kind}" for kind in table["kind"]], slots=[f'[["kind", "{kind}"]]' for kind in table["kind"]]
    )
    text = TextSpec(transcript="words", slots="slots", vocabulary=30)
    return split.on(split.train.collection.replaced(table=told, tasks=TasksSpec(), text=text))


class _Writer(Model):
    """Writes what the length of a sequence tells, so that some of it is right."""

    def transcribe(self, x: Tensor, lengths: Tensor | None = None, **_: Any) -> list[str]:
        assert lengths is not None
        kinds = [f"k{length % 3}" for length in lengths.tolist()]
        return [f"{kind} _SEP kind _FILL {kind} _SEP wave {kind}" for kind in kinds]


def _protocol(name: str, options: dict[str, Any]) -> Numbers:
    makers: dict[str, Callable[[], Split]] = {
        "probe_classify": toy_classes,
        "continual": _toy_tasks,
        "finetune_fraction": toy_patients,
        "variety_analysis": toy_varieties,
    }
    split = makers.get(name, toy_series)()
    protocol = configure("protocol", {"uses": name, **options}).build()
    judged = toy_model(split.train)
    if "answer" in protocol.requires:
        judged = model_of(method_of("finetune"), split.train)
    candidates: dict[str, list[Model]] = {"toy": [judged]}
    if name == "continual":
        random = model_of(method_of("finetune"), split.train, seed=1)
        writer = _Writer(judged.encoder, judged.info, provides=frozenset({"answer", "transcribe"}))
        candidates = {"random": [random], "toy": [judged] * 3, "writer": [writer]}
    rows = protocol.evaluate(candidates, split, Context()).rows
    keys = rows[[column for column in ("row", "metric", "horizon", "task", "class") if column in rows]].astype(str)
    return dict(zip(keys.agg(" ".join, axis=1), rows["value"].astype(float), strict=True))


def _maker(name: str, options: dict[str, Any]) -> Numbers:
    collection: Collection = configure("maker", {"uses": name, **options}).build().make().collection
    table = zlib.crc32(collection.table.to_csv().encode()) % 10_000
    return _shape(collection.values / 32768) | {"sequences": len(collection), "table": table}


SUMMARIES: Mapping[Kind, Callable[[str, dict[str, Any]], Numbers]] = {
    "front_end": _front_end,
    "encoder": _encoder,
    "view": _view,
    "objective": _objective,
    "labelled_objective": _labelled_objective,
    "method": _method,
    "preparation": _preparation,
    "protocol": _protocol,
    "maker": _maker,
}


def store(known: Iterable[Component]) -> None:
    """Write the numbers of all these components."""
    entries = {name_of(component): entry(component) for component in known}
    VALUES.write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    store(house())
