"""Recordings that cannot be used stop a run before anything trains; with --skip-bad it goes on without them and says so."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from tests.cli.commands import Done, tswork
from tests.data.sounds import manifest, tone, write
from tests.tracking.projects import add_database
from tswork.tracking.client import Tracking

PIPELINE = """\
version: 1
name: voices
seed: 7
data: {reader: manifest, path: all.csv, label: label, groups: [speaker], rate: 2000, split: {by: groups, fractions: [.5, .25, .25]}}
encoder: {uses: dilated_conv, depth: 2, dim: 8, hidden: 4}
stages:
  ts2vec: {uses: ts2vec, iterations: 2, batch_size: 4}
  probe:  {uses: probe_classify, needs: ts2vec, heads: [logistic]}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight speakers with two tones each; two files are no sound, and one is not there."""
    folder = tmp_path_factory.mktemp("voices")
    rows = []
    for number in range(16):
        name = f"{number}.wav"
        write(folder / name, tone(100.0 + 300 * (number % 2), rate=4000, length=400 + number), 4000)
        rows.append(f"{name},{'low' if number % 2 == 0 else 'high'},p{number // 2}")
    (folder / "text.wav").write_text("no sound")
    (folder / "empty.wav").write_bytes(b"")
    manifest(folder, [*rows, "text.wav,low,p1", "empty.wav,low,p2", "gone.wav,low,p3"], head="path,label,speaker")
    (folder / "voices.yaml").write_text(PIPELINE)
    (folder / "data_cards").mkdir()
    (folder / "data_cards" / "voices.yaml").write_text("reader: manifest\npath: ../all.csv\nlabel: label\n")
    add_database(folder)
    return folder


@pytest.fixture(scope="module")
def done(project: Path) -> Done:
    """A run that left the bad recordings out."""
    return tswork(project, "run", "voices.yaml", "--skip-bad")


def test_bad_recordings_stop_everything_before_training(project: Path) -> None:
    refused = tswork(project, "run", "voices.yaml")
    assert refused.code == 2
    assert "all.csv:20:1  gone.wav: there is no such file" in refused.err
    assert "all.csv:18:1  text.wav: is no sound" in refused.err
    (project / "gone.wav").write_bytes(b"")
    refused = tswork(project, "run", "voices.yaml")
    (project / "gone.wav").unlink()
    assert refused.code == 2
    for line, name in ((18, "text.wav"), (19, "empty.wav"), (20, "gone.wav")):
        assert f"all.csv:{line}:1  {name}: is " in refused.err


def test_with_skip_bad_a_run_goes_on_and_counts_them(done: Done) -> None:
    assert done.code == 0, done.err
    assert "3 of 19 recordings were left out because they cannot be used" in " ".join(done.out.split())


def test_the_list_is_an_artifact_of_the_run(project: Path, done: Done) -> None:
    tracking = Tracking.open(project, experiment="voices")
    runs = tracking.client.search_runs([tracking.experiment_id])
    (child,) = [one for one in runs if one.data.tags["tswork.level"] == "member"]
    path = tracking.client.download_artifacts(child.info.run_id, "left_out.csv")
    rows = list(csv.DictReader(io.StringIO(Path(path).read_text())))
    assert [(row["where"], row["path"]) for row in rows] == [
        ("all.csv:20", "gone.wav"), ("all.csv:18", "text.wav"), ("all.csv:19", "empty.wav"),
    ]  # fmt: skip
    assert rows[2]["reason"] == "is empty (0 bytes)"
    card = Path(tracking.client.download_artifacts(child.info.run_id, "data_card.yaml")).read_text()
    assert "skip_bad leaves out 3 of 19 recordings" in card


def test_a_second_run_is_cached_and_still_counts_them(project: Path, done: Done) -> None:
    again = tswork(project, "run", "voices.yaml", "-s", "data.skip_bad=true")
    assert again.code == 0, again.err
    assert again.out.count("cached") == 2
    assert "3 of 19 recordings were left out" in " ".join(again.out.split())


def test_a_result_without_some_recordings_is_not_taken_for_one_with_all(project: Path, done: Done) -> None:
    rows = (project / "all.csv").read_text()
    manifest(project, rows.splitlines()[1:17], head="path,label,speaker", name="whole.csv")
    whole = ("plan", "voices.yaml", "-s", "data.path=whole.csv", "--json")
    plainly, skipping = tswork(project, *whole), tswork(project, *whole, "--skip-bad")
    keys = [{one["key"] for one in each.document["stages"]} for each in (plainly, skipping)]
    assert not keys[0] & keys[1]
    made = tswork(project, "plan", "voices.yaml", "--skip-bad", "--json")
    assert not keys[0] & {one["key"] for one in made.document["stages"]}


def test_check_tells_the_same_recordings(project: Path) -> None:
    told = tswork(project, "data", "check", "voices")
    assert told.code == 2
    assert "gone.wav: there is no such file" in told.out
    skipped = tswork(project, "data", "check", "voices", "--skip-bad")
    assert skipped.code == 0, skipped.out
    assert "skip_bad leaves out 3 of 19 recordings" in " ".join(skipped.out.split())


def test_other_readers_have_no_recordings_to_leave_out(project: Path) -> None:
    refused = tswork(project, "plan", "voices.yaml", "-s", "data={reader: aeon, set: ArrowHead}", "--skip-bad")
    assert refused.code == 2
    assert "skip_bad" in refused.err
