"""Finished results read back from MLflow: the rows and units of every protocol stage, each stage key once."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from tswork.errors import ComponentUnknown
from tswork.tracking import names
from tswork.tracking.client import Tracking

if TYPE_CHECKING:
    from mlflow.entities import Run


@dataclass(frozen=True, eq=False)
class Judgement:
    """One protocol stage of one run."""

    run_id: str
    stage: str
    protocol: str
    data: str
    seed: int
    key: str
    rows: pd.DataFrame
    units: pd.DataFrame | None


def experiments(tracking: Tracking) -> dict[str, str]:
    """Ids of all experiments by name."""
    return {one.name: one.experiment_id for one in tracking.client.search_experiments()}


def judgements(tracking: Tracking, chosen: Sequence[str]) -> list[Judgement]:
    """All protocol stages of the finished members of some experiments, newest first, each stage key once.

    Raises `ComponentUnknown` for an experiment that is not there.
    """
    known = experiments(tracking)
    for name in chosen:
        if name not in known:
            raise ComponentUnknown("experiment", name, list(known))
    found: dict[str, Judgement] = {}
    for run in _members(tracking, [known[name] for name in chosen]):
        for judgement in _of_run(tracking, run, found):
            found[judgement.key] = judgement
    return list(found.values())


def _members(tracking: Tracking, ids: list[str]) -> Iterator[Run]:
    text = f"attributes.status = 'FINISHED' and tags.`{names.LEVEL}` = 'member'"
    token: str | None = None
    while True:
        page = tracking.client.search_runs(
            ids, filter_string=text, max_results=500, order_by=["attributes.start_time DESC"], page_token=token
        )
        yield from page
        token = page.token
        if not token:
            return


def _of_run(tracking: Tracking, run: Run, known: dict[str, Judgement]) -> Iterator[Judgement]:
    tags: dict[str, str] = run.data.tags
    for stage, about in stages_of(run).items():
        if about["key"] in known:
            continue
        rows = _parquet(tracking, run.info.run_id, f"{stage}/rows.parquet")
        if rows is None:
            continue  # a method stage
        units = _parquet(tracking, run.info.run_id, f"{stage}/units.parquet")
        data, seed = tags.get(names.DATA_NAME, "data"), int(tags.get(names.SEED, 0))
        yield Judgement(run.info.run_id, stage, about["uses"], data, seed, about["key"], rows, units)


def stages_of(run: Run) -> dict[str, dict[str, str]]:
    """For each stage of a member's run its component (`uses`), its key and its status."""
    return {
        tag.removeprefix(names.STAGE): json.loads(value)
        for tag, value in run.data.tags.items()
        if tag.startswith(names.STAGE)
    }


def _parquet(tracking: Tracking, run_id: str, path: str) -> pd.DataFrame | None:
    folder = Path(path).parent.as_posix()
    if not any(one.path == path for one in tracking.client.list_artifacts(run_id, folder)):
        return None
    with tempfile.TemporaryDirectory() as temporary:
        return pd.read_parquet(tracking.client.download_artifacts(run_id, path, temporary))
