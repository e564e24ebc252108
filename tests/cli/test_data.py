"""`tswork data` as a person uses it: one JSON document, exit codes, and cards that work from any working directory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.cli.commands import Done, tswork
from tests.data.serving import serving

PIPELINE = """\
version: 1
name: gestures
seed: 7
data: {card: gestures}
encoder: {uses: dilated_conv, depth: 2, dim: 8, hidden: 4}
stages:
  ts2vec: {uses: ts2vec, iterations: 4, batch_size: 8}
  probe:  {uses: probe_classify, needs: ts2vec, heads: [logistic]}
"""


def document(done: Done) -> Any:
    assert done.code == 0, done.err
    return done.document


def write_recordings(folder: Path) -> None:
    draw = np.random.default_rng(0)
    rows = []
    for number in range(24):
        kind = ("wave", "circle")[number % 2]
        steps = np.arange(int(draw.integers(30, 40)))
        name = f"recordings/{number}.npy"
        (folder / "recordings").mkdir(exist_ok=True)
        np.save(
            folder / name,
            np.sin(steps * (0.2 if kind == "wave" else 0.6))[:, None] + draw.normal(0, 0.1, (len(steps), 1)),
        )
        rows.append({"path": name, "gesture": kind, "person": f"p{number // 4}"})
    pd.DataFrame(rows).to_csv(folder / "recordings.csv", index=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with recordings, a card that was added for them, and a pipeline that names it."""
    folder = tmp_path_factory.mktemp("project")
    write_recordings(folder)
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "pipeline.yaml").write_text(PIPELINE)
    done = tswork(folder, "data", "add", "gestures", "recordings.csv", "--label", "gesture", "--group", "person")
    assert done.code == 0, done.err
    assert done.out == (folder / "data_cards" / "gestures.yaml").read_text()
    assert "data_cards/gestures.yaml" in done.err
    return folder


def test_the_added_card_is_listed_beside_the_shipped_ones(project: Path) -> None:
    listed = {one["name"]: one["title"] for one in document(tswork(project, "data", "list", "--json"))}
    assert listed["gestures"] == "gestures, from recordings.csv"
    assert {"aeon", "etth1", "etth2", "ettm1", "wth", "exchange_rate", "m4_hourly", "uea", "ucr"} <= set(listed)
    shown = tswork(project, "data", "list")
    assert "gestures, from recordings.csv" in shown.out


def test_show_tells_what_the_set_holds(project: Path) -> None:
    found = document(tswork(project, "data", "show", "gestures", "--json"))
    assert found["card"]["title"] == "gestures, from recordings.csv"
    assert found["data"]["sequences"] == 24
    assert found["data"]["classes"] == {"circle": 12, "wave": 12}
    assert found["data"]["group person"] == "6 values"
    assert found["data"]["lengths"]["shortest"] >= 30
    shown = tswork(project, "data", "show", "gestures")
    for part in ("circle 12, wave 12", "missing values", "24", "channel_0"):
        assert part in shown.out


def test_show_tells_each_flaw_by_itself_and_what_is_done_with_the_data(project: Path) -> None:
    (project / "cut.yaml").write_text(
        "card: gestures\nflaws: [two are missing, one is short]\nprepare: [{uses: segment, steps: 10, overlap: 0.5}]\n"
        "split: {by: groups, repeats: 3}\n"
    )
    shown = " ".join(tswork(project, "data", "show", "./cut.yaml").out.split())
    assert "known flaws - two are missing - one is short sequences" in shown
    assert "prepared by {uses: segment, steps: 10, overlap: 0.5} split {by: groups, repeats: 3}" in shown


@pytest.mark.parametrize("values", ["--values", "--no-values"])
def test_check_of_a_sound_set_ends_with_0(project: Path, values: str) -> None:
    parts = "train 8 circle, 8 wave (of 4 person); validation 2 circle, 2 wave (of 1 person); test 2 circle, 2 wave (of 1 person)"
    known = [{"what": "split", "text": f"groups: {parts}"}] if values == "--values" else []
    assert document(tswork(project, "data", "check", "gestures", values, "--json")) == {"findings": [], "facts": known}
    shown = tswork(project, "data", "check", "gestures", values)
    told = "".join(f"{one['what']}: {one['text']}\n" for one in known)
    assert shown.out == f"{told}gestures: 0 faults, 0 notes\n"


def test_the_added_card_works_in_a_run_from_any_working_directory(project: Path, tmp_path: Path) -> None:
    first = document(tswork(project, "run", "pipeline.yaml", "--json"))
    assert first["results"]["probe/ts2vec/accuracy"] >= 0
    for folder, path in ((project / "deep" / "er", "../../pipeline.yaml"), (Path("/"), str(project / "pipeline.yaml"))):
        planned = document(tswork(folder, "plan", path, "--root", str(project), "--json"))
        assert [stage["status"] for stage in planned["stages"]] == ["cached", "cached"]
    # Without a root the card is found beside the pipeline; only the store is another one.
    elsewhere = document(tswork(tmp_path, "plan", str(project / "pipeline.yaml"), "--json"))
    assert [stage["key"] for stage in elsewhere["stages"]] == [stage["key"] for stage in first["stages"]]


def test_faults_of_a_set_end_with_2_and_are_all_in_one_document(project: Path, tmp_path: Path) -> None:
    write_recordings(tmp_path)
    assert (
        tswork(tmp_path, "data", "add", "gestures", "recordings.csv", "--label", "gesture", "--group", "person").code
        == 0
    )
    (tmp_path / "recordings" / "0.npy").unlink()
    (tmp_path / "recordings" / "1.npy").unlink()
    done = tswork(tmp_path, "data", "check", "gestures", "--no-values", "--json")
    assert done.code == 2
    found = json.loads(done.out)["findings"]
    assert [one["severe"] for one in found] == [True, True]
    assert "recordings.csv:2:1  recordings/0.npy: there is no such file" in found[0]["text"]
    shown = tswork(tmp_path, "data", "check", "gestures")
    assert shown.code == 2
    assert "gestures: 2 faults, 0 notes" in shown.out
    np.save(tmp_path / "recordings" / "0.npy", np.full((3, 1), np.inf))
    np.save(tmp_path / "recordings" / "1.npy", np.zeros((0, 1)))
    shown = tswork(tmp_path, "data", "show", "gestures")
    assert shown.code == 2
    assert shown.out == ""
    assert "recordings/0.npy: 3 values are infinite" in shown.err
    assert "recordings/1.npy: has no time steps" in shown.err
    assert "Traceback" not in shown.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("data", "show", "gesture"), "there is no card 'gesture'. Did you mean 'gestures'?"),
        (("data", "show", "aeon"), "set: is missing"),
        (("data", "show", "aeon", "--set", "Arowhead"), "Did you mean 'ArrowHead'?"),
        (("data", "add", "new", "nowhere.csv"), "nowhere.csv  there is no such file"),
        (("data", "add", "gestures", "recordings.csv"), "there is a card already. Choose another name."),
        (("data", "add", "new", "recordings.csv", "-o", "skip_bad"), "--option: 'skip_bad' should be NAME=VALUE"),
        (
            ("data", "add", "new", "recordings.csv", "-o", "skip_bed=true"),
            "skip_bed: unknown key. Did you mean 'skip_bad'?",
        ),
        (("data", "fetch", "gestures"), "the card names no files to fetch"),
    ],
)
def test_what_is_wrong_with_the_arguments_ends_with_2_and_a_remedy(
    project: Path, arguments: tuple[str, ...], told: str
) -> None:
    done = tswork(project, *arguments)
    assert done.code == 2
    assert told in done.err
    assert "Traceback" not in done.err
    assert done.out == ""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "served").mkdir()
    handler = partial(Quiet, directory=str(tmp_path / "served"))
    with serving(handler) as address:
        yield address


def test_fetch_gets_the_files_of_a_card_and_then_the_set_opens(tmp_path: Path, server: str) -> None:
    content = b"a\n" + b"".join(b"%d\n" % number for number in range(50))
    (tmp_path / "served" / "x.csv").write_bytes(content)
    file = f"{{name: sub/x.csv, url: '{server}/x.csv', sha256: {hashlib.sha256(content).hexdigest()}}}"
    (tmp_path / "toy.yaml").write_text(
        f"reader: series_csv\npath: sub/x.csv\nfiles: [{file}]\nsplit: {{by: time, fractions: [.6, .2, .2]}}\n"
    )
    done = tswork(tmp_path, "data", "fetch", "./toy.yaml", "--data-root", "got")
    assert done.code == 0, done.err
    assert done.out.strip().endswith("got/sub/x.csv")
    assert (tmp_path / "got" / "sub" / "x.csv").read_bytes() == content
    found = document(tswork(tmp_path, "data", "show", "./toy.yaml", "--data-root", "got", "--json"))
    assert found["data"]["time steps"] == 50
    (tmp_path / "served" / "x.csv").write_bytes(content + b"1\n")
    (tmp_path / "got" / "sub" / "x.csv").unlink()
    done = tswork(tmp_path, "data", "fetch", "./toy.yaml", "--data-root", "got")
    assert done.code == 2
    assert "The file was changed at its source, or on the way." in done.err
    assert list((tmp_path / "got" / "sub").iterdir()) == []
