"""What was said and meant in a collection's sequences, as its `text` says, and its tokens."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from tswork.data.collection import Collection, Part
from tswork.data.text_spec import TextSpec
from tswork.errors import DataInvalid, Problem
from tswork.text.targets import Target, read_targets
from tswork.text.tokenizer import Tokenizer
from tswork.text.tokens import TokenTable


def text_of(collection: Collection) -> tuple[TextSpec, str]:
    """How texts are made, and the column of intents. Raises `DataInvalid` when the data have no texts, or no intents."""
    spec = collection.text
    if spec is None:
        remedy = "Name the columns of what was said, as in `text: {transcript: words}`."
        raise DataInvalid([Problem("the data have no texts", "data.text", remedy=remedy)])
    intent = spec.intent or collection.label
    if intent is None:
        raise DataInvalid(
            [Problem("no column holds intents", "data.text", remedy="Name it with `label:` or `intent:`.")]
        )
    return spec, intent


def rows_of(part: Part) -> list[int]:
    """The table rows of a part's spans, which are whole sequences, each once.

    Raises `DataInvalid` where a span is a piece of a sequence: what was said in a piece is not known.
    """
    whole = (part.spans[:, 1] == 0) & (part.spans[:, 2] == part.collection.lengths[part.spans[:, 0]])
    if not bool(whole.all()):
        remedy = "Leave the preparation that cuts sequences out."
        raise DataInvalid([Problem("what was said in a piece of a sequence is not known", "data.text", remedy=remedy)])
    return list(torch.unique(part.spans[:, 0]).tolist())


def targets_of(part: Part) -> dict[int, Target]:
    """What is to be written of each sequence of a part, by its table row. Raises `DataInvalid` as `read_targets` does."""
    spec, intent = text_of(part.collection)
    rows = rows_of(part)
    return dict(zip(rows, read_targets(part.collection.table.iloc[rows], intent=intent, spec=spec), strict=True))


def texts_of(part: Part) -> dict[int, str]:
    """The same as one string each."""
    return {row: target.text for row, target in targets_of(part).items()}


def trained_tokenizer(part: Part) -> Tokenizer:
    """A tokenizer that has learned from the texts of a part.

    Raises `DataInvalid` with the rows whose text cannot be read or written, or is too long.
    """
    spec, _ = text_of(part.collection)
    texts = texts_of(part)
    tokenizer = Tokenizer.train([*texts.values()], vocabulary=spec.vocabulary)
    tokens_of_texts(part.collection, texts, tokenizer)
    return tokenizer


def tokens_of(part: Part, tokenizer: Tokenizer) -> TokenTable:
    """The tokens of a part's texts, at the rows of its collection; rows that are not in the part have none.

    Raises `DataInvalid` with every row whose text cannot be read or encoded, or is too long.
    """
    return tokens_of_texts(part.collection, texts_of(part), tokenizer)


def tokens_of_texts(collection: Collection, texts: Mapping[int, str], tokenizer: Tokenizer) -> TokenTable:
    """As `tokens_of`, of texts that were read already."""
    spec, _ = text_of(collection)
    table = collection.table.iloc[[*texts]]
    known = TokenTable.encoded(tokenizer, [*texts.values()], table=table, longest=spec.longest)
    return known.spread([*texts], rows=len(collection))


def looser_tokens_of_texts(
    collection: Collection,
    texts: Mapping[int, str],
    tokenizer: Tokenizer,
    *,
    dropout: float,
    generator: torch.Generator,
) -> TokenTable:
    """As `tokens_of_texts`, with merges dropped at random: other pieces of the same texts, which may be more than `longest`."""
    sequences = tokenizer.encode([*texts.values()], dropout=dropout, generator=generator)
    return TokenTable.of(sequences).spread([*texts], rows=len(collection))
