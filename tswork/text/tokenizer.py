"""Text as pieces of words: byte-pair encoding that learns from training texts alone and takes back what it gave.

Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", ACL 2016, by the package `tokenizers`. Words are
what white space separates, so that `o'clock` stays one. Each begins with a sign of its own, so that a character is the same piece
wherever it stands, and so is the vocabulary however often it is trained (pieces that mark the end of words are numbered by
chance). Four pieces come first, those of padding, of what is unknown, of start and of end, and then marks, which are never cut.
Encoding is exact: a text that would not come back as it was (an unknown character, say) is refused. In training, merges may be
dropped at random (`tswork.text.dropout`); what is saved holds no dropout, so that evaluation is never touched by it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tswork.data.faults import each, fault, refuse
from tswork.errors import DataInvalid, PackageMissing, Problem
from tswork.text.dropout import Merges
from tswork.text.targets import MARKS

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

PAD, UNKNOWN, START, END = range(4)
RESERVED = ("[PAD]", "[UNK]", "[SOS]", "[EOS]")
BEGINNING = "\N{LOWER ONE EIGHTH BLOCK}"
"""Stands before the characters of every word."""
TRAIN_AGAIN = "Copy the file again, or train the tokenizer again."


class Tokenizer:
    """Pieces of words and their numbers."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._marks = frozenset(token.content for token in backend.get_added_tokens_decoder().values())
        self._merges: Merges | None = None

    @staticmethod
    def train(texts: Sequence[str], *, vocabulary: int = 1000, marks: Sequence[str] = MARKS) -> Tokenizer:
        """A tokenizer of at most so many pieces that can spell these texts.

        Raises `DataInvalid` when there is no text, or more characters than pieces.
        """
        tokenizers = _package()
        words = [" ".join(word for word in text.split() if word not in marks) for text in texts]
        if not any(words):
            raise DataInvalid([Problem("there is no text to train a tokenizer on", path="train")])
        backend = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token=RESERVED[UNKNOWN]))
        cut = tokenizers.pre_tokenizers
        backend.pre_tokenizer = cut.Sequence([cut.WhitespaceSplit(), cut.Metaspace(BEGINNING, split=False)])
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=vocabulary, special_tokens=[*RESERVED, *marks], show_progress=False
        )
        backend.train_from_iterator(words, trainer)
        if backend.get_vocab_size() > vocabulary:
            message = (
                f"a vocabulary of {vocabulary} is too small: characters and marks alone are {backend.get_vocab_size()}"
            )
            raise DataInvalid([Problem(message, path="vocabulary", remedy="Raise it.")])
        return Tokenizer(backend)

    @property
    def size(self) -> int:
        """Number of pieces."""
        return int(self._backend.get_vocab_size())

    def encode(
        self,
        texts: Sequence[str],
        *,
        names: Sequence[str] | None = None,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> list[list[int]]:
        """The numbers of each text's pieces, without start and end.

        With `dropout` merges are dropped with that probability, drawn from the generator. Raises `DataInvalid` with every text
        that would not come back as it was; `names` are what texts are called there.
        """
        if dropout:
            if generator is None:
                raise ValueError("dropout of merges needs a generator")
            encoded = self._looser(texts, dropout, generator)
        else:
            encoded = [found.ids for found in self._backend.encode_batch([*texts], add_special_tokens=False)]
        lost = [
            row
            for row, (text, ids) in enumerate(zip(texts, encoded, strict=True))
            if UNKNOWN in ids or self.decode(ids) != " ".join(text.split())
        ]
        refuse(each(lost, lambda row: self._lost(texts[row], row, names), rest="such texts"))
        return encoded

    def decode(self, ids: Sequence[int] | Tensor) -> str:
        """The text of some pieces, up to the end if there is one; padding and start are nothing."""
        numbers = ids.tolist() if isinstance(ids, Tensor) else list(ids)
        if END in numbers:
            numbers = numbers[: numbers.index(END)]
        pieces = [self._backend.id_to_token(number) or "" for number in numbers if number not in (PAD, START)]
        spelt = [f" {piece} " if piece in self._marks else piece.replace(BEGINNING, " ") for piece in pieces]
        return " ".join("".join(spelt).split())

    def pieces(self, text: str) -> list[str]:
        """The pieces themselves, to look at."""
        return list(self._backend.encode(text, add_special_tokens=False).tokens)

    def to_json(self) -> str:
        """It as text, as `from_json` takes it."""
        return str(self._backend.to_str())

    @staticmethod
    def from_json(text: str) -> Tokenizer:
        """The tokenizer that a text of `to_json` describes; dropout is left out.

        Raises an error of the package for anything else.
        """
        described: dict[str, Any] = json.loads(text)
        described["model"]["dropout"] = None
        return Tokenizer(_package().Tokenizer.from_str(json.dumps(described)))

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(self._backend.to_str(pretty=True))

    @staticmethod
    def load(path: Path) -> Tokenizer:
        """The tokenizer of a file by `save`; dropout that a file of other making asks for is left out.

        Raises `DataInvalid` for a file that is missing, or no such tokenizer.
        """
        try:
            found = Tokenizer.from_json(path.read_text())
        except FileNotFoundError:
            raise fault(path, "there is no such file", TRAIN_AGAIN) from None
        except PackageMissing:
            raise
        except Exception as error:  # the package raises bare exceptions for files that do not fit it
            raise fault(path, f"it is no tokenizer ({error})", TRAIN_AGAIN) from error
        if [found._backend.id_to_token(number) for number in range(len(RESERVED))] != [*RESERVED]:
            raise fault(path, f"its first pieces are not {', '.join(RESERVED)}", "Train a tokenizer with tswork.")
        return found

    def _looser(self, texts: Sequence[str], dropout: float, generator: torch.Generator) -> list[list[int]]:
        if self._merges is None:
            model = json.loads(self._backend.to_str())["model"]
            self._merges = Merges(
                model["merges"], model["vocab"], marks=self._marks, beginning=BEGINNING, unknown=UNKNOWN
            )
        return self._merges.encode([text.split() for text in texts], dropout=dropout, generator=generator)

    def _lost(self, text: str, row: int, names: Sequence[str] | None) -> Problem:
        spelt = "".join(word for word in text.split() if word not in self._marks)
        strange = sorted(one for one in set(spelt) if self._backend.token_to_id(one) is None)
        why = f"characters {' '.join(strange)} are unknown" if strange else "it would be read back otherwise"
        name = names[row] if names is not None else f"text {row}"
        message = f"{text!r} cannot be encoded: {why}"
        return Problem(message, path=name, remedy="Leave it out, or write it with characters of the training texts.")


def _package() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise PackageMissing("tokenizers", "text", "pip install tokenizers", str(error)) from error
    return tokenizers
