"""New data through the models and heads of a finished pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from tswork.context import Context
from tswork.data.collection import DataInfo, Part
from tswork.data.faults import each, refuse, some
from tswork.data.ids import NUMERAL, WHOLE
from tswork.data.locating import called
from tswork.data.opening import open_new
from tswork.data.readers.canonical import ID
from tswork.errors import Problem
from tswork.methods.embedding import embed_part, embedding_table
from tswork.pipeline.finding import FinishedMember, RunNotFound
from tswork.pipeline.results import load_result
from tswork.pipeline.stages import load_models
from tswork.protocols.base import Protocol
from tswork.store import Store


def predict_new(
    finished: FinishedMember,
    data: Path,
    *,
    stage: str | None = None,
    horizon: int | None = None,
    ignore_unknown: bool = False,
) -> pd.DataFrame:
    """What the protocol stage predicts for a file of new data, for each stage it judged.

    New data need no classes. Where they have a column of them, classes that the models never saw are refused, since each of their
    rows would be given a wrong one; `ignore_unknown` predicts them all the same. `id` says which sequence a line is about.
    Raises `RunNotFound` when the stage is not
    there or has no predictions, `DataInvalid` when the data do not fit.
    """
    spec, folder = finished.stage(stage, trains=False)
    protocol: Protocol[Any] = spec.component.build()
    if type(protocol).predict is Protocol.predict:
        raise RunNotFound(spec.name, f"the protocol {spec.component.name} predicts nothing")
    candidates = {name: load_models(finished.folders[name]) for name in spec.needs}
    context = Context(seed=finished.member.header.seed)
    part = _open(finished, data)
    if not ignore_unknown:
        refuse_unknown_classes(part, candidates[spec.needs[0]][-1].info, data)
    return _named(protocol.predict(candidates, load_result(folder).heads, part, context, horizon=horizon), part)


def refuse_unknown_classes(part: Part, info: DataInfo, data: Path) -> None:
    """Refuse data whose table has classes that a model was not made for. Raises `DataInvalid` with all of them.

    Numbers are compared by value: a column with gaps is read as 1.0 where one without is read as 1.
    """
    collection, label = part.collection, info.label
    if label is None or label not in collection.table:
        return
    known = {_plain(name) for name in info.classes}
    names, codes = collection.categories(label), collection.codes(label).tolist()
    wrong = [row for row, code in enumerate(codes) if code >= 0 and _plain(names[code]) not in known]

    def problem(row: int) -> Problem:
        text = f"{names[codes[row]]!r} is no class of the model ({some(list(info.classes))})"
        remedy = f"Correct or remove the row of {data}, or predict with `--ignore-unknown`."
        return Problem(text, f"{called(collection, row)}, {label}", remedy=remedy)

    refuse(each(wrong, problem, rest="rows of classes that the model does not know"))


def _named(predicted: pd.DataFrame, part: Part) -> pd.DataFrame:
    """Predictions with the id of each sequence (its file, or its name in the data) behind its number."""
    if ID not in part.collection.table or "sequence" not in predicted:
        return predicted
    ids = part.collection.table[ID].to_numpy()[predicted["sequence"].to_numpy(dtype=int)]
    predicted.insert(list(predicted.columns).index("sequence") + 1, ID, ids)
    return predicted


def _plain(name: str) -> str:
    return WHOLE.sub("", name) if NUMERAL.fullmatch(name) else name


def embed_new(finished: FinishedMember, data: Path, *, stage: str | None = None) -> pd.DataFrame:
    """Ids and embeddings (`e0`, `e1`, ...) of the sequences of a file of new data."""
    _, folder = finished.stage(stage, trains=True)
    model, part = load_models(folder)[-1], _open(finished, data)
    return embedding_table(part, embed_part(model, part, Context()).numpy())


def _open(finished: FinishedMember, data: Path) -> Part:
    places, member = finished.places, finished.member
    return open_new(member.data, data, places, seed=member.header.seed, store=Store(places.store))
