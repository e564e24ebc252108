"""Greedy writing and beam search: known chains, the plain twin, padding, scores that can be checked, edges."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from tests.reference import decoding as plain
from tests.text.test_decoder import LENGTHS, VECTORS, frames_of
from tswork.encoders.base import Frames
from tswork.objectives.token_cross_entropy import sequence_log_probability
from tswork.random import seeded
from tswork.text.decoder import TextDecoder, TextDecoderConfig
from tswork.text.search import beam_search, greedy, length_penalty
from tswork.text.tokenizer import END, PAD, START, UNKNOWN
from tswork.text.writing import write

A, B, C = 4, 5, 6


class Nothing:
    """A state that nothing depends on."""

    def select(self, source: Tensor, beams: int) -> None: ...


class Chain:
    """What comes next depends on the token before alone."""

    def __init__(self, probabilities: dict[int, dict[int, float]], vocabulary: int = 7) -> None:
        self._logits = torch.full((vocabulary, vocabulary), -1e4, dtype=torch.float64)
        for token, following in probabilities.items():
            for other, probability in following.items():
                self._logits[token, other] = math.log(probability)

    def begin(self, frames: Frames) -> Nothing:
        return Nothing()

    def step(self, state: Nothing, tokens: Tensor) -> Tensor:
        return self._logits[tokens]


GARDEN_PATH = Chain({START: {A: 0.6, B: 0.4}, A: {END: 0.5, C: 0.5 - 1e-6, A: 1e-6}, B: {END: 0.9, A: 0.1}, C: {END: 0.5, C: 0.5}})  # fmt: skip


def silence(batch: int = 1) -> Frames:
    return Frames(torch.zeros(batch, 1, 1, dtype=torch.float64), torch.ones(batch, dtype=torch.int64))


def speaker(seed: int, *, vocabulary: int = 9, ending: float = 1.5, pooled: bool = False) -> TextDecoder:
    """An untrained decoder that ends now and then."""
    config = TextDecoderConfig(dim=8, layers=2, heads=2, widening=2, pooled=pooled)
    with seeded(seed):
        decoder = TextDecoder(config, vocabulary=vocabulary, frame_dim=5, vector_dim=4).double().eval()
    with torch.no_grad():
        decoder.out.weight.mul_(3.0)
        decoder.out.bias[END] = ending
    return decoder


def test_the_likeliest_beginning_is_not_the_best_text() -> None:
    found = greedy(GARDEN_PATH, silence())
    assert found.tokens.ids.tolist() == [[A, END]]
    assert found.log_probability.exp().item() == pytest.approx(0.30, abs=1e-4)
    better = beam_search(GARDEN_PATH, silence(), beams=2)
    assert better.tokens.ids.tolist() == [[B, END]]
    assert better.log_probability.exp().item() == pytest.approx(0.36, abs=1e-4)


def test_the_length_penalty() -> None:
    found = [length_penalty(length, 0.6) for length in (1, 2, 3, 4)]
    assert found == pytest.approx([1, 1.0969026, 1.1884016, 1.2754245], abs=1e-7)
    short, long = math.log(0.3 * 0.3), math.log(0.3 * 0.7**3)
    assert short / found[1] == pytest.approx(-2.19522, abs=1e-5)
    assert long / found[3] == pytest.approx(-1.78293, abs=1e-5)


def test_a_longer_text_that_is_less_likely_wins_by_its_penalty() -> None:
    """Probabilities 0.4 and 0.39; over their penalties -0.835 and -0.738."""
    chain = Chain({START: {A: 1.0}, A: {END: 0.4, C: 0.6}, C: {B: 1.0}, B: {END: 0.65, B: 0.35}})
    short, long = (beam_search(chain, silence(), beams=2, penalty=penalty) for penalty in (0.0, 0.6))
    assert short.tokens.ids.tolist() == [[A, END]]
    assert long.tokens.ids.tolist() == [[A, C, B, END]]
    assert long.score.item() == pytest.approx(math.log(0.39) / length_penalty(4, 0.6))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("beams", [1, 2, 5])
@pytest.mark.parametrize("penalty", [0.0, 0.6])
def test_a_batch_equals_one_utterance_after_another_without_kept_keys(seed: int, beams: int, penalty: float) -> None:
    decoder, frames = speaker(seed), frames_of()
    expected = plain.beam_search(decoder, frames, beams=beams, longest=12, penalty=penalty)
    found = beam_search(decoder, frames, beams=beams, longest=12, penalty=penalty)
    for row, (tokens, total) in enumerate(expected):
        assert found.tokens.ids[row, : found.tokens.lengths[row]].tolist() == tokens
        assert found.log_probability[row].item() == pytest.approx(total, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("beams", [1, 3])
def test_a_batch_is_written_one_utterance_after_another_with_their_vectors_too(seed: int, beams: int) -> None:
    decoder, frames, vectors = speaker(seed, pooled=True), frames_of(), 3 * VECTORS
    expected = plain.beam_search(decoder, frames, beams=beams, longest=12, vectors=vectors)
    found = write(decoder, frames, vectors=vectors, beams=beams, longest=12)
    for row, (tokens, total) in enumerate(expected):
        assert found.tokens.ids[row, : found.tokens.lengths[row]].tolist() == tokens
        assert found.log_probability[row].item() == pytest.approx(total, abs=1e-9)
    others = write(decoder, frames, vectors=vectors.flip(0), beams=beams, longest=12)
    assert not torch.allclose(others.log_probability, found.log_probability)


@pytest.mark.parametrize("seed", range(4))
def test_one_beam_is_greedy(seed: int) -> None:
    decoder, frames = speaker(seed), frames_of()
    one, other = greedy(decoder, frames, longest=12), beam_search(decoder, frames, beams=1, longest=12)
    assert one.tokens.ids.tolist() == other.tokens.ids.tolist()
    torch.testing.assert_close(one.score, other.score)
    assert one.ended.tolist() == other.ended.tolist()


@pytest.mark.parametrize("seed", range(4))
def test_the_score_is_that_of_the_tokens_when_they_are_told(seed: int) -> None:
    decoder, frames = speaker(seed), frames_of()
    found = beam_search(decoder, frames, beams=3, longest=12)
    ids, lengths = found.tokens
    inputs = torch.cat([torch.full((3, 1), START), ids[:, :-1]], dim=1)
    told = sequence_log_probability(decoder(inputs, frames), ids, lengths)
    torch.testing.assert_close(told, found.log_probability, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.score, told / ((5 + lengths) / 6) ** 0.6)


def test_padding_changes_nothing_that_is_written() -> None:
    decoder, frames = speaker(1), frames_of()
    together = beam_search(decoder, frames, beams=3, longest=12)
    for row in range(3):
        own = Frames(frames.values[row : row + 1, : LENGTHS[row]], LENGTHS[row : row + 1])
        alone = beam_search(decoder, own, beams=3, longest=12)
        length = int(alone.tokens.lengths)
        assert together.tokens.lengths[row] == length
        assert together.tokens.ids[row, :length].tolist() == alone.tokens.ids[0, :length].tolist()
        assert not together.tokens.ids[row, length:].any(), "padding stands behind"


def test_more_beams_find_no_worse_text_on_a_chain() -> None:
    found = [beam_search(GARDEN_PATH, silence(), beams=beams, penalty=0.0).log_probability for beams in (1, 2, 3, 4)]
    assert all(wider >= narrower for narrower, wider in pairwise(found))


@pytest.mark.parametrize("beams", [1, 3])
def test_without_an_end_a_text_of_the_longest_length_is_given(beams: int) -> None:
    decoder = speaker(0, ending=-1e3)
    found = beam_search(decoder, frames_of(), beams=beams, longest=5)
    assert found.tokens.ids.shape == (3, 5)
    assert found.tokens.lengths.tolist() == [5, 5, 5]
    assert not found.ended.any()
    assert found.score.isfinite().all()


@pytest.mark.parametrize("seed", range(6))
def test_what_is_never_written_is_not_and_nothing_follows_an_end(seed: int) -> None:
    decoder = speaker(seed)
    with torch.no_grad():
        decoder.out.bias[[PAD, UNKNOWN, START]] = 50.0
    for found in (greedy(decoder, frames_of(), longest=9), beam_search(decoder, frames_of(), beams=4, longest=9)):
        for ids, length, ended in zip(found.tokens.ids, found.tokens.lengths, found.ended, strict=True):
            real = ids[:length].tolist()
            assert not {PAD, UNKNOWN, START} & set(real)
            assert (END in real) == bool(ended)
            assert END not in real[:-1]


def test_more_beams_than_pieces() -> None:
    found = beam_search(GARDEN_PATH, silence(2), beams=9, longest=4)
    assert found.score.isfinite().all()
    assert found.tokens.ids.tolist()[0] == found.tokens.ids.tolist()[1]
