"""Batches: equal from every backend, pure in (seed, epoch, step), zero past lengths, shared fairly among processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference import batches as plain
from tswork.data.batches import Batches, Crop
from tswork.data.collection import Collection, Part
from tswork.data.samplers import EqualLength, Uniform

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]


def ragged(count: int = 12, channels: int = 2, seed: int = 0) -> Part:
    draw = np.random.default_rng(seed)
    cases = [draw.normal(size=(int(draw.integers(1, 30)), channels)).astype(np.float32) for _ in range(count)]
    return Part.whole(Collection.from_sequences(cases))


def batches(part: Part, **options: Any) -> Batches:
    sampler = Uniform(len(part), batch_size=options.pop("batch_size", 4), seed=1)
    return Batches(part, sampler=sampler, seed=1, **options)


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU")
    return str(request.param)


@pytest.mark.parametrize("crop", [None, Crop(5), Crop(5, shared=True), Crop(1000)])
def test_a_batch_holds_what_its_spans_say(crop: Crop | None, device: str) -> None:
    part = ragged()
    loader = batches(part, crop=crop, device=device)
    for step in range(loader.steps(0)):
        batch = loader.at(0, step)
        torch.testing.assert_close(batch.x.cpu(), plain.gather(part, batch.span), rtol=0, atol=0)
        assert torch.equal(batch.lengths.cpu(), batch.span[:, 2] - batch.span[:, 1])
        assert batch.span.device.type == "cpu"


def test_all_backends_give_equal_batches(tmp_path: Path, device: str) -> None:
    part = ragged()
    backends = ["device", "mapped"] + (["pinned"] if device == "cuda" else [])
    loaders = [
        batches(part, crop=Crop(7), backend=backend, scratch=tmp_path / f"{backend}.npy", device=device)
        for backend in backends
    ]
    for step in range(loaders[0].steps(2)):
        first, *others = (loader.at(2, step) for loader in loaders)
        for other in others:
            assert torch.equal(first.x, other.x)
            assert torch.equal(first.span, other.span)


def test_a_backend_that_cannot_be_had_says_why() -> None:
    with pytest.raises(ValueError, match="the pinned backend copies to a CUDA device, and the device is cpu"):
        batches(ragged(), backend="pinned")
    with pytest.raises(ValueError, match="the mapped backend needs values that are mapped already, or a scratch file"):
        batches(ragged(), backend="mapped")


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), min_size=1, max_size=8))
def test_batches_do_not_depend_on_the_order_they_are_asked_for(asked: list[tuple[int, int]]) -> None:
    part = ragged()
    used, fresh = batches(part, crop=Crop(4)), batches(part, crop=Crop(4))
    found = {at: used.at(*at) for at in asked}
    for at in sorted(found):
        assert torch.equal(found[at].x, fresh.at(*at).x)


def test_epochs_differ_and_crops_move() -> None:
    loader = batches(ragged(), crop=Crop(3))
    assert not torch.equal(loader.at(0, 0).span, loader.at(1, 0).span)
    starts = {int(start) for epoch in range(30) for start in loader.at(epoch, 0).span[:, 1]}
    assert len(starts) > 5


def test_a_shared_crop_takes_the_same_place_of_equal_items() -> None:
    part = Part.whole(Collection.from_array(np.zeros((6, 50, 1), np.float32)))
    span = batches(part, crop=Crop(10, shared=True)).at(0, 0).span
    assert len(set(span[:, 1].tolist())) == 1


def test_crops_reach_both_ends_equally() -> None:
    part = Part.whole(Collection.from_array(np.zeros((64, 12, 1), np.float32)))
    loader = batches(part, crop=Crop(10), batch_size=64)
    starts = torch.cat([loader.at(epoch, 0).span[:, 1] for epoch in range(100)])
    counts = torch.bincount(starts, minlength=3)
    assert len(counts) == 3
    assert (counts.float() / len(starts) - 1 / 3).abs().max() < 0.03


def test_processes_share_one_batch() -> None:
    part = ragged()
    whole = batches(part, crop=Crop(4)).at(3, 1)
    ranks = [batches(part, crop=Crop(4), rank=rank, world_size=2).at(3, 1) for rank in (0, 1)]
    assert torch.equal(torch.stack([rank.span for rank in ranks], dim=1).reshape(-1, 3), whole.span)


def test_sound_samples_become_floats_between_minus_one_and_one() -> None:
    values = np.array([[[-32768], [0], [16384]]], dtype=np.int16)
    x = batches(Part.whole(Collection.from_array(values))).at(0, 0).x
    assert x.flatten().tolist() == [-1.0, 0.0, 0.5]


def test_columns_come_as_codes_of_the_batch_rows() -> None:
    collection = Collection.from_array(np.zeros((5, 3, 1), np.float32), labels=["b", "a", "b", "c", "a"])
    batch = batches(Part.whole(collection), batch_size=5, columns=("label",)).at(0, 0)
    assert torch.equal(batch.codes["label"], collection.codes("label")[batch.span[:, 0]])


def test_missing_values_are_passed_through() -> None:
    values = np.array([[[1.0], [np.nan]]], dtype=np.float32)
    assert torch.isnan(batches(Part.whole(Collection.from_array(values))).at(0, 0).x).sum() == 1


@pytest.mark.parametrize("epoch", [0, 1])
def test_every_item_comes_once_an_epoch(epoch: int) -> None:
    lengths = ragged(30).lengths
    for sampler in (Uniform(30, batch_size=7, seed=0), EqualLength(lengths, batch_size=4, seed=0)):
        items = torch.cat([sampler.at(epoch, step) for step in range(sampler.steps(epoch))])
        assert torch.equal(items.sort().values, torch.arange(30))


def test_batches_of_equal_length_have_one_length() -> None:
    part = ragged(40)
    sampler = EqualLength(part.lengths, batch_size=4, seed=0)
    for step in range(sampler.steps(0)):
        assert len(set(part.lengths[sampler.at(0, step)].tolist())) == 1


def test_a_batch_size_above_the_items_is_reduced_and_a_rest_can_be_dropped() -> None:
    assert Uniform(5, batch_size=8, seed=0).batch_size == 5
    assert Uniform(10, batch_size=4, seed=0).steps(0) == 3
    assert Uniform(10, batch_size=4, seed=0, drop_last=True).steps(0) == 2
    assert Uniform(0, batch_size=4, seed=0).steps(0) == 0
