"""From sound to text by a model with a decoder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from jaxtyping import Float, Int
from torch import Tensor

from tswork.encoders.pooling import pool_read
from tswork.text.decoder import DecoderState, TextDecoder
from tswork.text.search import Written, beam_search, greedy
from tswork.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from tswork.encoders.base import Frames
    from tswork.methods.model import Model


def written_texts(
    model: Model,
    x: Float[Tensor, "batch time channel"],
    lengths: Int[Tensor, "batch"] | None,
    *,
    beams: int,
    longest: int,
) -> list[str]:
    """What a model writes of each sequence; by one beam greedily."""
    frames, vectors = heard(model, x, lengths)
    written = write(decoder_of(model), frames, vectors=vectors, beams=beams, longest=longest)
    tokenizer = tokenizer_of(model)
    return [tokenizer.decode(ids) for ids in written.tokens.ids.cpu()]


def heard(
    model: Model, x: Float[Tensor, "batch time channel"], lengths: Int[Tensor, "batch"] | None
) -> tuple[Frames, Float[Tensor, "batch dim"] | None]:
    """What a model's decoder reads of sequences as they are: frames, and one vector each if it reads these."""
    frames: Frames = model.encoder(x, lengths)
    return frames, pool_read(model.encoder, frames, x, pooling=model.pooling) if decoder_of(model).pooled else None


def write(
    decoder: TextDecoder,
    frames: Frames,
    *,
    beams: int,
    longest: int,
    vectors: Float[Tensor, "batch width"] | None = None,
) -> Written:
    """The tokens of each sequence, from its frames and, where the decoder reads it, its one vector."""
    reader = _Reader(decoder, vectors)
    if beams == 1:
        return greedy(reader, frames, longest=longest)
    return beam_search(reader, frames, beams=beams, longest=longest)


@dataclass(frozen=True)
class _Reader:
    """A decoder that knows the vectors of the utterances it is asked about."""

    decoder: TextDecoder
    vectors: Float[Tensor, "batch width"] | None

    def begin(self, frames: Frames) -> DecoderState:
        return self.decoder.begin(frames, self.vectors)

    def step(self, state: DecoderState, tokens: Int[Tensor, "batch beam"]) -> Float[Tensor, "batch beam vocabulary"]:
        return self.decoder.step(state, tokens)


def decoder_of(model: Model) -> TextDecoder:
    """The head that writes."""
    decoder = model.heads["decoder"]
    assert isinstance(decoder, TextDecoder)
    return decoder


def tokenizer_of(model: Model) -> Tokenizer:
    """The pieces that a model writes in."""
    assert model.info.tokenizer is not None
    return known_tokenizer(model.info.tokenizer)


@lru_cache(maxsize=8)
def known_tokenizer(text: str) -> Tokenizer:
    """The tokenizer of a `DataInfo`, read once."""
    return Tokenizer.from_json(text)
