"""What every method inherits: batches that its encoder can take, budgets, and models that follow from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest
import torch

from tests.methods.toys import BATCH_NORM, TINY, method_of, model_of, nothing, trained, waves
from tswork.context import Context
from tswork.data.batches import Batch, Batches, Crop
from tswork.data.collection import DataInfo, Part
from tswork.data.samplers import EqualLength, Sampler, Uniform
from tswork.errors import DataInvalid, ModelUnfit
from tswork.methods.base import Method, MethodConfig, Update, build_model, sequence_batches
from tswork.methods.model import Model

METHODS = pytest.mark.parametrize(
    "name", ["ts2vec", "contrastive", "supervised", "simclr", "ts_tcc", "clocs", "tf_c", "mixing_up"]
)


class Silent(Method[MethodConfig]):
    """A method that adds nothing to what it inherits."""

    def build(self, info: DataInfo, *, generator: torch.Generator) -> Model:
        raise NotImplementedError

    def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        raise NotImplementedError


def batches_of(
    part: Part, *, encoder: dict[str, Any] = TINY, context: Context | None = None, **options: Any
) -> Batches:
    model = model_of(method_of("contrastive", encoder=encoder), part)
    return sequence_batches(part, encoder=model.encoder, context=context or Context(), **{"batch_size": 4, **options})


def items(batches: Batches) -> list[list[int]]:
    """The sequences of each batch of the first epoch."""
    return [batches.at(0, step).span[:, 0].tolist() for step in range(batches.steps(0))]


def test_batches_are_whole_sequences_once_an_epoch() -> None:
    part = waves([9, 20, 5, 20, 7])
    batches = batches_of(part)
    assert sorted(chain(*items(batches))) == [0, 1, 2, 3, 4]
    assert [len(batch) for batch in items(batches)] == [4, 1]
    assert items(batches_of(part, drop_last=True)) == items(batches)[:1]


@pytest.mark.parametrize("crop", [None, Crop(8)])
def test_an_encoder_that_padding_would_change_gets_batches_of_one_length(crop: Crop | None) -> None:
    part = waves([9, 20, 5, 20, 7, 20, 5, 9, 20, 20])
    batches = batches_of(part, encoder=BATCH_NORM, crop=crop)
    assert isinstance(batches.sampler, EqualLength)
    assert sorted(chain(*items(batches))) == list(range(10))
    for step in range(batches.steps(0)):
        batch = batches.at(0, step)
        assert (batch.lengths == batch.x.shape[1]).all()


def test_sequences_of_one_length_need_no_such_care() -> None:
    assert isinstance(batches_of(waves([9] * 5), encoder=BATCH_NORM).sampler, Uniform)
    assert isinstance(batches_of(waves([9, 20, 8]), encoder=BATCH_NORM, crop=Crop(8)).sampler, Uniform)


def test_a_method_that_says_nothing_of_batches_gets_those_its_encoder_can_take() -> None:
    part = waves([9, 20, 9, 20])
    model = model_of(method_of("contrastive", encoder=BATCH_NORM), part)
    batches = Silent(MethodConfig(batch_size=4)).batches(model, part, Context())
    assert sorted(sorted(batch) for batch in items(batches)) == [[0, 2], [1, 3]]


def test_sequences_longer_than_the_encoder_takes_are_refused_before_training() -> None:
    part = waves([30, 20])
    short = {"uses": "tsai", "model": "TSTPlus", "length": 24, "options": {"d_model": 16, "n_layers": 1, "n_heads": 2}}
    with pytest.raises(
        ModelUnfit, match=r"Tsai: takes at most 24 steps, and the longest sequence has 30\. Cut the data"
    ):
        batches_of(part, encoder=short)
    assert batches_of(part, encoder=short, crop=Crop(24)).steps(0) == 2


def test_what_cannot_be_batched_by_length_is_refused() -> None:
    part, two = waves([9, 20, 9, 20]), Context(world_size=2)
    mixed: Sampler = Uniform(4, batch_size=2, seed=0)
    with pytest.raises(
        ModelUnfit, match="batches of one length cannot be had with the sampler that the objective asks"
    ):
        batches_of(part, encoder=BATCH_NORM, sampler=mixed)
    with pytest.raises(ModelUnfit, match="batches of one length cannot be had in several processes"):
        batches_of(part, encoder=BATCH_NORM, context=two)
    assert items(batches_of(part, sampler=mixed)) == [mixed.at(0, step).tolist() for step in range(2)]


def test_processes_share_every_batch_without_a_rest() -> None:
    part = waves([9] * 11)
    whole = items(batches_of(part))
    shares = [items(batches_of(part, context=Context(rank=rank, world_size=2))) for rank in (0, 1)]
    for step in range(2):
        assert shares[0][step] == whole[step][::2]
        assert shares[1][step] == whole[step][1::2]
    assert [len(share) for share in shares] == [2, 2]


def test_too_few_sequences_for_the_processes_are_refused() -> None:
    with pytest.raises(DataInvalid, match="train: 1 sequence in batches of 4 does not give each of 2 processes one"):
        batches_of(waves([9]), context=Context(world_size=2))
    with pytest.raises(DataInvalid, match="batches of 3 sequences cannot be shared among 2 processes"):
        batches_of(waves([9] * 6), sampler=Uniform(6, batch_size=3, seed=0), context=Context(world_size=2))


@METHODS
def test_a_built_model_is_the_one_that_training_starts_from(name: str) -> None:
    """So that the control `random` is the very model before its first step."""
    part = waves([16] * 6)
    method = method_of(
        name, iterations=1, epochs=None, learning_rate=1e-60, weight_decay=0.0
    )  # less than a weight can hold
    (model,) = trained(method, part, seed=3)[0].models
    random = model_of(method, part, seed=3).state_dict()
    assert random.keys() == model.state_dict().keys()
    for key, weight in model.state_dict().items():
        assert torch.equal(weight, random[key]), key


@METHODS
def test_equal_seeds_build_equal_models_and_leave_the_worlds_numbers_alone(name: str) -> None:
    part = waves([16] * 6)
    state = torch.get_rng_state()
    first, again, other = (model_of(method_of(name), part, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    weights = [next(model.parameters()) for model in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@METHODS
@pytest.mark.parametrize("lengths", [[16] * 8, [16, 9, 16, 9, 5, 5, 16, 16]])
@pytest.mark.parametrize("encoder", [TINY, BATCH_NORM], ids=["dilated_conv", "ResNetPlus"])
def test_every_method_trains_with_and_without_batch_norm_on_equal_and_unequal_lengths(
    name: str, lengths: list[int], encoder: dict[str, Any]
) -> None:
    part = waves(lengths)
    result, recorder = trained(method_of(name, encoder=encoder, iterations=4, epochs=None, batch_size=4), part)
    assert result.steps == 4
    assert all(loss == loss for _, loss in recorder.curves["loss"])
    (model,) = result.models
    assert model.embed(torch.randn(2, 9, 2)).shape == (2, model.encoder.dim)


@METHODS
def test_bfloat16_trains_too(name: str) -> None:
    part = waves([16] * 4)
    method = method_of(name)
    model = model_of(method, part)
    method.begin(model, 0, part, Context())
    batch = method.batches(model, part, Context()).at(0, 0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (update,) = method.updates(model, batch, Context())
    assert update.loss.dtype == torch.float32
    update.loss.backward()
    assert all(torch.isfinite(weight.grad).all() for weight in model.parameters() if weight.grad is not None)


@pytest.mark.parametrize(
    ("epochs", "iterations", "steps"), [(3, None, 9), (None, 5, 5), (3, 5, 5), (3, 50, 9), (None, None, 200)]
)
def test_a_budget_ends_at_epochs_or_iterations_whichever_is_first(
    epochs: int | None, iterations: int | None, steps: int
) -> None:
    part = waves([9] * 10)
    method = method_of("contrastive", epochs=epochs, iterations=iterations, batch_size=3)
    assert method.steps(part, method.batches(model_of(method, part), part, Context())) == steps


def test_an_update_is_minimised_as_the_sum_of_its_terms() -> None:
    update = Update("model", {"one": torch.tensor(1.5), "two": torch.tensor(2.0)}, {"seen": torch.tensor(9.0)})
    assert update.loss.item() == 3.5


def test_an_encoder_that_cannot_take_the_data_is_refused_when_the_model_is_built() -> None:
    part = waves([9] * 4)
    block = {**BATCH_NORM, "model": "ResNetPlsu"}
    with pytest.raises(ModelUnfit, match="Did you mean 'ResNetPlus'"):
        build_model(method_of("contrastive", encoder=block), DataInfo.of(part), seed=0)


def test_an_empty_part_gives_no_batches() -> None:
    part = waves([9] * 4)
    assert batches_of(part).steps(0) == 1
    model = model_of(method_of("contrastive"), part)
    empty = sequence_batches(nothing(part), encoder=model.encoder, context=Context(), batch_size=4)
    assert empty.steps(0) == 0


OTHERS = ["autotcl", "infots", "cost", "fixed_augmentation"]


@pytest.mark.parametrize("name", [*METHODS.args[1], *OTHERS])
def test_an_encoder_has_its_own_learning_rate_where_one_is_given(name: str) -> None:
    part = waves([40] * 4)
    rates = {"learning_rate": 1e-2, "encoder_learning_rate": 1e-4}
    model = model_of(method_of(name, **rates), part)
    groups = [group for one in method_of(name, **rates).optimisers(model).values() for group in one.param_groups]
    found = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    assert {found[id(parameter)] for parameter in model.encoder.parameters()} == {1e-4}
    plain = [one for optimiser in method_of(name).optimisers(model).values() for one in optimiser.param_groups]
    assert sorted(found) == sorted(id(parameter) for group in plain for parameter in group["params"])


UNLABELLED = [*(name for name in METHODS.args[1] if name != "supervised"), *OTHERS, "comet"]


@pytest.mark.parametrize("name", UNLABELLED)
@pytest.mark.parametrize(
    ("value", "said"), [(3.0, r"every target \(.*\) is constant"), (torch.nan, "no step of it has a value of a target")]
)
def test_data_without_anything_to_learn_are_refused_before_anything_trains(name: str, value: float, said: str) -> None:
    collection = waves([40] * 8).collection
    flat = collection.replaced(values=torch.full_like(collection.values, value), groups=("label",))
    method = method_of(name, **({"patient": "label", "trial": "label"} if name == "comet" else {}))
    method.check(Part.whole(collection.replaced(groups=("label",))))
    with pytest.raises(DataInvalid, match=said):
        method.check(Part.whole(flat))
