"""New data through the models and heads of a finished pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from tswork.context import Context
from tswork.data.collection import Part
from tswork.data.opening import open_new
from tswork.pipeline.finding import FinishedMember, RunNotFound
from tswork.pipeline.results import load_result
from tswork.pipeline.stages import load_models
from tswork.protocols.base import Protocol
from tswork.protocols.embedding import embed_part
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

    Raises `RunNotFound` when the stage is not there or has no predictions, `DataInvalid` when the data do not fit, or unless
    `ignore_unknown` when they have labels that the training data do not.
    """
    spec, folder = finished.stage(stage, trains=False)
    protocol: Protocol[Any] = spec.component.build()
    if type(protocol).predict is Protocol.predict:
        raise RunNotFound(spec.name, f"the protocol {spec.component.name} predicts nothing")
    candidates = {name: load_models(finished.folders[name]) for name in spec.needs}
    context = Context(seed=finished.member.header.seed)
    part = _open(finished, data, ignore_unknown=ignore_unknown)
    return protocol.predict(candidates, load_result(folder).heads, part, context, horizon=horizon)


def embed_new(finished: FinishedMember, data: Path, *, stage: str | None = None) -> pd.DataFrame:
    """Ids and embeddings (`e0`, `e1`, ...) of the sequences of a file of new data."""
    _, folder = finished.stage(stage, trains=True)
    model, part = load_models(folder)[-1], _open(finished, data)
    embeddings = embed_part(model, part, Context()).numpy()
    columns = pd.DataFrame(embeddings, columns=[f"e{number}" for number in range(embeddings.shape[1])])
    return pd.concat([part.table.reset_index(drop=True), columns], axis=1)


def _open(finished: FinishedMember, data: Path, *, ignore_unknown: bool = True) -> Part:
    places, member = finished.places, finished.member
    store = Store(places.store)
    return open_new(member.data, data, places, seed=member.header.seed, store=store, ignore_unknown=ignore_unknown)
