"""A page from the store, from records, and from both: the same bytes, every result once, and pages that grow."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.pipeline.waves import PIPELINE
from tests.tracking.projects import new_project, run
from tswork.data.places import Places
from tswork.errors import ComponentUnknown
from tswork.reports.gathering import NowhereToKeep, gather
from tswork.reports.page import write_page
from tswork.reports.page_spec import read_page
from tswork.reports.record_file import RecordsInvalid, read_records, write_records
from tswork.reports.records import Records
from tswork.tracking.client import NothingRecorded

PAGE = """\
title: Waves
records: [waves.records.jsonl.gz]
sections: [{title: Two classes, runs: [waves]}]
"""
TWICE = PIPELINE.replace("iterations: 6", "iterations: 2") + "sweep: {seed: [7, 8]}\n"


def page(folder: Path, text: str = PAGE, keep: bool = False) -> str:
    """The page as `tswork report` writes it in a project."""
    file = folder / "page.yaml"
    file.write_text(text)
    spec = read_page(file)
    gathered = gather(spec, file, Places.here(folder), keep=keep)
    return write_page(spec, gathered.materials, command="tswork report page.yaml")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one run of two seeds."""
    project = new_project(tmp_path_factory.mktemp("finished") / "project")
    run(project, TWICE)
    return project


def test_a_page_from_records_alone_is_the_page_from_the_store_byte_for_byte(finished: Path, tmp_path: Path) -> None:
    without = page(finished, PAGE.replace("records", "# records"))
    assert page(finished, keep=True) == without
    shutil.copy(finished / "waves.records.jsonl.gz", tmp_path)
    assert page(tmp_path) == without
    assert page(finished) == without  # every result stands in both
    before = (finished / "waves.records.jsonl.gz").read_bytes()
    page(finished, keep=True)
    assert (finished / "waves.records.jsonl.gz").read_bytes() == before


def test_records_say_with_what_a_result_was_made(finished: Path) -> None:
    page(finished, keep=True)
    kept = read_records(finished / "waves.records.jsonl.gz")
    runs = list(kept.runs.values())
    assert {one.seed for one in runs} == {7, 8}
    assert {(one.pipeline, one.experiment, one.status) for one in runs} == {("waves", "waves", "FINISHED")}
    assert all(one.hours > 0 and one.commit and one.versions["torch"] for one in runs)
    for result in kept.results.values():
        assert result.made["protocol"]["uses"] == "probe_classify"
        assert result.made["protocol"]["version"] >= 1
        assert len(result.made["digest"]) == 64
        assert {row.row for row in result.rows} == {"majority", "random", "ts2vec"}
        assert set(result.units[0].columns) == {"majority", "random", "ts2vec"}


def test_a_page_grows_over_stores(finished: Path, tmp_path: Path) -> None:
    page(finished, keep=True)
    kept = read_records(finished / "waves.records.jsonl.gz")
    runs = {f"elsewhere {run}": one.model_copy(update={"run": f"elsewhere {run}"}) for run, one in kept.runs.items()}
    results = {
        (experiment, f"elsewhere {key}"): one.model_copy(
            update={"run": f"elsewhere {one.run}", "key": f"elsewhere {key}", "made": {**one.made, "seed": seed}}
        )
        for seed, ((experiment, key), one) in enumerate(kept.results.items(), start=100)
    }
    project = tmp_path / "project"
    shutil.copytree(finished, project, ignore=shutil.ignore_patterns("*.gz"))
    assert "2 results" in page(project, PAGE.replace("records", "# records"))
    write_records(project / "waves.records.jsonl.gz", Records(runs, results))
    grown = page(project, keep=True)
    assert "4 results" in grown
    assert {line.split(" | ")[2] for line in grown.splitlines() if line.startswith("| ")} == {"seeds", "---", "4"}
    shutil.rmtree(project / ".tswork")
    assert page(project) == grown


def test_another_file_of_results_can_be_added(finished: Path, tmp_path: Path) -> None:
    page(finished, keep=True)
    file = tmp_path / "page.yaml"
    file.write_text(PAGE)
    more = [finished / "waves.records.jsonl.gz"]
    gathered = gather(read_page(file), file, Places.here(tmp_path), more=more, keep=True)
    assert len(gathered.materials[0].judged) == 2
    assert (tmp_path / "waves.records.jsonl.gz").read_bytes() == more[0].read_bytes()


def test_what_is_missing_is_refused(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(RecordsInvalid, match="there is no such file"):
        page(tmp_path)
    with pytest.raises(NothingRecorded):
        page(tmp_path, PAGE.replace("records", "# records"))
    with pytest.raises(NowhereToKeep, match=r"page\.yaml names no file to keep results in\. Add `records:"):
        page(tmp_path, PAGE.replace("records", "# records"), keep=True)
    page(finished, keep=True)
    shutil.copy(finished / "waves.records.jsonl.gz", tmp_path)
    with pytest.raises(ComponentUnknown, match=r"no experiment is called 'wave'\. Did you mean 'waves'\?"):
        page(tmp_path, PAGE.replace("runs: [waves]", "runs: [wave]"))


def test_a_page_that_names_a_pipeline_needs_its_records_and_not_its_data(finished: Path, tmp_path: Path) -> None:
    by_name = page(finished, keep=True)
    shutil.copy(finished / "waves.records.jsonl.gz", tmp_path)
    text = PIPELINE.replace("version: 1", "version: 1\nexperiment: waves", 1)
    (tmp_path / "elsewhere.yaml").write_text(text)
    assert not list(tmp_path.glob("*.npz"))
    assert page(tmp_path, PAGE.replace("runs: [waves]", "runs: [elsewhere.yaml]")) == by_name
