"""Embeddings of ragged parts: in order, in bounded batches, untouched by padding."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.methods.test_coconut import SMALL, WORDS
from tests.methods.toys import method_of, model_of, waves
from tests.protocols.toys import Filters, toy_classes, toy_model
from tswork.context import Context
from tswork.data.collection import Collection, DataInfo, Part
from tswork.data.samplers import ByLength
from tswork.data.text_spec import TextSpec
from tswork.encoders.base import Frames
from tswork.errors import ModelUnfit
from tswork.methods import embedding
from tswork.methods.embedding import classify_part, embed_part, embedding_table, transcribe_part
from tswork.methods.model import Model
from tswork.text.writing import decoder_of


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


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_items_whose_vectors_or_logits_are_not_finite_are_refused_by_name(value: float) -> None:
    part = toy_classes().train
    model = toy_model(part)
    wrong = [2, 5]
    usual = model.encoder.forward

    def forward(x: torch.Tensor, *rest: object, **more: object) -> Frames:
        frames: Frames = usual(x, *rest, **more)  # type: ignore[arg-type]
        marked = torch.isin(x[:, 0, 0], torch.stack([part.collection.sequence(row)[0, 0] for row in wrong]))
        return frames._replace(values=torch.where(marked[:, None, None], value, frames.values))

    model.encoder.forward = forward  # type: ignore[method-assign]
    model.heads["classify"] = torch.nn.Linear(model.encoder.dim, 3)
    told = f"Filters: makes of 2 of {len(part)} items what is not finite: row 2, row 5. Look for extreme values"
    for read in (embed_part, classify_part):
        with pytest.raises(ModelUnfit, match=re.escape(told)):
            read(model, part, Context())


@pytest.mark.parametrize(
    ("stride", "most"), [(1, 32_768), (4, 131_072), (160, 1_048_576), (320, 1_048_576), (10_000, 1_048_576)]
)
def test_frames_are_bounded_and_behind_a_stride_samples_are(stride: int, most: int) -> None:
    encoder = Filters(1, 2)
    encoder.stride = stride
    assert encoder.steps_at_once == most


def test_an_encoder_that_shortens_time_takes_more_sound_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = torch.Generator().manual_seed(0)
    sound = [torch.randint(-9999, 9999, (16_000, 1), generator=drawn, dtype=torch.int16).numpy() for _ in range(6)]
    part = Part.whole(Collection.from_sequences(sound, rate=16000.0))
    sizes: list[int] = []
    usual = Model.embed

    def embed(self: Model, x: torch.Tensor, *rest: object, **more: object) -> torch.Tensor:
        sizes.append(len(x))
        return usual(self, x, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Model, "embed", embed)
    found = []
    for stride in (1, 160):
        model = Model(Filters(1, 3), DataInfo.of(part))
        model.encoder.stride = stride
        found.append(embed_part(model, part, Context(), pooling="max"))
    assert sizes == [2, 2, 2, 6], "two seconds in 32,768 samples, 65 behind a stride"
    torch.testing.assert_close(found[0], found[1])


def told_waves() -> Part:
    part = waves([20, 14, 17, 20, 9, 14], classes=3)
    table = part.collection.table.assign(words=[WORDS[row % 3] for row in range(len(part))])
    return Part(
        part.collection.replaced(table=table, text=TextSpec(transcript="words", vocabulary=40)), part.spans.flip(0)
    )


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("pooled", [False, True])
def test_texts_equal_those_of_single_items_in_their_order(beams: int, pooled: bool) -> None:
    part = told_waves()
    decoder = {**SMALL, "pooled": pooled}
    model = model_of(method_of("joint", answer="text", decoder=decoder, pooling="mean_std"), part)
    listens = decoder_of(model).lead if pooled else decoder_of(model).bridge
    assert listens is not None
    with torch.no_grad():
        for weight in listens.parameters():
            weight.mul_(100)  # an untrained decoder hardly listens
    found = transcribe_part(model, part, Context(), beams=beams, longest=12)
    assert len(set(found)) > 1
    for text, sequence in zip(found, part.spans[:, 0].tolist(), strict=True):
        alone = part.collection.sequence(sequence)[None].float()
        assert [text] == model.eval().transcribe(alone, beams=beams, longest=12)


def test_no_more_hypotheses_are_written_at_once_than_memory_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    part, sizes = told_waves(), list[int]()
    model = model_of(method_of("joint", answer="text", decoder=SMALL), part)

    def transcribe(x: torch.Tensor, *rest: object, **more: object) -> list[str]:
        sizes.append(len(x))
        return [""] * len(x)

    monkeypatch.setattr(embedding, "HYPOTHESES_AT_ONCE", 7)
    monkeypatch.setattr(model, "transcribe", transcribe)
    transcribe_part(model, part, Context(), beams=3)
    assert sizes == [2, 2, 2]
    assert transcribe_part(model, Part(part.collection, part.spans[:0]), Context()) == []


def test_who_cannot_write_is_not_asked() -> None:
    part = toy_classes().train
    with pytest.raises(ModelUnfit, match="it has no 'decoder' head"):
        transcribe_part(toy_model(part), part, Context())


def test_an_empty_part_has_no_embeddings() -> None:
    split = toy_classes()
    assert embed_part(toy_model(split.train), split.validation, Context()).shape == (0, 5)


def test_columns_of_the_table_stay_beside_the_numbers_of_the_embeddings() -> None:
    collection = waves([9, 9]).collection
    table = collection.table.assign(e0=["x", "y"], e0_=["u", "v"], item=["bread", "milk"])
    part = Part.whole(collection.replaced(table=table))
    found = embedding_table(part, np.array([[1.0, 2.0], [3.0, 4.0]]), places={"item": np.array([0, 1])})
    assert list(found) == ["item", "label", "e0__", "e0_", "item_", "e0", "e1"]
    assert found["item_"].tolist() == ["bread", "milk"]
    assert found["e0__"].tolist() == ["x", "y"]
    assert found["e0"].tolist() == [1.0, 3.0]
