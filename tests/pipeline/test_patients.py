"""Patients through a pipeline and the command line: nothing shared unless a reason is given, and then the run is tagged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import Field

from tests.cli.commands import Done, tswork
from tests.training.tiny import TinyConfig, TinyContrast
from tswork.config import PERSONS, configure, persons_of
from tswork.data.places import Places
from tswork.errors import DataInvalid, LeakFound, TsworkWarning
from tswork.pipeline.checking import check_plan
from tswork.pipeline.loading import load_pipeline
from tswork.pipeline.plan import make_plan
from tswork.pipeline.reporting import Unreported
from tswork.pipeline.runner import run_plan
from tswork.pipeline.spec import Pipeline
from tswork.registry import register
from tswork.store import Store
from tswork.tracking.client import Tracking

CARD = """\
reader: arrays
path: trials.npz
values: x
label: kind
groups: [patient]
split: {by: groups, fractions: [.5, .25, .25]}
"""
PIPELINE = """\
version: 1
name: patients
data: {card: ./trials.yaml}
encoder: {uses: dilated_conv, depth: 1, dim: 4, hidden: 4}
stages:
  ts2vec: {uses: ts2vec, iterations: 1, batch_size: 8}
  probe:  {uses: probe_classify, needs: ts2vec, heads: [knn]}
"""


class PatientConfig(TinyConfig):
    patient: str | None = Field(default=None, json_schema_extra=PERSONS)


@register("method", "tiny_patients", version=1, config=PatientConfig)
class TinyPatients(TinyContrast):
    """A method that takes a column for persons."""


def trials(folder: Path, patients: int = 12, each: int = 4) -> None:
    """Trials of patients, every second one ill; `session` numbers pairs of trials through all patients."""
    count = patients * each
    who = np.arange(count) // each
    draw = np.random.default_rng(0)
    np.savez(
        folder / "trials.npz", x=draw.normal(size=(count, 1, 12)).astype(np.float32), patient=who,
        session=np.array([f"s{row // 2}" for row in range(count)]), kind=np.array(["ill", "well"])[who % 2],
    )  # fmt: skip
    (folder / "trials.yaml").write_text(CARD)


def load(folder: Path, text: str = PIPELINE) -> Pipeline:
    if not (folder / "trials.npz").exists():
        trials(folder)
    (folder / "p.yaml").write_text(text)
    return load_pipeline(folder / "p.yaml", places=Places.here(folder))


def run(folder: Path, text: str) -> Done:
    load(folder, text)
    return tswork(folder, "run", "p.yaml", "--json")


def data(text: str) -> str:
    return PIPELINE.replace("{card: ./trials.yaml}", f"{{card: ./trials.yaml, {text}}}")


def checked(folder: Path, text: str) -> str:
    """What a pipeline is refused for before anything is trained; nothing when it may run."""
    try:
        check_plan(make_plan(load(folder, text)), torch.device("cpu"))
    except LeakFound as refused:
        return str(refused)
    return ""


def tags(folder: Path) -> dict[str, str]:
    tracking = Tracking.open(folder, experiment="patients")
    (experiment,) = [one for one in tracking.client.search_experiments() if one.name == "patients"]
    runs = tracking.client.search_runs([experiment.experiment_id])
    return {key: value for one in runs for key, value in one.data.tags.items() if key.startswith("tswork.leak")}


@pytest.mark.parametrize(
    "block",
    [
        "split: {by: sequences}",
        "split: {by: groups, group: session}",
        "groups: [session], split: {by: groups, group: session}",
    ],
)
def test_a_split_that_parts_a_patient_of_the_card_is_refused_however_it_is_made(tmp_path: Path, block: str) -> None:
    assert "values of 'patient' are in more than one of train, validation, test: " in checked(tmp_path, data(block))
    assert checked(tmp_path, PIPELINE) == ""


@pytest.mark.slow
def test_a_leak_is_refused_on_the_command_line_and_with_a_reason_the_run_goes_on_tagged_leaky(tmp_path: Path) -> None:
    done = run(tmp_path, data("split: {by: sequences}"))
    assert done.code == 2
    assert "values of 'patient' are in more than one of train, validation, test: " in done.err
    assert "give `split: {allow_leak: REASON}`" in done.err
    assert "Traceback" not in done.err
    done = run(tmp_path, data("split: {by: sequences, allow_leak: to show what it is worth}"))
    assert done.code == 0, done.err
    assert "values of 'patient' are in more than one of train, validation, test: " in tags(tmp_path)["tswork.leaky"]


def test_a_column_that_a_method_takes_for_persons_is_guarded_without_any_group(tmp_path: Path) -> None:
    own = "{reader: arrays, path: trials.npz, values: x, label: kind, groups: [session], split: {by: groups}}"
    text = PIPELINE.replace("{card: ./trials.yaml}", own)
    assert checked(tmp_path, text.replace("probe:", "spare: {uses: tiny_patients}\n  probe:")) == ""
    named = text.replace("probe:", "named: {uses: tiny_patients, patient: patient}\n  probe:")
    assert "values of 'patient' are in more than one of train, validation, test: " in checked(tmp_path, named)


def test_what_was_left_out_is_recorded_with_the_data_of_a_run(tmp_path: Path) -> None:
    trials(tmp_path)
    with np.load(tmp_path / "trials.npz") as file:
        arrays = dict(file)
    arrays["x"][5] = 0
    np.savez(tmp_path / "trials.npz", **arrays)
    text = data("prepare: [{uses: quality, flat: drop}]")
    with pytest.warns(TsworkWarning, match="1 of 48 sequences with a flat channel"):
        run_plan(make_plan(load(tmp_path, text)), reporter=Unreported())
    notes = [
        entry.about["data"]["notes"]
        for entry in Store(tmp_path / ".tswork" / "store").entries()
        if "stage" in entry.about
    ]
    assert notes == [["quality leaves out 1 of 48 sequences with a flat channel: 5"]] * 2


def test_persons_are_found_in_nested_configs_and_only_in_marked_fields() -> None:
    named = configure("method", {"uses": "tiny_patients", "patient": "who"})
    assert persons_of([named, configure("method", "tiny_patients"), configure("encoder", "tiny_linear"), named]) == (
        "who",
    )


def test_the_card_keeps_its_groups_and_a_pipeline_adds_others(tmp_path: Path) -> None:
    for block, groups in (("groups: [session]", ("patient", "session")), ("groups: session", ("patient", "session")), ("groups: []", ("patient",)), ("rate: 2.0", ("patient",))):  # fmt: skip
        assert load(tmp_path, data(block)).members[0].data.options.groups == groups


def test_one_patient_at_a_time_is_an_axis_of_the_sweep_as_long_as_there_are_patients(tmp_path: Path) -> None:
    trials(tmp_path, patients=5)
    members = load(tmp_path, data("split: {by: groups, folds: each}")).members
    assert [member.name for member in members] == [f"data.split.index={index}" for index in range(5)]
    (tmp_path / "trials.npz").unlink()
    with pytest.raises(DataInvalid, match="there is no such file"):
        load_pipeline(tmp_path / "p.yaml", places=Places.here(tmp_path))


def test_a_sweep_over_seeds_takes_another_fold_for_each(tmp_path: Path) -> None:
    text = data("split: {by: groups, folds: 3, index: seed}") + "sweep: {seed: [41, 42, 43]}\n"
    members = load(tmp_path, text).members
    assert [member.name for member in members] == ["seed=41", "seed=42", "seed=43"]


def test_lists_of_a_pipeline_are_checked_before_anything_runs(tmp_path: Path) -> None:
    text = data("split: {by: groups, lists: {validation: [3, 4], test: [4, 19]}}")
    with pytest.raises(DataInvalid) as refused:
        check_plan(make_plan(load(tmp_path, text)), torch.device("cpu"))
    told = [str(problem).replace(f"{tmp_path}/", "") for problem in refused.value.problems]
    assert told == [
        "p.yaml:3:83  data.split.lists.test: 'patient' has no value 19. Did you mean '9'?",
        "p.yaml:3:83  data.split.lists.test: 4 is in validation already",
    ]
