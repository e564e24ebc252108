"""What a decoder of spoken language is to write of an utterance: its intent, its entities, and what was said.

One string holds all three, `intent _SEP type _FILL filler _SEP ... _SEP transcript`, without entities `intent _SEP transcript`. Where
nobody wrote down what was said, the string ends with its last `_SEP`.
Cappellazzo et al. (arXiv 2305.13899) write targets in this order, so that the intent is the first word and the transcript may
lean on it. `parse_target` reads back what a decoder wrote, whole or not: pieces between intent and transcript count where they
have exactly one `_FILL`. An intent of SLURP is `scenario_action`, where the action may hold further underscores.
"""

from __future__ import annotations

import json
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tswork.data.faults import each, refuse
from tswork.data.text_spec import Punctuation, TextSpec
from tswork.errors import Problem
from tswork.metrics.slu import Entity

SEPARATOR = "_SEP"
FILL = "_FILL"
MARKS = (SEPARATOR, FILL)
"""Words that stand between the parts of a target; a tokenizer keeps each in one piece."""
PUNCTUATION = str.maketrans("", "", string.punctuation + "\N{RIGHT SINGLE QUOTATION MARK}")


@dataclass(frozen=True)
class Target:
    """An utterance as it is understood. White space inside its parts is one space."""

    intent: str
    entities: tuple[Entity, ...]
    transcript: str

    @property
    def text(self) -> str:
        """The one string."""
        pieces = [f"{entity.type} {FILL} {entity.filler}" for entity in self.entities]
        return f" {SEPARATOR} ".join([self.intent, *pieces, self.transcript]).rstrip()

    @property
    def scenario(self) -> str:
        """What stands before the first underscore of the intent."""
        return self.intent.partition("_")[0]

    @property
    def action(self) -> str:
        """What stands behind it."""
        return self.intent.partition("_")[2]


def parse_target(text: str) -> Target:
    """What a string says, even where a decoder stopped early: then the transcript, or entities, are missing.

    >>> parse_target("alarm_set _SEP time _FILL five pm _SEP wake me at five pm").entities
    (Entity(type='time', filler='five pm'),)
    """
    pieces = [_spaced(piece) for piece in text.split(SEPARATOR)]
    entities = []
    for piece in pieces[1:-1]:
        parts = [_spaced(part) for part in piece.split(FILL)]
        if len(parts) == 2:
            entities.append(Entity(*parts))
    return Target(pieces[0], tuple(entities), pieces[-1] if len(pieces) > 1 else "")


def read_targets(
    table: pd.DataFrame,
    *,
    intent: str,
    spec: TextSpec,
) -> list[Target]:
    """The targets of a table, one a row, in lower case but for the intent, which stands in the column `intent`.

    Slots are those of a column that holds a JSON list of `[type, filler]` a row, or nothing where there are none, or of several
    columns, whose names are types and whose values fillers. Raises `DataInvalid` with every row that has no intent or, where
    there is a column of them, no transcript, whose slots cannot be read, or that holds a mark of the string itself.
    """
    several = () if spec.slots is None or isinstance(spec.slots, str) else spec.slots
    alone = spec.slots if isinstance(spec.slots, str) else None
    columns = [name for name in (intent, spec.transcript, alone, *several) if name is not None]
    refuse([_no_column(table, name) for name in columns if name not in table.columns])
    targets, faults = [], []
    cells = [table[name].tolist() if name else [None] * len(table) for name in (intent, spec.transcript, alone)]
    valued = list(table[[*several]].itertuples(index=False, name=None)) or [()] * len(table)
    for row, (of_intent, said, of_slots) in enumerate(zip(*cells, strict=True)):
        entities, problem = _valued(several, valued[row]) if several else _entities(of_slots)
        target = Target(_cell(of_intent), entities, _written(_cell(said), spec.punctuation))
        reasons = [problem] if problem else list(_reasons(target, transcribed=spec.transcript is not None))
        faults += [(row, reason) for reason in reasons]
        targets.append(target)
    refuse(each(faults, lambda fault: _at_row(table, *fault), rest="faults of rows of the same table"))
    return targets


def row_name(table: pd.DataFrame, row: int) -> str:
    """How a row is called in messages: its number in the whole table from 0, and its id where it has one."""
    number = table.index[row]
    return f"row {number} ({table['id'].iloc[row]})" if "id" in table.columns else f"row {number}"


def _at_row(table: pd.DataFrame, row: int, reason: str) -> Problem:
    return Problem(reason, path=row_name(table, row), remedy="Mend the row, or leave it out.")


def _no_column(table: pd.DataFrame, name: str) -> Problem:
    return Problem(f"the table has no column {name!r}", remedy=f"There are {', '.join(map(str, table.columns))}.")


def _reasons(target: Target, *, transcribed: bool) -> Iterator[str]:
    """Why a target cannot be written and read back."""
    if not target.intent:
        yield "it has no intent"
    if transcribed and not target.transcript:
        yield "its transcript is empty"
    for entity in target.entities:
        if not entity.type or not entity.filler:
            yield f"its slot {tuple(entity)} lacks a type or a filler"
    parts = [target.intent, target.transcript, *(part for entity in target.entities for part in entity)]
    for mark in MARKS:
        for part in parts:
            if mark in part:
                yield f"{part!r} holds {mark}, which separates the parts of a target"


def _entities(cell: Any) -> tuple[tuple[Entity, ...], str]:
    """The entities of a cell, and what is wrong with it, if anything is."""
    if _is_missing(cell):
        return (), ""
    try:
        listed = json.loads(cell) if isinstance(cell, str) else list(cell)
    except (ValueError, TypeError) as error:
        return (), f"its slots {cell!r} cannot be read ({error})"
    if not isinstance(listed, list) or not all(map(_is_pair, listed)):
        return (), f"its slots {cell!r} are no list of [type, filler]"
    return tuple(Entity(_spaced(kind), _marked_lower(_spaced(filler))) for kind, filler in listed), ""


def _valued(names: Sequence[str], values: Sequence[Any]) -> tuple[tuple[Entity, ...], str]:
    """The entities of columns that are named as types and hold fillers; an empty cell is none."""
    return _entities([[name, str(cell)] for name, cell in zip(names, values, strict=True) if not _is_missing(cell)])


def _is_pair(entry: Any) -> bool:
    return isinstance(entry, Sequence) and len(entry) == 2 and all(isinstance(part, str) for part in entry)


def _written(transcript: str, punctuation: Punctuation) -> str:
    """A transcript as it is to be written; one that holds a mark stays, so that it is noticed."""
    if any(mark in transcript for mark in MARKS):
        return transcript
    lower = transcript.lower()
    return _spaced(lower.translate(PUNCTUATION) if punctuation == "remove" else lower)


def _marked_lower(text: str) -> str:
    return text if any(mark in text for mark in MARKS) else text.lower()


def _cell(value: Any) -> str:
    return "" if _is_missing(value) else _spaced(str(value))


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or value == "" or (isinstance(value, float) and value != value)


def _spaced(text: str) -> str:
    return " ".join(text.split())
