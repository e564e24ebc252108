"""Beam search of one utterance after another: the whole decoder runs anew on every prefix, and hypotheses are lists."""

from __future__ import annotations

import torch
from torch import Tensor

from tswork.encoders.base import Frames
from tswork.text.decoder import TextDecoder

PAD, UNKNOWN, START, END = range(4)

Hypothesis = tuple[float, list[int]]


def beam_search(
    decoder: TextDecoder,
    frames: Frames,
    *,
    beams: int,
    longest: int,
    penalty: float = 0.6,
    vectors: Tensor | None = None,
) -> list[tuple[list[int], float]]:
    """The tokens of each utterance's best hypothesis and their log-probability; `vectors` are those of clips, if they are read."""
    found = []
    with torch.no_grad():
        for row, (values, length) in enumerate(zip(frames.values, frames.lengths.tolist(), strict=True)):
            vector = None if vectors is None else vectors[row]
            found.append(_one(decoder, values[:length], vector, beams, longest, penalty))
    return found


def _one(
    decoder: TextDecoder, frames: Tensor, vector: Tensor | None, beams: int, longest: int, penalty: float
) -> tuple[list[int], float]:
    going: list[Hypothesis] = [(0.0, [])]
    finished: list[tuple[float, Hypothesis]] = []
    for _ in range(longest):
        candidates: list[Hypothesis] = []
        for (total, tokens), row in zip(going, _next(decoder, frames, vector, going), strict=True):
            for token, value in enumerate(row):
                if token not in (PAD, UNKNOWN, START):
                    candidates.append((total + value, [*tokens, token]))
        candidates.sort(key=lambda one: -one[0])
        for total, tokens in candidates[:beams]:
            if tokens[-1] == END:
                finished.append((total / ((5 + len(tokens)) / 6) ** penalty, (total, tokens)))
        going = [one for one in candidates if one[1][-1] != END][:beams]
        if len(finished) >= beams:
            break
    total, tokens = max(finished, key=lambda one: one[0])[1] if finished else going[0]
    return tokens, total


def _next(decoder: TextDecoder, frames: Tensor, vector: Tensor | None, going: list[Hypothesis]) -> list[list[float]]:
    """Log-probabilities of the next token of every hypothesis, in one pass over their whole prefixes."""
    prefixes = torch.tensor([[START, *tokens] for _, tokens in going], device=frames.device)
    repeated = Frames(
        frames.expand(len(going), *frames.shape),
        torch.full((len(going),), len(frames), device=frames.device),
    )
    vectors = None if vector is None else vector.expand(len(going), *vector.shape)
    logits = decoder(prefixes, repeated, vectors)[:, -1]
    values: list[list[float]] = logits.log_softmax(dim=1).tolist()
    return values
