"""The finished stages of a run: by a pipeline file, or by the id of an MLflow run and what that run recorded."""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tswork.data.places import Places
from tswork.errors import InvalidInput
from tswork.pipeline.finding import FinishedMember, RunNotFound, find_finished, finished_member
from tswork.pipeline.loading import load_pipeline
from tswork.tracking import names
from tswork.tracking.client import Tracking
from tswork.tracking.reading import stages_of

if TYPE_CHECKING:
    from mlflow.entities import Run

RUN_ID = re.compile(r"[0-9a-f]{4,32}")


def find_run(
    name: str, *, places: Places, overrides: tuple[str, ...] = (), member: str | None = None
) -> FinishedMember:
    """The finished stages of a pipeline file, or of a run by its id or the beginning of it (at least four digits).

    Of a run with several members the one called `member`, else the first. Raises `PipelineInvalid` for faults of a file,
    `RunNotFound` when there is no such run or its results are gone.
    """
    if Path(name).exists() or not RUN_ID.fullmatch(name):
        return find_finished(Path(name), places=places, overrides=overrides, member=member)
    if overrides:
        raise RunNotFound(name, "a finished run has no options to override; name its pipeline file to use -s")
    tracking = Tracking.attach(places.root)
    return _recorded(tracking, _member(tracking, _run(tracking, name), member), places)


def _run(tracking: Tracking, beginning: str) -> Run:
    experiments = [one.experiment_id for one in tracking.client.search_experiments()]
    runs = tracking.client.search_runs(
        experiments, filter_string=f"attributes.run_id LIKE '{beginning}%'", max_results=10
    )
    if not runs:
        raise RunNotFound(beginning, f"there is no run with this id in {tracking.uri}, and no such file")
    if len(runs) > 1:
        known = ", ".join(run.info.run_id[: len(beginning) + 4] for run in runs)
        raise RunNotFound(beginning, f"several runs begin with it: {known}")
    run: Run = runs[0]
    return run


def _member(tracking: Tracking, run: Run, name: str | None) -> Run:
    """The run itself if it is a member, else one of its members."""
    if run.data.tags.get(names.LEVEL) != "run":
        return run
    members = tracking.client.search_runs(
        [run.info.experiment_id],
        filter_string=f"tags.`mlflow.parentRunId` = '{run.info.run_id}'",
        order_by=["attributes.start_time ASC"],
    )
    fitting = [one for one in members if name in (None, one.data.tags.get(names.MEMBER))]
    if not fitting:
        known = "; ".join(one.data.tags.get(names.MEMBER, "") for one in members) or "none"
        raise RunNotFound(run.info.run_id, f"there is no member {name!r} (there are: {known})")
    chosen: Run = fitting[0]
    return chosen


def _recorded(tracking: Tracking, run: Run, places: Places) -> FinishedMember:
    """A member as its run recorded it: the resolved pipeline, and the keys of its stages."""
    stages = stages_of(run)
    if not stages:
        raise RunNotFound(run.info.run_id, "it is not a run of a pipeline")
    source = Path(run.data.tags.get(names.SOURCE, ""))
    with tempfile.TemporaryDirectory() as folder:
        try:
            resolved = tracking.client.download_artifacts(run.info.run_id, names.RESOLVED, folder)
            loaded = load_pipeline(Path(resolved), places=places)
        except (InvalidInput, OSError) as error:
            reason = (
                f"what it was run with cannot be read ({names.first_line(error)}); name its pipeline file: {source}"
            )
            raise RunNotFound(run.info.run_id, reason) from error
    found = loaded.members[0]
    # Paths stand as they were written, and mean the folders of the files that gave them, not that of the copy that was read here.
    folders = {key: Path(folder) for key, folder in json.loads(run.data.tags.get(names.BESIDE, "{}")).items()}
    found = replace(found, data=replace(found.data, beside=folders))
    beside = replace(loaded.places, beside=source.parent)
    keys = {spec.name: stages[spec.name]["key"] for spec in found.stages}
    return finished_member(found, keys, beside, name=run.info.run_id, command=f"tswork run {source}")
