"""All methods, whatever they are, train on batches of the one `Batches`, and on nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from tests.methods.toys import method_of, said_waves, trained, waves
from tswork.context import Context
from tswork.data.batches import Batch, Batches
from tswork.data.collection import Part
from tswork.methods.base import Method, Update
from tswork.methods.model import Model
from tswork.registry import Component, components

FOR_WAVES: dict[str, dict[str, Any]] = {
    "autotcl": {"blocks": 4},
    "comet": {"patient": "label", "trial": "label", "shuffle": "random"},
    "cost": {"window": 16, "queue": 8},
    "infots": {"meta_every": 1},
    "ts_tcc": {"frame_steps": 2},
}
"""Options without which a method does not train on a few waves."""
HOUSE = [one for one in components("method") if one.target.__module__.startswith("tswork.")]


def on_waves(component: Component) -> Method[Any]:
    budget = {"epochs": None, "iterations": 2, "batch_size": 4}
    return method_of(component.name, **budget, **FOR_WAVES.get(component.name, {}))


@pytest.mark.parametrize("component", HOUSE, ids=[one.name for one in HOUSE])
def test_every_method_trains_on_batches_of_the_one_loader(
    component: Component, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = on_waves(component)
    part = said_waves(method, waves([20, 20, 20, 20, 16, 16]))
    loaders, given, used = [], [], []
    make, draw, update = type(method).batches, Batches.at, type(method).updates

    def batches(self: Method[Any], model: Model, part: Part, context: Context) -> Batches:
        loaders.append(make(self, model, part, context))
        return loaders[-1]

    def at(self: Batches, epoch: int, step: int) -> Batch:
        given.append(draw(self, epoch, step))
        return given[-1]

    def updates(self: Method[Any], model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        used.append(batch)
        return update(self, model, batch, context)

    monkeypatch.setattr(type(method), "batches", batches)
    monkeypatch.setattr(Batches, "at", at)
    monkeypatch.setattr(type(method), "updates", updates)
    trained(method, part)
    assert loaders
    assert all(type(loader) is Batches for loader in loaders)
    assert len(used) >= 2  # two steps of every task
    assert all(any(batch is one for one in given) for batch in used)
    for batch in used:
        for row, (sequence, start, stop) in enumerate(batch.span.tolist()):
            own = part.collection.sequence(sequence)[start:stop]
            assert torch.equal(batch.x[row, : stop - start], own)
