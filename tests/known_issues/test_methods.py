"""Bugs of methods."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.methods.toys import BATCH_NORM, method_of, model_of, nothing, waves
from tests.training.tiny import bits
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import DataInfo, Part
from tswork.errors import DataInvalid, ModelUnfit
from tswork.methods.base import Method, MethodConfig, Update
from tswork.methods.model import Model
from tswork.training.checkpoints import Checkpoints
from tswork.training.loop import Trained, train


class Silent(Method[MethodConfig]):
    """A method that adds nothing to what it inherits."""

    def build(self, info: DataInfo, *, generator: torch.Generator) -> Model:
        raise NotImplementedError

    def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        raise NotImplementedError


def test_inherited_batches_are_padded_for_no_encoder_that_padding_would_change() -> None:
    """They were drawn without a look at the encoder."""
    part = waves([20, 9, 20, 9])
    model = model_of(method_of("contrastive", encoder=BATCH_NORM), part)
    batches = Silent(MethodConfig()).batches(model, part, Context())
    for step in range(batches.steps(0)):
        batch = batches.at(0, step)
        assert (batch.lengths == batch.x.shape[1]).all()


def test_inherited_batches_are_shared_among_processes() -> None:
    """Every process was given all of them."""
    part = waves([9] * 8)
    model = model_of(method_of("contrastive"), part)
    shares = [Silent(MethodConfig()).batches(model, part, Context(rank=rank, world_size=2)).at(0, 0) for rank in (0, 1)]
    assert sorted(torch.cat([share.span[:, 0] for share in shares]).tolist()) == list(range(8))


def test_a_sequence_without_steps_does_not_hide_that_others_have_values() -> None:
    """`IndexError` escaped where training data began with an empty sequence."""
    part = waves([20, 20])
    empty_first = Part(part.collection, torch.tensor([[0, 0, 0], [1, 0, 20]]))
    Silent(MethodConfig()).check(empty_first)
    with pytest.raises(DataInvalid, match="no step of it has a value"):
        Silent(MethodConfig()).check(Part(part.collection, empty_first.spans[:1]))


def test_a_single_series_is_not_contrasted_with_nothing() -> None:
    """The loss of a batch of one is 0, and training went through all its steps without learning anything."""
    part = waves([300])
    method = method_of("contrastive")
    with pytest.raises(DataInvalid, match="nothing to contrast"):
        method.batches(model_of(method, part), part, Context())


def test_processes_do_not_get_shares_of_unequal_size_from_batches_of_one_length() -> None:
    """A last batch of an odd number of series left one process with fewer rows, and both waited for ever."""
    part = waves([20, 20, 20, 9])
    method = method_of("ts2vec", encoder=BATCH_NORM)
    with pytest.raises(ModelUnfit, match="cannot be had in several processes"):
        method.batches(model_of(method, part), part, Context(world_size=2))


@pytest.mark.parametrize(
    ("name", "options"), [("contrastive", {"views": [{"uses": "jitter"}]}), ("ts2vec", {"mask": "binomial"})]
)
def test_processes_do_not_draw_the_same_noise(name: str, options: dict[str, Any]) -> None:
    """The first row of every process was changed in the same way, and so on: half the draws of one process twice."""
    part = waves([40] * 4)
    method = method_of(name, **options)
    model = model_of(method, part).eval()
    batch = method.batches(model, part, Context()).at(0, 0)
    found = [method.views(model, batch, Context(rank=rank, world_size=2)) for rank in (0, 1, 0)]
    first, second, again = (views[0] for views in found if views is not None)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_a_training_with_a_memory_is_resumed_within_its_first_task(tmp_path: Path) -> None:
    """Its memory was to be put back before it had begun, and there was nothing to put it into."""
    part = waves([20] * 8)

    def run() -> Trained:
        return train(
            method_of("er", memory=4, epochs=2, batch_size=2),
            train=part,
            validation=nothing(part),
            info=DataInfo.of(part),
            context=Context(),
            checkpoints=Checkpoints(tmp_path, every_seconds=None, every_steps=1, keep=99),
        )

    whole = run()
    for step in tmp_path.glob("step-*"):
        if int(step.name.removeprefix("step-")) > 1:
            shutil.rmtree(step)
    again = run()
    assert again.resumed_from == 1
    assert bits(again) == bits(whole)
