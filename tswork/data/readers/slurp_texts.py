"""The annotations of SLURP: JSON lines with one sentence each, plain or gzipped, and the recordings that each sentence names.

Fields: `slurp_id`, `sentence` (here `text`), `scenario`, `action`, `tokens` (`id`, `surface`), `entities` (`type`, `span` of token
ids), `recordings` (`file`, `wer`). The field `intent` is not read, since it is not `scenario_action` in some lines (37 of test, 30 of
devel, such as `music` for `play_music`); the intent is made of the two. A filler is what the scorer of SLURP takes: the surfaces of
the tokens of an entity in lower case with a space between them. Neither needs the sound, so tokenizers, orders of classes and
scorers can work on the texts alone.
Fields: github.com/pswietojanski/slurp, its README. Paper: Bastianelli et al., EMNLP 2020.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from tswork.data.faults import each, refuse
from tswork.data.tables import Table, read_json_lines
from tswork.errors import Problem

TEXTS = ("sentence", "scenario", "action")
LISTS = ("tokens", "entities", "recordings")
HEADSET = "-headset"
"""In the name of a file: recorded by the close microphone, not by the distant one."""


def slurp_sentences(path: Path) -> pd.DataFrame:
    """A row a sentence of `devel.jsonl` or another file: slurp_id, text, scenario, action, intent, slots.

    `slots` is a JSON list of `[type, filler]`. Raises `DataInvalid` with every line that lacks something.
    """
    return read_sentences(read_json_lines(path)).drop(columns="recordings")


def slurp_recordings(path: Path) -> pd.DataFrame:
    """A row a recording that a file of sentences names: id and path (its file), microphone, wer, and what its sentence has."""
    return recordings_of(read_sentences(read_json_lines(path)))


def read_sentences(table: Table) -> pd.DataFrame:
    """The sentences of a table of JSON lines, with their `recordings` as lists. Raises `DataInvalid`."""
    rows, faults = [], []
    for number, row in enumerate(table.frame.to_dict("records")):
        named: dict[str, Any] = {str(name): cell for name, cell in row.items()}
        lists = {name: _list(named.get(name)) for name in LISTS}
        told = list(_faults(named, lists))
        faults += [(number, one) for one in told]
        if not told:
            rows.append(_sentence(named, lists))
    remedy = "Mend the line, or leave it out of the file."
    place = "lines with such faults"
    refuse(each(faults, lambda one: Problem(one[1], location=table.at(one[0]), remedy=remedy), rest=place))
    return pd.DataFrame(rows)


def recordings_of(sentences: pd.DataFrame) -> pd.DataFrame:
    """A row a recording, whose index is the number of its sentence."""
    of_sentence = sentences.drop(columns="recordings")
    files = sentences["recordings"].explode().dropna()
    named = pd.DataFrame([_recording(one) for one in files], index=files.index)
    return named.join(of_sentence) if len(named) else pd.DataFrame()


def _sentence(row: Mapping[str, Any], lists: Mapping[str, Any]) -> dict[str, Any]:
    surfaces = {token["id"]: token["surface"].lower() for token in lists["tokens"]}
    slots = [[one["type"], " ".join(surfaces[token] for token in one["span"])] for one in lists["entities"]]
    return {
        "slurp_id": row["slurp_id"],
        "text": row["sentence"],
        "scenario": row["scenario"],
        "action": row["action"],
        "intent": f"{row['scenario']}_{row['action']}",
        "slots": json.dumps(slots, ensure_ascii=False),
        "recordings": lists["recordings"],
    }


def _recording(entry: Mapping[str, Any]) -> dict[str, Any]:
    file = entry["file"]
    return {
        "id": PurePosixPath(file).stem,
        "path": file,
        "microphone": "headset" if HEADSET in file else "other",
        "wer": entry.get("wer"),
    }


def _list(cell: Any) -> Any:
    """A list of objects from its JSON text; None: it is none."""
    try:
        found = json.loads(cell) if isinstance(cell, str) else None
    except ValueError:
        return None
    return found if isinstance(found, list) and all(isinstance(one, dict) for one in found) else None


def _faults(row: Mapping[str, Any], lists: Mapping[str, Any]) -> Iterator[str]:
    """What a sentence lacks."""
    if pd.isna(row.get("slurp_id")):
        yield "has no 'slurp_id'"
    for name in TEXTS:
        cell = row.get(name)
        if not isinstance(cell, str) or not cell.strip():
            yield f"has no {name!r}"
    for name, found in lists.items():
        if found is None:
            yield f"{name!r} is no list of JSON objects"
    tokens, entities, recordings = (lists[name] or () for name in LISTS)
    ids = [one.get("id") for one in tokens]
    if not all(isinstance(one.get("surface"), str) for one in tokens) or None in ids:
        yield "a token lacks its 'id' or 'surface'"
    for one in entities:
        span = one.get("span")
        if not isinstance(one.get("type"), str) or not isinstance(span, list) or not span:
            yield f"the entity {one} lacks its 'type' or 'span'"
        elif any(token not in ids for token in span):
            yield f"the span {span} of {one['type']!r} names tokens that are not there (there are {len(ids)})"
    if any(not isinstance(one.get("file"), str) for one in recordings):
        yield "a recording lacks its 'file'"
