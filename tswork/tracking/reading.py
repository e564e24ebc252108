"""Runs and finished results read back from MLflow: the rows and units of every protocol stage, each stage key once."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from pydantic import Field

from tswork import registry
from tswork.config import Config
from tswork.data.faults import some
from tswork.errors import ComponentUnknown, TsworkWarning
from tswork.tracking import names
from tswork.tracking.client import Tracking
from tswork.tracking.made import MADE

if TYPE_CHECKING:
    from mlflow.entities import Run

ROWS, UNITS = "rows.parquet", "units.parquet"


class MemberRun(Config):
    """The run of one member, how long it took by the clock, and with what it was made."""

    run: str = Field(description="MLflow's id of it")
    experiment: str
    pipeline: str
    member: str = Field(description="the values of the sweep that make it this member; empty without a sweep")
    seed: int | None
    status: str = Field(description="FINISHED, FAILED or KILLED")
    started: int = Field(description="milliseconds since 1970")
    ended: int = Field(description="milliseconds since 1970")
    commit: str = Field(description="of tswork's checkout; `+` marks uncommitted changes")
    versions: dict[str, str | None] = Field(description="tswork's and those of packages")

    @property
    def hours(self) -> float:
        """What it took by the clock."""
        return (self.ended - self.started) / 3_600_000


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

    Warns of those whose files are gone or were never recorded. Raises `ComponentUnknown` for an experiment that is not there.
    """
    found: dict[str, Judgement] = {}
    lost: dict[str, str] = {}
    for run in _members(tracking, _ids(tracking, chosen), finished=True):
        for judgement in _of_run(tracking, run, found, lost):
            found[judgement.key] = judgement
    without = [text for key, text in lost.items() if key not in found]
    if without:
        text = f"without {some(without)}, whose results are not among the files of the run"
        remedy = "Run the pipeline again: what is in the store is recorded anew, the rest computed."
        warnings.warn(f"{text}. {remedy}", TsworkWarning, stacklevel=2)
    return list(found.values())


def member_runs(tracking: Tracking, experiment: str) -> list[MemberRun]:
    """All members' runs of an experiment that have ended, those that failed or were stopped included, newest first.

    Raises `ComponentUnknown` for an experiment that is not there.
    """
    found = _members(tracking, _ids(tracking, [experiment]), finished=False)
    return [_described(run, experiment) for run in found if run.info.end_time]


def _described(run: Run, experiment: str) -> MemberRun:
    tags = run.data.tags
    return MemberRun(
        run=run.info.run_id,
        experiment=experiment,
        pipeline=tags.get(names.PIPELINE, ""),
        member=tags.get(names.MEMBER, ""),
        seed=int(tags[names.SEED]) if names.SEED in tags else None,
        status=run.info.status,
        started=run.info.start_time,
        ended=run.info.end_time,
        commit=tags.get(names.COMMIT, "none"),
        versions=json.loads(tags.get(names.VERSIONS, "{}")),
    )


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


def _of_run(tracking: Tracking, run: Run, known: dict[str, Judgement], lost: dict[str, str]) -> Iterator[Judgement]:
    """The protocol stages of a run that are not known yet; of those without files the names, by their keys, go to `lost`."""
    for stage, about in stages_of(run).items():
        if about["key"] in known:
            continue
        with tempfile.TemporaryDirectory() as folder:
            files = _download(f"{run.info.artifact_uri}/{stage}", folder, tracking_uri=tracking.uri)
            if not {MADE, ROWS} <= set(files):
                if _is_protocol(about["uses"]):
                    lost[about["key"]] = f"{stage} of run {run.info.run_id[:8]}"
                continue
            units = pd.read_parquet(files[UNITS]) if UNITS in files else None
            made, rows = json.loads(files[MADE].read_text()), pd.read_parquet(files[ROWS])
        data = run.data.tags.get(names.DATA_NAME, "data")
        yield Judgement(run.info.run_id, stage, data, about["key"], made, rows, units)


def _is_protocol(name: str) -> bool:
    try:
        registry.find("protocol", name)
    except ComponentUnknown:
        return False
    return True


def stages_of(run: Run) -> dict[str, dict[str, str]]:
    """For each stage of a member's run its component (`uses`), its key and its status."""
    return {
        tag.removeprefix(names.STAGE): json.loads(value)
        for tag, value in run.data.tags.items()
        if tag.startswith(names.STAGE)
    }


def _download(where: str, folder: str, *, tracking_uri: str) -> dict[str, Path]:
    """The files of a protocol stage that a comparison needs, by name. Asked for by address: by run every file would read the run."""
    from mlflow.artifacts import download_artifacts, list_artifacts

    there = {Path(one.path).name for one in list_artifacts(artifact_uri=where, tracking_uri=tracking_uri)}
    return {
        name: Path(download_artifacts(artifact_uri=f"{where}/{name}", dst_path=folder, tracking_uri=tracking_uri))
        for name in (MADE, ROWS, UNITS)
        if name in there
    }
