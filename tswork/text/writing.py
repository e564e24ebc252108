"""From sound to text by a model with a decoder."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from jaxtyping import Float, Int
from torch import Tensor

from tswork.text.decoder import TextDecoder
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
    written = write(decoder_of(model), model.encoder(x, lengths), beams=beams, longest=longest)
    tokenizer = tokenizer_of(model)
    return [tokenizer.decode(ids) for ids in written.tokens.ids.cpu()]


def write(decoder: TextDecoder, frames: Frames, *, beams: int, longest: int) -> Written:
    """The tokens of each sequence's frames."""
    if beams == 1:
        return greedy(decoder, frames, longest=longest)
    return beam_search(decoder, frames, beams=beams, longest=longest)


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
