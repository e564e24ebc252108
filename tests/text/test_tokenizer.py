"""Pieces of words: what goes in comes back, training texts alone count, nothing is drawn at evaluation, files, batches."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tswork.errors import DataInvalid
from tswork.text.tokenizer import END, PAD, START, UNKNOWN, Tokenizer
from tswork.text.tokens import TokenTable

TEXTS = [
    "alarm_set _SEP time _FILL five o'clock _SEP wake me at five o'clock",
    "play_music _SEP play some music",
    "alarm_query _SEP date _FILL next monday _SEP is there an alarm next monday",
] * 3
TOKENIZER = Tokenizer.train(TEXTS, vocabulary=90)
WORDS = st.lists(st.text("aeclmoknfiv_'", min_size=1, max_size=9) | st.sampled_from(["_SEP", "_FILL"]), max_size=6)


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(WORDS)
def test_a_text_of_known_characters_comes_back(words: list[str]) -> None:
    text = " ".join(words)
    if any("_SEP" in word or "_FILL" in word for word in words if word not in ("_SEP", "_FILL")):
        return
    for dropout in (0.0, 0.3):
        (ids,) = TOKENIZER.encode([text], dropout=dropout, generator=draw())
        assert TOKENIZER.decode(ids) == text
        assert not {PAD, UNKNOWN, START, END} & set(ids)


def test_marks_are_one_piece_and_words_with_apostrophes_stay_whole() -> None:
    pieces = TOKENIZER.pieces("time _FILL five o'clock _SEP me")
    assert pieces.count("_FILL") == pieces.count("_SEP") == 1
    assert TOKENIZER.decode(TOKENIZER.encode(["o'clock"])[0]) == "o'clock"
    assert len(TOKENIZER.encode(["o'clock"])[0]) < 7, "frequent words are few pieces"


def test_reserved_pieces_have_fixed_numbers_and_the_vocabulary_its_size() -> None:
    assert (PAD, UNKNOWN, START, END) == (0, 1, 2, 3)
    assert TOKENIZER.size <= 90
    assert Tokenizer.train(TEXTS, vocabulary=60).size <= 60
    with pytest.raises(DataInvalid, match=r"a vocabulary of 20 is too small: characters and marks alone are \d+"):
        Tokenizer.train(TEXTS, vocabulary=20)
    with pytest.raises(DataInvalid, match="there is no text to train a tokenizer on"):
        Tokenizer.train(["", "_SEP"])


def test_decoding_ends_at_the_end() -> None:
    (ids,) = TOKENIZER.encode(["five"])
    assert TOKENIZER.decode([START, *ids, END, *ids, PAD]) == "five"
    assert TOKENIZER.decode(torch.tensor([*ids, PAD, PAD])) == "five"
    assert TOKENIZER.decode([]) == ""


def test_texts_that_would_not_come_back_are_refused_with_their_rows() -> None:
    with pytest.raises(DataInvalid) as refused:
        TOKENIZER.encode(["five", "fünf", "\u2581me", "wake_SEPme"], names=[f"row {row}" for row in range(4)])
    told = [str(problem).partition(". ")[0] for problem in refused.value.problems]
    assert told[0] == "row 1: 'fünf' cannot be encoded: characters ü are unknown"
    assert told[1] == "row 2: '\u2581me' cannot be encoded: it would be read back otherwise"
    assert told[2] == "row 3: 'wake_SEPme' cannot be encoded: characters E P S are unknown"
    assert len(told) == 3
    for reserved in ("[PAD]", "[UNK]", "[SOS]", "[EOS]"):
        with pytest.raises(DataInvalid, match="cannot be encoded"):
            TOKENIZER.encode([f"five {reserved}"])


# Dropout


def test_no_piece_is_drawn_at_evaluation() -> None:
    assert len({tuple(TOKENIZER.encode([TEXTS[0]])[0]) for _ in range(20)}) == 1


def test_dropout_gives_other_pieces_of_the_same_text_and_follows_from_its_generator() -> None:
    found = [TOKENIZER.encode([TEXTS[0]], dropout=0.3, generator=draw(seed))[0] for seed in range(20)]
    assert len({tuple(ids) for ids in found}) > 10
    assert {TOKENIZER.decode(ids) for ids in found} == {TEXTS[0]}
    assert TOKENIZER.encode([TEXTS[0]], dropout=0.3, generator=draw(7))[0] == found[7]
    with pytest.raises(ValueError, match="needs a generator"):
        TOKENIZER.encode(TEXTS, dropout=0.1)


def test_with_almost_no_dropout_pieces_are_those_of_the_package_and_with_all_of_it_single_characters() -> None:
    assert TOKENIZER.encode(TEXTS, dropout=1e-12, generator=draw()) == TOKENIZER.encode(TEXTS)
    (ids,) = TOKENIZER.encode(["five _SEP me"], dropout=1.0, generator=draw())
    assert len(ids) == (1 + 4) + 1 + (1 + 2), "each word begins with a piece of its own"


# Files


def test_a_tokenizer_is_saved_as_json_and_loaded(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    TOKENIZER.save(path)
    assert json.loads(path.read_text())["model"]["dropout"] is None
    assert Tokenizer.load(path).encode(TEXTS) == TOKENIZER.encode(TEXTS)


def test_dropout_that_a_file_asks_for_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    TOKENIZER.save(path)
    described = json.loads(path.read_text())
    described["model"]["dropout"] = 0.5
    path.write_text(json.dumps(described))
    assert len({tuple(Tokenizer.load(path).encode([TEXTS[0]])[0]) for _ in range(20)}) == 1


def test_files_that_are_no_tokenizer_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    with pytest.raises(DataInvalid, match="there is no such file"):
        Tokenizer.load(path)
    for text in ("{", "[]", '{"model": {}}'):
        path.write_text(text)
        with pytest.raises(DataInvalid, match="it is no tokenizer"):
            Tokenizer.load(path)
    TOKENIZER.save(path)
    path.write_text(path.read_text().replace("[SOS]", "[BOS]"))
    with pytest.raises(DataInvalid, match="its first pieces are not"):
        Tokenizer.load(path)


def test_training_again_gives_the_same_tokenizer(tmp_path: Path) -> None:
    for name in ("a", "b"):
        Tokenizer.train(TEXTS, vocabulary=90).save(tmp_path / name)
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text()


# Batches


def test_rows_are_gathered_with_padding_and_told_apart_from_what_they_are_to_say() -> None:
    table = TokenTable.of([[7, 8, 9], [], [5]])
    tokens = table.at(torch.tensor([2, 0, 1, 0]))
    assert tokens.ids.tolist() == [[5, PAD, PAD], [7, 8, 9], [PAD] * 3, [7, 8, 9]]
    assert tokens.lengths.tolist() == [1, 3, 0, 3]
    assert tokens.inputs().tolist()[1] == [START, 7, 8, 9]
    targets = tokens.targets()
    assert targets.ids.tolist() == [[5, END, PAD, PAD], [7, 8, 9, END], [END, PAD, PAD, PAD], [7, 8, 9, END]]
    assert targets.lengths.tolist() == [2, 4, 1, 4]
    assert table.at(torch.tensor([1])).ids.shape == (1, 0)
    assert TokenTable.of([]).at(torch.zeros(0, dtype=torch.int64)).ids.shape == (0, 0)


def test_texts_that_are_too_long_are_refused_with_their_rows() -> None:
    rows = pd.DataFrame({"id": ["u0", "u1", "u2"]})
    texts = ["five", "wake me at five o'clock next monday", "music"]
    table = TokenTable.encoded(TOKENIZER, texts, table=rows)
    assert [TOKENIZER.decode(ids) for ids in table.at(torch.arange(3)).ids] == texts
    with pytest.raises(DataInvalid) as refused:
        TokenTable.encoded(TOKENIZER, texts, table=rows, longest=6)
    (problem,) = refused.value.problems
    length = len(TOKENIZER.encode([texts[1]])[0])
    assert str(problem) == (
        f"row 1 (u1): its text has {length} tokens, and at most 6 are written. Leave it out, or raise the limit."
    )
    with pytest.raises(DataInvalid, match=r"row 1 \(u1\): 'ü' cannot be encoded"):
        TokenTable.encoded(TOKENIZER, ["five", "ü", "five"], table=rows)


@pytest.mark.real_data
def test_every_sentence_of_slurp_comes_back(data_root: Path) -> None:
    path = data_root / "slurp_text" / "devel.jsonl.gz"
    if not path.exists():
        pytest.skip(f"needs {path}")
    with gzip.open(path, "rt") as file:
        sentences = [json.loads(line)["sentence"].lower() for line in file]
    tokenizer = Tokenizer.train(sentences, vocabulary=1000)
    assert tokenizer.size == 1000
    assert [tokenizer.decode(ids) for ids in tokenizer.encode(sentences)] == [" ".join(one.split()) for one in sentences]  # fmt: skip
