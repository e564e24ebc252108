"""Finished results read back from MLflow: the rows and units of every protocol stage, each stage key once."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tswork.errors import ComponentUnknown
from tswork.tracking import names
from tswork.tracking.client import Tracking
from tswork.tracking.made import MADE

if TYPE_CHECKING:
    from mlflow.entities import Run

ROWS, UNITS = "rows.parquet", "units.parquet"


@dataclass(frozen=True, eq=False)
class Judgement:
    """One protocol stage of one run: its rows, its units, and with what it was made (`tswork.tracking.made`)."""

    run_id: str
    stage: str
    data: str
    key: str
    made: Mapping[str, Any]
    rows: pd.DataFrame
    units: pd.DataFrame | None

    @property
    def protocol(self) -> str:
        """Name of the protocol."""
        return str(self.made["protocol"]["uses"])


def experiments(tracking: Tracking) -> dict[str, str]:
    """Ids of all experiments by name."""
    return {one.name: one.experiment_id for one in tracking.client.search_experiments()}


def judgements(tracking: Tracking, chosen: Sequence[str]) -> list[Judgement]:
    """All protocol stages of the finished members of some experiments, newest first, each stage key once.

    Raises `ComponentUnknown` for an experiment that is not there.
    """
    found: dict[str, Judgement] = {}
    for run in _members(tracking, _ids(tracking, chosen), finished=True):
        for judgement in _of_run(tracking, run, found):
            found[judgement.key] = judgement
    return list(found.values())


def hours(tracking: Tracking, chosen: Sequence[str]) -> float:
    """The hours that all members' runs of some experiments took by the clock, those that failed or were stopped included."""
    ended = [run.info for run in _members(tracking, _ids(tracking, chosen), finished=False) if run.info.end_time]
    return float(sum(one.end_time - one.start_time for one in ended)) / 3_600_000


def _ids(tracking: Tracking, chosen: Sequence[str]) -> list[str]:
    known = experiments(tracking)
    for name in chosen:
        if name not in known:
            raise ComponentUnknown("experiment", name, list(known))
    return [known[name] for name in chosen]


def _members(tracking: Tracking, ids: list[str], *, finished: bool) -> Iterator[Run]:
    text = f"tags.`{names.LEVEL}` = 'member'" + (" and attributes.status = 'FINISHED'" if finished else "")
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
    for stage, about in stages_of(run).items():
        if about["key"] in known:
            continue
        with tempfile.TemporaryDirectory() as folder:
            files = _download(tracking, run.info.run_id, stage, folder)
            if not {MADE, ROWS} <= set(files):
                continue  # a method stage
            units = pd.read_parquet(files[UNITS]) if UNITS in files else None
            made, rows = json.loads(files[MADE].read_text()), pd.read_parquet(files[ROWS])
        data = run.data.tags.get(names.DATA_NAME, "data")
        yield Judgement(run.info.run_id, stage, data, about["key"], made, rows, units)


def stages_of(run: Run) -> dict[str, dict[str, str]]:
    """For each stage of a member's run its component (`uses`), its key and its status."""
    return {
        tag.removeprefix(names.STAGE): json.loads(value)
        for tag, value in run.data.tags.items()
        if tag.startswith(names.STAGE)
    }


def _download(tracking: Tracking, run_id: str, stage: str, folder: str) -> dict[str, Path]:
    """The files of a protocol stage that a comparison needs, by name."""
    there = {Path(one.path).name: one.path for one in tracking.client.list_artifacts(run_id, stage)}
    return {
        name: Path(tracking.client.download_artifacts(run_id, there[name], folder))
        for name in (MADE, ROWS, UNITS)
        if name in there
    }
