"""Embeddings of ragged parts: in order, in bounded batches, untouched by padding."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols.toys import toy_classes, toy_model
from tswork.context import Context
from tswork.data.samplers import ByLength
from tswork.protocols.embedding import embed_part


@given(lengths=st.lists(st.integers(0, 50), max_size=30), steps=st.integers(1, 120), equal=st.booleans())
def test_every_item_is_in_one_batch_and_no_batch_is_too_big(lengths: list[int], steps: int, equal: bool) -> None:
    table = torch.tensor(lengths, dtype=torch.int64)
    sampler = ByLength(table, steps=steps, equal=equal)
    batches = [sampler.at(0, step) for step in range(sampler.steps(0))]
    assert sorted(int(item) for batch in batches for item in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * int(table[batch].max()) <= steps
        assert not equal or len(set(table[batch].tolist())) == 1


@pytest.mark.parametrize("padding_invariant", [True, False])
@pytest.mark.parametrize("pooling", ["max", "mean", "last", None])
def test_embeddings_equal_those_of_single_items(padding_invariant: bool, pooling: str | None) -> None:
    part = toy_classes().train
    model = toy_model(part, padding_invariant=padding_invariant)
    found = embed_part(model, part, Context(), pooling=pooling, steps=200)  # type: ignore[arg-type]
    for index in range(0, len(part), 7):
        alone = part.collection.sequence(int(part.spans[index, 0]))[None]
        with torch.no_grad():
            expected = model.embed(alone, pooling=pooling)  # type: ignore[arg-type]
        torch.testing.assert_close(found[index], expected[0], rtol=1e-5, atol=1e-6)


def test_an_empty_part_has_no_embeddings() -> None:
    split = toy_classes()
    assert embed_part(toy_model(split.train), split.validation, Context()).shape == (0, 5)
