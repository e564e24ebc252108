"""Batches: what spans say, pure in (seed, epoch, step), zero past lengths, shared fairly among processes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference import batches as plain
from tswork.data.batches import BLOCK, Batch, Batches, Crop
from tswork.data.collection import Collection, Part
from tswork.data.samplers import EqualLength, Uniform

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]


def packed(lengths: list[int], channels: int = 2, dtype: type = np.float32) -> Part:
    """Sequences of these lengths whose values are all different."""
    total = sum(lengths) * channels
    values: np.ndarray = np.arange(total).reshape(-1, channels).astype(dtype)
    labels = [f"class {number % 3}" for number in range(len(lengths))]
    table = pd.DataFrame({"label": labels})
    return Part.whole(Collection.from_sequences(np.split(values, np.cumsum(lengths)[:-1]), table=table, label="label"))


def ragged(count: int = 12) -> Part:
    return packed(np.random.default_rng(0).integers(1, 30, count).tolist())


def batches(part: Part, **options: Any) -> Batches:
    sampler = Uniform(len(part), batch_size=options.pop("batch_size", 4), seed=1)
    return Batches(part, sampler=sampler, seed=1, **options)


def assert_equal(one: Batch, other: Batch) -> None:
    for name in ("x", "lengths", "span"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name
    assert one.codes.keys() == other.codes.keys()
    assert all(torch.equal(one.codes[column], other.codes[column]) for column in one.codes)


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU")
    return str(request.param)


# What is in a batch


@pytest.mark.parametrize("crop", [None, Crop(5), Crop(5, shared=True), Crop(1000)])
def test_a_batch_holds_what_its_spans_say(crop: Crop | None, device: str) -> None:
    part = ragged()
    loader = batches(part, crop=crop, device=device)
    for step in range(loader.steps(0)):
        batch = loader.at(0, step)
        assert torch.equal(batch.x.cpu(), plain.gather(part, batch.span))
        assert torch.equal(batch.lengths.cpu(), batch.span[:, 2] - batch.span[:, 1])
        assert batch.x.device.type == batch.lengths.device.type == device
        assert batch.span.device.type == "cpu"


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=9),
    inside=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    crop=st.none() | st.builds(Crop, st.integers(1, 14), shared=st.booleans()),
    channels=st.integers(1, 3),
    batch_size=st.integers(1, 10),
    dtype=st.sampled_from([np.float32, np.float64, np.int16]),
    world_size=st.integers(1, 3),
    at=st.tuples(st.integers(0, 3), st.integers(0, 100)),
)
def test_batches_equal_the_plain_loader(
    lengths: list[int],
    inside: tuple[int, int],
    crop: Crop | None,
    channels: int,
    batch_size: int,
    dtype: type,
    world_size: int,
    at: tuple[int, int],
) -> None:
    part = packed(lengths, channels, dtype)
    # Spans that begin and end inside their sequences, where these are long enough.
    start = torch.minimum(torch.tensor(inside[0]), part.lengths - 1)
    stop = torch.maximum(part.lengths - inside[1], start + 1)
    part = Part(part.collection, torch.stack([part.spans[:, 0], start, stop], dim=1))
    epoch, step = at[0], at[1] % batches(part, batch_size=batch_size).steps(0)
    items = Uniform(len(part), batch_size=batch_size, seed=1).at(epoch, step)
    for rank in range(world_size):
        options = {"crop": crop, "batch_size": batch_size, "rank": rank, "world_size": world_size}
        batch = batches(part, columns=("label",), **options).at(epoch, step)
        mine = items[rank::world_size]
        if len(mine) == 0:
            assert len(batch) == 0
            continue
        assert torch.equal(batch.x, plain.gather(part, batch.span))
        assert torch.equal(batch.lengths, batch.span[:, 2] - batch.span[:, 1])
        assert torch.equal(batch.codes["label"], part.codes("label")[mine])
        assert torch.equal(batch.span[:, 0], part.spans[mine, 0])
        assert (batch.span[:, 1] >= start[mine]).all()
        assert (batch.span[:, 2] <= stop[mine]).all()
        wanted = part.lengths[mine] if crop is None else part.lengths[mine].clamp(max=crop.length)
        assert torch.equal(batch.lengths, wanted)


def test_sound_samples_become_floats_between_minus_one_and_one(device: str) -> None:
    values = np.array([[[-32768], [0], [16384]]], dtype=np.int16)
    x = batches(Part.whole(Collection.from_array(values)), device=device).at(0, 0).x
    assert x.flatten().tolist() == [-1.0, 0.0, 0.5]


def test_missing_values_are_passed_through() -> None:
    values = np.array([[[1.0], [np.nan]]], dtype=np.float32)
    assert torch.isnan(batches(Part.whole(Collection.from_array(values))).at(0, 0).x).sum() == 1


def test_columns_come_as_codes_of_the_batch_rows(device: str) -> None:
    part = packed([3, 3, 4, 5, 3])
    batch = batches(part, batch_size=5, columns=("label",), device=device).at(0, 0)
    assert torch.equal(batch.codes["label"].cpu(), part.collection.codes("label")[batch.span[:, 0]])


def test_lengths_are_handed_on_only_where_there_is_padding() -> None:
    assert batches(packed([5, 5])).at(0, 0).unequal_lengths is None
    unequal = batches(packed([5, 3])).at(0, 0)
    assert torch.equal(unequal.unequal_lengths, unequal.lengths)  # type: ignore[arg-type]


# Pure in (seed, epoch, step)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2 * BLOCK)), min_size=1, max_size=8))
def test_batches_do_not_depend_on_the_order_they_are_asked_for(asked: list[tuple[int, int]]) -> None:
    part = ragged(2 * BLOCK + 1)
    options = {"crop": Crop(4), "batch_size": 1, "columns": ("label",)}
    used = batches(part, **options)
    for at in asked:
        assert_equal(used.at(*at), batches(part, **options).at(*at))


def test_a_batch_has_memory_of_its_own() -> None:
    loader = batches(packed([6] * 8), crop=Crop(3), batch_size=2)
    first = loader.at(0, 0)
    kept = first.x.clone()
    again = loader.at(0, 0)
    loader.at(0, 1).x.fill_(0)
    again.x.fill_(-1)
    assert torch.equal(first.x, kept)
    assert torch.equal(loader.at(0, 0).x, kept)


def test_epochs_differ_and_crops_move() -> None:
    loader = batches(ragged(), crop=Crop(3))
    assert not torch.equal(loader.at(0, 0).span, loader.at(1, 0).span)
    starts = {int(start) for epoch in range(30) for start in loader.at(epoch, 0).span[:, 1]}
    assert len(starts) > 5


def test_another_seed_gives_other_crops_of_the_same_items() -> None:
    part = packed([100] * 8)
    one, other = (
        Batches(part, sampler=Uniform(8, batch_size=8, seed=0), crop=Crop(5), seed=seed).at(0, 0).span
        for seed in (0, 1)
    )
    assert torch.equal(one[:, 0], other[:, 0])
    assert not torch.equal(one[:, 1], other[:, 1])


@pytest.mark.parametrize("shared", [False, True])
def test_crops_reach_both_ends_equally(shared: bool) -> None:
    loader = batches(packed([12] * 64), crop=Crop(10, shared=shared), batch_size=1 if shared else 64)
    starts = torch.cat([loader.at(epoch, step).span[:, 1] for epoch in range(100) for step in range(loader.steps(0))])
    counts = torch.bincount(starts, minlength=3)
    assert len(counts) == 3
    assert (counts.float() / len(starts) - 1 / 3).abs().max() < 0.03


def test_a_shared_crop_takes_the_same_place_of_equal_items_and_another_in_every_batch() -> None:
    loader = batches(packed([1000] * 24), crop=Crop(10, shared=True))
    places = [loader.at(0, step).span[:, 1].unique().tolist() for step in range(loader.steps(0))]
    assert all(len(place) == 1 for place in places)
    assert len({place[0] for place in places}) == len(places)


def test_a_shared_crop_takes_the_same_share_of_unequal_items() -> None:
    part = packed([110, 210, 1010])
    span = batches(part, crop=Crop(10, shared=True)).at(0, 0).span
    places = part.lengths[span[:, 0]] - 10 + 1
    share = span[:, 1] / places
    assert share.max() - share.min() < 1 / 101


# Several processes


@pytest.mark.parametrize("world_size", [2, 3])
@pytest.mark.parametrize("crop", [None, Crop(4), Crop(4, shared=True)])
def test_processes_share_one_batch(world_size: int, crop: Crop | None) -> None:
    part = packed([9] * 12)
    options: dict[str, Any] = {"crop": crop, "batch_size": 6, "columns": ("label",)}
    whole = batches(part, **options).at(3, 1)
    for rank in range(world_size):
        own = batches(part, rank=rank, world_size=world_size, **options).at(3, 1)
        rows = slice(rank, None, world_size)
        expected = Batch(whole.x[rows], whole.lengths[rows], whole.span[rows], {"label": whole.codes["label"][rows]})
        assert_equal(own, expected)


# Samplers


@pytest.mark.parametrize("epoch", [0, 1])
def test_every_item_comes_once_an_epoch(epoch: int) -> None:
    lengths = ragged(30).lengths
    for sampler in (Uniform(30, batch_size=7, seed=0), EqualLength(lengths, batch_size=4, seed=0)):
        items = torch.cat([sampler.at(epoch, step) for step in range(sampler.steps(epoch))])
        assert torch.equal(items.sort().values, torch.arange(30))


def test_without_shuffling_items_keep_their_order() -> None:
    sampler = Uniform(5, batch_size=2, seed=0, shuffle=False)
    assert [sampler.at(7, step).tolist() for step in range(sampler.steps(7))] == [[0, 1], [2, 3], [4]]


def test_batches_of_equal_length_have_one_length() -> None:
    part = ragged(40)
    sampler = EqualLength(part.lengths, batch_size=4, seed=0)
    loader = Batches(part, sampler=sampler)
    for step in range(sampler.steps(0)):
        batch = loader.at(0, step)
        assert batch.unequal_lengths is None
        assert torch.equal(batch.x, plain.gather(part, batch.span))


def test_a_batch_size_above_the_items_is_reduced_and_a_rest_can_be_dropped() -> None:
    assert Uniform(5, batch_size=8, seed=0).batch_size == 5
    assert Uniform(10, batch_size=4, seed=0).steps(0) == 3
    assert Uniform(10, batch_size=4, seed=0, drop_last=True).steps(0) == 2
    assert Uniform(0, batch_size=4, seed=0).steps(0) == 0
