"""Writing text: the likeliest token at every step, or the best of several hypotheses.

Both work on a whole batch of utterances of unequal length, and stop when every utterance is done. The score of a hypothesis is
the sum of the log-probabilities of its tokens, the end included, over `((5 + L) / 6) ** penalty` for L tokens (Wu et al.,
"Google's Neural Machine Translation System", 2016, equation 14, without coverage).

At every step the best `2 * beams` continuations of all hypotheses are looked at. Those that end and are among the best `beams` are
finished and leave; the best `beams` of the others go on. An utterance is done when `beams` of its hypotheses have finished, so
that one beam is greedy. At the longest length the best finished hypothesis is taken, or, where none has finished, the best of
those under way. Padding, the unknown piece and the start are never written.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tswork.encoders.base import Frames
from tswork.precision import wide
from tswork.text.tokenizer import END, PAD, START, UNKNOWN
from tswork.text.tokens import Tokens

NEVER = (PAD, UNKNOWN, START)


@runtime_checkable
class State(Protocol):
    """What a decoder knows of hypotheses."""

    def select(self, source: Int[Tensor, "batch beam"], beams: int) -> None: ...


S = TypeVar("S", bound=State)


@runtime_checkable
class StepDecoder(Protocol[S]):
    """What can be asked for the next token, in evaluation mode."""

    def begin(self, frames: Frames) -> S: ...

    def step(self, state: S, tokens: Int[Tensor, "batch beam"]) -> Float[Tensor, "batch beam vocabulary"]: ...


class Written(NamedTuple):
    """One hypothesis an utterance. Its tokens hold the end, if it `ended`; padding stands behind."""

    tokens: Tokens
    log_probability: Float[Tensor, "batch"]
    score: Float[Tensor, "batch"]
    ended: Bool[Tensor, "batch"]


def length_penalty(length: int, penalty: float) -> float:
    """What a sum of so many log-probabilities is divided by.

    >>> round(length_penalty(2, 0.6), 7)
    1.0969026
    """
    return float(((5 + length) / 6) ** penalty)


@torch.no_grad()
def greedy(decoder: StepDecoder[S], frames: Frames, *, longest: int = 130, penalty: float = 0.6) -> Written:
    """The likeliest token at every step."""
    state, batch = decoder.begin(frames), len(frames.values)
    token = torch.full((batch, 1), START, device=frames.values.device)
    ended, lengths = torch.zeros(2, batch, dtype=torch.int64, device=token.device)
    total, written = wide(frames.values).new_zeros(batch), []
    for _ in range(longest):
        found, token = _log_probabilities(decoder.step(state, token)).max(dim=2)
        token = token.masked_fill(ended[:, None] > 0, PAD)
        total = total + torch.where(ended > 0, 0.0, found[:, 0])
        written.append(token)
        lengths = lengths + (1 - ended)
        ended = ended | (token[:, 0] == END).long()
        if bool(ended.all()):
            break
    divisor = ((5 + lengths).to(total) / 6) ** penalty
    return Written(Tokens(torch.cat(written, dim=1), lengths), total, total / divisor, ended > 0)


@torch.no_grad()
def beam_search(
    decoder: StepDecoder[S], frames: Frames, *, beams: int, longest: int = 130, penalty: float = 0.6
) -> Written:
    """The best of several hypotheses, which for one beam is that of `greedy`."""
    state, batch, device = decoder.begin(frames), len(frames.values), frames.values.device
    best = _Best(batch, longest, like=wide(frames.values))
    token = torch.full((batch, 1), START, device=device)
    written, totals = token[:, :, None][:, :, :0], None
    for length in range(1, longest + 1):
        found = _log_probabilities(decoder.step(state, token))
        summed = found if totals is None else totals[..., None] + found
        several, vocabulary = summed.shape[1:]
        top, place = summed.flatten(1).topk(min(2 * beams, several * vocabulary), dim=1)
        source, token = place // vocabulary, place % vocabulary
        ends = token == END
        tried = torch.cat([written.gather(1, _wide_as(source, written)), token[..., None]], dim=2)
        best.offer(tried[:, :beams], top[:, :beams], ends[:, :beams], length_penalty(length, penalty))
        going = ends.long().argsort(dim=1, stable=True)[:, :beams]
        totals = top.gather(1, going).masked_fill(ends.gather(1, going), -torch.inf)
        token = token.gather(1, going)
        written = tried.gather(1, _wide_as(going, tried))
        if best.done(beams):
            break
        state.select(source.gather(1, going), several)
    assert totals is not None
    return best.result(written, totals, penalty)


class _Best:
    """The best finished hypothesis of each utterance so far, and how many have finished."""

    def __init__(self, batch: int, longest: int, *, like: Tensor) -> None:
        self._tokens = torch.full((batch, longest), PAD, device=like.device)
        self._lengths, self._count = torch.zeros(2, batch, dtype=torch.int64, device=like.device)
        self._total, self._score = like.new_full((2, batch), -torch.inf)
        self._over = torch.zeros(batch, dtype=torch.bool, device=like.device)

    def offer(
        self,
        tried: Int[Tensor, "batch beam token"],
        totals: Float[Tensor, "batch beam"],
        ends: Bool[Tensor, "batch beam"],
        divisor: float,
    ) -> None:
        """Take in the hypotheses of a step that end, of utterances that are not done."""
        ends = ends & totals.isfinite() & ~self._over[:, None]
        total, place = totals.masked_fill(~ends, -torch.inf).max(dim=1)
        better = total / divisor > self._score
        length = tried.shape[2]
        tokens = tried.gather(1, _wide_as(place[:, None], tried))[:, 0]
        self._tokens[:, :length] = torch.where(better[:, None], tokens, self._tokens[:, :length])
        self._lengths = torch.where(better, length, self._lengths)
        self._score = torch.where(better, (total / divisor).to(self._score.dtype), self._score)
        self._total = torch.where(better, total.to(self._total.dtype), self._total)
        self._count = self._count + ends.sum(dim=1)

    def done(self, beams: int) -> bool:
        """Whether every utterance has so many finished hypotheses."""
        self._over = self._count >= beams
        return bool(self._over.all())

    def result(
        self, written: Int[Tensor, "batch beam token"], totals: Float[Tensor, "batch beam"], penalty: float
    ) -> Written:
        """The best finished hypotheses; where there is none, the best of those under way."""
        ended, length = self._count > 0, written.shape[2]
        total, place = totals.max(dim=1)
        tokens = self._tokens[:, :length].clone()
        under_way = written.gather(1, _wide_as(place[:, None], written))[:, 0]
        tokens = torch.where(ended[:, None], tokens, under_way)
        lengths = torch.where(ended, self._lengths, length)
        summed = torch.where(ended, self._total, total.to(self._total.dtype))
        score = torch.where(ended, self._score, summed / length_penalty(length, penalty))
        return Written(Tokens(tokens[:, : int(lengths.max())], lengths), summed, score, ended)


def _log_probabilities(
    logits: Float[Tensor, "batch beam vocabulary"],
) -> Float[Tensor, "batch beam vocabulary"]:
    """Those of the next token; what is never written has none."""
    found = wide(logits).log_softmax(dim=2)
    found[:, :, list(NEVER)] = -torch.inf
    return found


def _wide_as(
    place: Int[Tensor, "batch some"], sequences: Int[Tensor, "batch beam token"]
) -> Int[Tensor, "batch some token"]:
    """Places as an index of whole sequences."""
    return place[..., None].expand(-1, -1, sequences.shape[2])
