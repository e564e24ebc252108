"""Texts of collections: whose texts a tokenizer learns, tokens at their rows, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tswork.data.collection import Collection, DataInfo, Part
from tswork.data.text_spec import TextSpec
from tswork.errors import DataInvalid
from tswork.text.collection_text import targets_of, tokens_of, trained_tokenizer
from tswork.text.tokenizer import Tokenizer

SAID = ["wake me", "play music", "wake music", "zak"]


def said(words: list[Any] = SAID, **options: Any) -> Collection:
    table = pd.DataFrame({"id": [f"u{row}" for row in range(len(words))], "intent": "do", "words": words})
    spec = TextSpec(**{"transcript": "words", "vocabulary": 60, **options})
    return Collection.from_sequences(
        [np.zeros((4, 1), np.float32)] * len(words), table=table, label="intent", text=spec
    )


def test_only_texts_of_the_training_part_count() -> None:
    collection = said()
    tokenizer = trained_tokenizer(Part.of(collection, torch.tensor([0, 1, 1])))
    other = trained_tokenizer(Part.of(said(["wake me", "play music", "other"]), torch.tensor([0, 1])))
    assert tokenizer.to_json() == other.to_json()
    with pytest.raises(DataInvalid, match=r"row 3 \(u3\): 'do _SEP zak' cannot be encoded: characters z are unknown"):
        tokens_of(Part.of(collection, torch.tensor([2, 3])), tokenizer)


def test_tokens_stand_at_the_rows_of_the_collection() -> None:
    collection = said()
    part = Part.of(collection, torch.tensor([2, 0]))
    tokenizer = trained_tokenizer(part)
    table = tokens_of(part, tokenizer)
    assert len(table) == 4
    tokens = table.at(torch.tensor([2, 0, 1]))
    assert [tokenizer.decode(ids) for ids in tokens.ids] == ["do _SEP wake music", "do _SEP wake me", ""]
    assert targets_of(part)[2].transcript == "wake music"


def test_a_training_part_tells_its_tokenizer() -> None:
    part = Part.whole(said())
    text = DataInfo.of(part).tokenizer
    assert text is not None
    assert Tokenizer.from_json(text).decode(Tokenizer.from_json(text).encode(["do _SEP zak"])[0]) == "do _SEP zak"
    assert DataInfo.of(Part.whole(said().replaced(text=None))).tokenizer is None


def test_texts_that_cannot_be_learned_are_refused_with_their_rows() -> None:
    with pytest.raises(DataInvalid, match=r"row 1 \(u1\): its transcript is empty"):
        DataInfo.of(Part.whole(said(["wake me", None, "x"])))
    with pytest.raises(DataInvalid, match=r"row 1 \(u1\): its text has 22 tokens, and at most 20 are written"):
        DataInfo.of(Part.whole(said(["ab", "abcdefghijklmnopqrst", "b"], longest=20, vocabulary=30)))
    pieces = Part(said(), torch.tensor([[0, 0, 4], [1, 0, 2]]))
    with pytest.raises(DataInvalid, match="what was said in a piece of a sequence is not known"):
        DataInfo.of(pieces)
