"""New data through the models and heads of a finished pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import torch

from tswork.context import Context
from tswork.data.opening import open_new
from tswork.data.places import Places
from tswork.pipeline.finding import FinishedMember
from tswork.pipeline.results import load_result
from tswork.pipeline.stages import load_models
from tswork.protocols.base import Protocol
from tswork.protocols.embedding import embed_part


def predict_new(
    finished: FinishedMember, data: Path, places: Places, *, stage: str | None = None, horizon: int | None = None
) -> pd.DataFrame:
    """What the protocol stage predicts for a file of new data, for each stage it judged."""
    spec, folder = finished.stage(stage, trains=False)
    protocol: Protocol[Any] = spec.component.build()
    candidates = {name: load_models(finished.folders[name]) for name in spec.needs}
    part = open_new(finished.member.data, data, places, seed=finished.member.header.seed)
    return protocol.predict(
        candidates, load_result(folder).heads, part, Context(seed=finished.member.header.seed), horizon=horizon
    )


def embed_new(finished: FinishedMember, data: Path, places: Places, *, stage: str | None = None) -> pd.DataFrame:
    """Ids and embeddings (`e0`, `e1`, ...) of the sequences of a file of new data."""
    _, folder = finished.stage(stage, trains=True)
    model = load_models(folder)[-1].eval()
    part = open_new(finished.member.data, data, places, seed=finished.member.header.seed)
    with torch.no_grad():
        embeddings = embed_part(model, part, Context()).cpu().numpy()
    columns = pd.DataFrame(embeddings, columns=[f"e{number}" for number in range(embeddings.shape[1])])
    return pd.concat([part.table.reset_index(drop=True), columns], axis=1)
