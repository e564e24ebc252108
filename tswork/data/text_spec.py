"""The schema of a data block's `text:`: which columns say what was spoken and meant."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tswork.config import Config, Many

Punctuation = Literal["remove", "keep"]


class TextSpec(Config):
    """Columns from which target sequences are made, and how these are cut into tokens."""

    intent: str | None = Field(default=None, description="column of the intent; none: the label")
    transcript: str | None = Field(default=None, description="column of the words that were said; none: there is none")
    slots: str | Many[str] | None = Field(
        default=None,
        description="a column that holds a JSON list of [type, filler] a row, or several whose names are types and whose values fillers",
    )
    punctuation: Punctuation = Field(
        default="remove", description="whether transcripts keep their punctuation; fillers keep theirs"
    )
    vocabulary: int = Field(default=1000, ge=8, description="most pieces of words that the tokenizer knows")
    longest: int = Field(default=130, ge=2, description="most tokens of a target; a longer one is refused")
