"""What `import tswork` offers: pipelines, data, encoders and embeddings for use from Python.

>>> import tswork
>>> collection = tswork.open_collection({"reader": "aeon", "set": "ArrowHead"})
>>> encoder = tswork.build_encoder("dilated_conv", channels=collection.channels)
>>> tswork.embed(encoder, collection).shape
(211, 320)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Shaped

from tswork import registry
from tswork.context import Context
from tswork.data.collection import Collection, DataInfo, Part
from tswork.data.opening import open_collection as open_spec
from tswork.data.opening import resolve_spec
from tswork.data.places import Places
from tswork.encoders.base import Encoder
from tswork.encoders.pooling import Pooling
from tswork.errors import InvalidInput
from tswork.methods.base import build_encoder as build_configured
from tswork.methods.embedding import embed_part
from tswork.methods.model import Model
from tswork.methods.saving import load_model
from tswork.pipeline.finding import FinishedMember
from tswork.pipeline.loading import load_pipeline
from tswork.pipeline.plan import Plan, make_plan
from tswork.pipeline.predicting import embed_new as embed_file
from tswork.pipeline.predicting import predict_new
from tswork.pipeline.reporting import Unreported
from tswork.pipeline.runner import RunReport, run_plan
from tswork.random import generator
from tswork.registry import Component, Kind
from tswork.source import Source
from tswork.validation import validate_block


def plan(
    pipeline: str | Path,
    *,
    overrides: Sequence[str] = (),
    root: Path | None = None,
    data_root: Path | None = None,
    verify: bool = False,
) -> Plan:
    """The stages of a pipeline file, with keys and what `run` would do with each.

    Raises `PipelineInvalid` and `DataInvalid` with everything that is wrong.
    """
    loaded = load_pipeline(Path(pipeline), places=Places.here(root, data_root=data_root), overrides=overrides)
    return make_plan(loaded, verify=verify)


def run(
    pipeline: str | Path,
    *,
    overrides: Sequence[str] = (),
    root: Path | None = None,
    data_root: Path | None = None,
    device: str | None = None,
    record: bool = True,
) -> RunReport:
    """Run a pipeline file as `tswork run` does; `record=False` leaves MLflow out.

    The report holds, for every member, its stages, its metrics by name, and the full results of its protocols.
    """
    planned = plan(pipeline, overrides=overrides, root=root, data_root=data_root)
    if not record:
        return run_plan(planned, reporter=Unreported(), device=device)
    from tswork.tracking.reporter import MlflowReporter

    return run_plan(planned, reporter=MlflowReporter(planned), device=device)


def predict(
    run: str | Path,
    data: str | Path,
    *,
    stage: str | None = None,
    horizon: int | None = None,
    member: str | None = None,
    ignore_unknown: bool = False,
    overrides: Sequence[str] = (),
    root: Path | None = None,
    data_root: Path | None = None,
) -> pd.DataFrame:
    """What `tswork predict` writes: forecasts or classes for a file of new data, from a pipeline file that was run or a run's id.

    `overrides` are those that the pipeline was run with. Raises `RunNotFound` where there is nothing finished, `DataInvalid` when
    the data do not fit.
    """
    found = _finished(run, member, overrides, root, data_root)
    return predict_new(found, Path(data).absolute(), stage=stage, horizon=horizon, ignore_unknown=ignore_unknown)


def embed_new(
    run: str | Path,
    data: str | Path,
    *,
    stage: str | None = None,
    member: str | None = None,
    overrides: Sequence[str] = (),
    root: Path | None = None,
    data_root: Path | None = None,
) -> pd.DataFrame:
    """What `tswork embed` writes: a file of new data through the model of a pipeline file that was run, or of a run's id.

    A line a sequence: what its table says of it, then `e0`, `e1`, ... Raises as `predict` does.
    """
    return embed_file(_finished(run, member, overrides, root, data_root), Path(data).absolute(), stage=stage)


def _finished(
    run: str | Path, member: str | None, overrides: Sequence[str], root: Path | None, data_root: Path | None
) -> FinishedMember:
    from tswork.tracking.finding import find_run

    places = Places.here(root, data_root=data_root)
    return find_run(str(run), places=places, overrides=tuple(overrides), member=member)


def open_collection(
    data: str | Mapping[str, Any], *, root: Path | None = None, data_root: Path | None = None
) -> Collection:
    """A data set by the name of its card, or by a data block as a pipeline has it; nothing is fitted to it.

    Raises `DataInvalid` with everything that is wrong.
    """
    places = Places.here(root, data_root=data_root)
    return open_spec(resolve_spec({"card": data} if isinstance(data, str) else data, places), places)


def build_encoder(
    encoder: str | Mapping[str, Any],
    *,
    channels: int | Sequence[str],
    max_length: int = 0,
    rate: float | None = None,
    seed: int = 0,
) -> Encoder:
    """An untrained encoder by name or block (`{"uses": "tsai", "model": "TCN"}`), in evaluation mode.

    `max_length` is needed by encoders of fixed length, `rate` (samples a second) by the front end `log_mel`. Raises
    `InvalidInput` for wrong options, `ModelUnfit` when it cannot take such data.
    """
    names = [f"channel_{number}" for number in range(channels)] if isinstance(channels, int) else channels
    block, problems = validate_block("encoder", Source({"encoder": encoder}), ("encoder",))
    if block is None:
        raise InvalidInput(problems)
    info = DataInfo(tuple(names), max_length=max_length, rate=rate)
    return build_configured(block, info, generator=generator(seed, "build")).eval()


def embed(
    model: Model | Encoder | Path,
    data: Collection | Part | Shaped[np.ndarray, "case time channel"],
    *,
    pooling: Pooling | None = None,
    device: str = "cpu",
) -> Float[np.ndarray, "case dim"]:
    """One vector a sequence from a model, an encoder, or the folder of a saved model.

    Sequences of any lengths are encoded in batches of bounded memory; missing values are NaN. `pooling` is the model's
    own unless given (an encoder's: the maximum over time).
    """
    if isinstance(data, np.ndarray):
        data = Collection.from_array(data.astype(np.float32))
    part = data if isinstance(data, Part) else Part.whole(data)
    if isinstance(model, Path):
        model = load_model(model)
    if isinstance(model, Encoder):
        model = Model(model, DataInfo.of(part))
    return embed_part(model, part, Context(torch.device(device)), pooling=pooling).numpy()


def list_components(kind: Kind | None = None) -> list[Component]:
    """All components a pipeline can use, or those of one kind, with name, version, config and summary."""
    return [one for each in registry.kinds() if kind in (None, each) for one in registry.components(each)]
