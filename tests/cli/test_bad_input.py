"""Everything wrong that a person can write is told by the command with its place and a remedy; nothing is started."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.cli.commands import Done, tswork
from tests.pipeline.waves import PIPELINE, write_pipeline
from tests.tracking.projects import add_database
from tswork.cli.writing import write_frame
from tswork.store import Store

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 9)
)


def changed(old: str, new: str) -> str:
    assert old in PIPELINE
    return PIPELINE.replace(old, new)


def refused(folder: Path, *arguments: str, verb: str = "run", environment: dict[str, str] | None = None) -> Done:
    """The command ends with 2, says nothing on stdout, shows no traceback, and starts nothing."""
    done = tswork(folder, verb, "p.yaml", *arguments, environment=environment)
    assert done.code == 2, done.err
    assert done.out == ""
    assert "Traceback" not in done.err
    assert not (folder / ".tswork" / "mlflow.db").exists()
    assert not list(folder.glob(".tswork/store/*"))
    return done


def said(done: Done, folder: Path) -> list[str]:
    return done.err.replace(f"{folder}/", "").strip().splitlines()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_pipeline(tmp_path)
    return tmp_path


FILES: dict[str, tuple[str | bytes, list[str]]] = {
    # keys and values
    "an unknown key": (changed("seed:", "sed:"), ["p.yaml:3:1  sed: unknown key. Did you mean 'seed'?"]),
    "a missing key": (changed("name: waves\n", ""), ["p.yaml:1:1  name: is missing"]),
    "an unknown option": (changed("iterations: 6", "iteration: 6"), ["p.yaml:10:26  stages.ts2vec.iteration: unknown key. Did you mean 'iterations'?"]),
    "an option of the wrong type": (changed("iterations: 6", "iterations: '6'"), ["p.yaml:10:38  stages.ts2vec.iterations: should be a valid integer, not '6'"]),
    "a number out of range": (changed("depth: 2", "depth: 0"), ["p.yaml:8:38  stages.ts2vec.encoder.depth: should be greater than or equal to 1, not 0"]),
    "a name with a slash": (changed("name: waves", "name: a/b"), ["p.yaml:2:7  name: should match pattern '^[A-Za-z0-9][A-Za-z0-9_. -]{0,99}$', not 'a/b'"]),
    "a device that is none": (PIPELINE + "device: gpu\n", [r"p.yaml:12:9  device: should match pattern '^(auto|cpu|cuda(:\d+)?)$', not 'gpu'"]),
    "another version of the format": (changed("version: 1", "version: 2"), ["p.yaml:1:10  version: should be 1, not 2"]),
    # components
    "an unknown encoder": (changed("uses: dilated_conv", "uses: dilated_con"), ["p.yaml:8:17  stages.ts2vec.encoder.uses: no encoder is called 'dilated_con'. Did you mean 'dilated_conv'?"]),
    "an unknown method": (changed("uses: ts2vec", "uses: ts2vek"), ["p.yaml:10:18  stages.ts2vec.uses: no method or protocol is called 'ts2vek'. Did you mean 'ts2vec'?"]),
    "an unknown reader": (changed("reader: arrays", "reader: array"), ["p.yaml:5:11  data.reader: no reader is called 'array'. Did you mean 'arrays'?"]),
    "an unknown card": (changed("reader: arrays", "card: eth1"), ["p.yaml:5:9  data.card: there is no card 'eth1'. Did you mean 'etth1'?"]),
    "an encoder that is a number": (changed("{uses: dilated_conv, depth: 2, dim: 8, hidden: 4}", "3"), ["p.yaml:8:10  stages.ts2vec.encoder: should be a block with 'uses: NAME' that names an encoder, not 3"]),
    # stages
    "no stages": (PIPELINE[: PIPELINE.index("stages:")] + "stages: {}\n", ["p.yaml:9:9  stages: needs at least 1 entry"]),
    "stages that are a list": (PIPELINE[: PIPELINE.index("stages:")] + "stages: [a]\n", ["p.yaml:9:9  stages: should be a block of keys"]),
    "a stage that is a number": (PIPELINE + "  x: 3\n", ["p.yaml:12:6  stages.x: should be a block with 'uses: NAME'"]),
    "a stage without uses": (PIPELINE + "  x: {epochs: 3}\n", ["p.yaml:12:6  stages.x: should be a block with 'uses: NAME' that names a method or a protocol"]),
    "a stage with a bad name": (PIPELINE + "  1x: {uses: ts2vec}\n", ["p.yaml:12:3  stages.1x: a stage's name is letters, digits, '_' and '-', beginning with a letter"]),
    "an unknown need": (changed("needs: ts2vec", "needs: ts2vek"), ["p.yaml:11:41  stages.probe.needs: there is no stage 'ts2vek'. Did you mean 'ts2vec'?"]),
    "a stage that needs itself": (changed("needs: ts2vec", "needs: probe"), ["p.yaml:11:41  stages.probe.needs: the stages probe need each other in a circle"]),
    "stages that need each other": (changed("needs: ts2vec", "needs: two") + "  two: {uses: probe_classify, needs: probe}\n", ["p.yaml:11:41  stages.probe.needs: the stages probe, two need each other in a circle"]),
    "a protocol that needs nothing": (changed(", needs: ts2vec", ""), ["p.yaml:11:11  stages.probe: a protocol needs at least one stage to judge. Add `needs: STAGE`."]),
    "needs that are a number": (changed("needs: ts2vec", "needs: 3"), ["p.yaml:11:41  stages.probe.needs: should name a stage or a list of stages"]),
    "a protocol that judges a protocol": (PIPELINE + "  two: {uses: probe_classify, needs: probe}\n", ["p.yaml:12:38  stages.two.needs: 'probe' is a protocol and has no model to judge"]),
    # YAML
    "a key that stands twice": (PIPELINE + "seed: 3\n", ["p.yaml:12:1  the key 'seed' stands twice (first at p.yaml:3:1). Remove one of the two."]),
    "a tab": (changed("  reader", "\treader"), [r"p.yaml:5:1  is not valid YAML: found character '\t' that cannot start any token. Indent with spaces; YAML allows no tabs."]),
    "an open bracket": (PIPELINE + "tags: {a: [1\n", ["p.yaml:13:1  is not valid YAML: expected ',' or ']', but got '<stream end>'"]),
    "an empty file": ("", ["p.yaml:1:1  is empty"]),
    "only a comment": ("# nothing\n", ["p.yaml:1:1  is empty"]),
    "a list": ("[1, 2]\n", ["p.yaml:1:1  is not a pipeline: a block of keys is expected"]),
    "a binary file": (bytes(range(256)), ["p.yaml  is a binary file, not YAML"]),
    "text that is not UTF-8": (PIPELINE.encode() + b"# caf\xe9\n", ["p.yaml:12:6  is not UTF-8 text. Save the file as UTF-8."]),
    "UTF-16 text": (PIPELINE.encode("utf-16"), ["p.yaml  is UTF-16 text, not UTF-8. Save the file as UTF-8."]),
    "nesting a thousand deep": (PIPELINE + "x: " + "[" * 1000 + "]" * 1000, ["p.yaml:12:67  is nested more than 64 deep"]),
    "blocks a thousand deep": (PIPELINE + "x:\n" + "".join(" " * level + "a:\n" for level in range(1, 1001)), ["p.yaml:76:65  is nested more than 64 deep"]),
    "an integer of five thousand digits": (changed("seed: 7", "seed: " + "1" * 5000), ["p.yaml:3:7  seed: a number of 5000 digits is too long"]),
    "not a number": (changed("iterations: 6", "learning_rate: .nan"), ["p.yaml:10:41  stages.ts2vec.learning_rate: .nan is not a finite number"]),
    "infinity": (changed("iterations: 6", "learning_rate: -.inf"), ["p.yaml:10:41  stages.ts2vec.learning_rate: -.inf is not a finite number"]),
    "a number beyond all floats": (changed("iterations: 6", "learning_rate: 1e999"), ["p.yaml:10:41  stages.ts2vec.learning_rate: 1e999 is not a finite number"]),
    "two documents": (PIPELINE + "---\na: 1\n", ["p.yaml:12:1  holds more than one document. Keep one pipeline a file."]),
    "a merge key": (changed("{uses: ts2vec,", "{<<: {a: 1}, uses: ts2vec,"), ["p.yaml:10:12  stages.ts2vec: merge keys are not read. Use `extends:` or repeat the keys."]),
    "a bomb of aliases": (BOMB + PIPELINE, ["p.yaml:5:55  holds more than 100000 values, aliases counted as often as they stand"]),
    "an alias in a circle": ("a: &a [*a]\n" + PIPELINE, ["p.yaml:1:4  an alias leads back into the block it stands in"]),
    "a tag": (changed("seed: 7", "seed: !!python/object:os.system 7"), ["p.yaml:3:7  seed: the tag tag:yaml.org,2002:python/object:os.system is not read. Write plain text, numbers, lists and blocks."]),
    # sweeps, gates, variables
    "a sweep over an unknown key": (PIPELINE + "sweep: {sed: [1]}\n", ["p.yaml:12:15  sed: unknown key. Did you mean 'seed'?"]),
    "a sweep over an unknown stage": (PIPELINE + "sweep: {stages.ts2vek.iterations: [1]}\n", ["p.yaml:12:9  sweep.stages.ts2vek.iterations: there is no stage 'ts2vek'. Did you mean 'ts2vec'?"]),
    "a sweep over an unknown option": (PIPELINE + "sweep: {stages.ts2vec.iteration: [1]}\n", ["p.yaml:12:35  stages.ts2vec.iteration: unknown key. Did you mean 'iterations'?"]),
    "an empty axis": (PIPELINE + "sweep: {seed: []}\n", ["p.yaml:12:15  sweep.seed: an axis needs at least one value"]),
    "an axis that is no list": (PIPELINE + "sweep: {seed: 3}\n", ["p.yaml:12:15  sweep.seed: should be a list"]),
    "an axis that cannot be swept": (PIPELINE + "sweep: {name: [a]}\n", ["p.yaml:12:9  sweep.name: cannot be swept"]),
    "too many combinations": (PIPELINE + f"sweep: {{seed: {list(range(200))}, stages.ts2vec.iterations: {list(range(1, 200))}}}\n", ["p.yaml:12:8  sweep: 39800 combinations are more than 10000"]),
    "one bad value of an axis": (PIPELINE + "sweep: {seed: [1, -2]}\n", ["p.yaml:12:19  seed: should be greater than or equal to 0, not -2"]),
    "a gate for an unknown stage": (PIPELINE + "gate: {metric: probe/accuracy, stage: ts2vek, minimum: 1}\n", ["p.yaml:12:39  gate.stage: there is no method stage 'ts2vek'. Did you mean 'ts2vec'?"]),
    "a gate by an unknown stage": (PIPELINE + "gate: {metric: prob/accuracy, stage: ts2vec, minimum: 1}\n", ["p.yaml:12:16  gate.metric: there is no protocol stage 'prob'. Did you mean 'probe'?"]),
    "a gate by an unknown metric": (PIPELINE + "gate: {metric: probe/ts2vec/acuracy, stage: ts2vec, minimum: 1}\n", ["p.yaml:12:16  gate.metric: probe_classify has no metric 'acuracy'. Did you mean 'accuracy'?"]),
    "a gate by what is no headline": (PIPELINE + "gate: {metric: probe/macro_f1, stage: ts2vec, minimum: 1}\n", ["p.yaml:12:16  gate.metric: the headline of 'probe' is accuracy, not macro_f1. Write probe/ts2vec/accuracy."]),
    "a gate by the figure of a control": (PIPELINE + "gate: {metric: probe/random/accuracy, stage: ts2vec, minimum: 1}\n", ["p.yaml:12:16  gate.metric: it is the figure of 'random', and the model of 'ts2vec' would be registered. Write probe/ts2vec/accuracy."]),
    "a gate without a bound": (PIPELINE + "gate: {metric: probe/accuracy, stage: ts2vec}\n", ["p.yaml:12:7  gate: says nothing without a bound. Give `minimum` or `maximum`."]),
    "a gate with a name of MLflow's own": (PIPELINE + "gate: {metric: probe/accuracy, stage: ts2vec, minimum: 1, alias: v3}\n", ["p.yaml:12:66  gate.alias: should be a name that MLflow does not keep for itself, not 'v3'"]),
    "a variable outside of paths": (PIPELINE + "tags: {who: '${env:HOME}'}\n", ["p.yaml:12:13  tags.who: environment variables are expanded in paths only"]),
    "a variable that is not set": (changed("waves.npz", "${env:NOT_SET}/w.npz"), ["p.yaml:6:9  data.path: the environment variable NOT_SET is not set"]),
    "an inherited file that is not there": ("extends: nowhere.yaml\n", ["p.yaml:1:10  extends: there is no file nowhere.yaml"]),
    "an inherited folder": ("extends: .\n", ["p.yaml:1:10  extends: there is no file FOLDER"]),
    "a file that inherits itself": ("extends: p.yaml\n", ["p.yaml:1:10  extends: files extend each other in a circle"]),
    "an inherited number": (PIPELINE + "extends: 3\n", ["p.yaml:12:10  extends: should be a valid string, not 3"]),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_wrong_file_is_told_where_it_is_wrong(folder: Path, name: str) -> None:
    text, expected = FILES[name]
    (folder / "p.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert said(refused(folder), folder) == [line.replace("FOLDER", str(folder)) for line in expected]


OVERRIDES: dict[str, tuple[list[str], list[str]]] = {
    "no value": (["seed"], ["-s argument 1, column 1  'seed' is not an override. Write key.key=value."]),
    "no key": (["=3"], ["-s argument 1, column 1  '=3' is not an override. Write key.key=value."]),
    "an empty value": (["seed="], ["-s argument 1, column 6  is empty"]),
    "broken YAML": (["seed=[1"], ["-s argument 1, column 8  is not valid YAML: expected ',' or ']', but got '<stream end>'"]),
    "text that YAML wants quoted": (["data.decimal=,"], ["""-s argument 1, column 14  is not valid YAML: expected the node content, but found ','. Quote it: -s "data.decimal=','"."""]),
    "a format of dates": (["data.date_format=%d.%m.%Y"], ["""-s argument 1, column 21  is not valid YAML: expected alphabetic or numeric character, but found '%'. Quote it: -s "data.date_format='%d.%m.%Y'"."""]),
    "a wrong type": (["seed=x"], ["-s argument 1, column 6  seed: should be a valid integer, not 'x'"]),
    "a wrong value inside a block": (["stages.ts2vec.encoder={uses: dilated_conv, dim: -3}"], ["-s argument 1, column 49  stages.ts2vec.encoder.dim: should be greater than or equal to 1, not -3"]),
    "an unknown option": (["seed=1", "stages.ts2vec.iteration=3"], ["-s argument 2, column 25  stages.ts2vec.iteration: unknown key. Did you mean 'iterations'?"]),
    "an unknown stage": (["stages.ts2vek.iterations=3"], ["-s argument 1, column 1  stages.ts2vek.iterations: there is no stage 'ts2vek'. Did you mean 'ts2vec'?"]),
    "a place in a list": (["stages.probe.heads.0=knn"], ["-s argument 1, column 22  stages.probe.heads: is not a block and has no keys. Give the whole list: stages.probe.heads=[...]."]),
    "an index": (["stages.probe.heads[0]=knn"], ["-s argument 1, column 1  'stages.probe.heads[0]=knn' is not an override. Write key.key=value."]),
    "a key below a value": (["seed.x=3"], ["-s argument 1, column 8  seed: is not a block and has no keys"]),
    "another parent": (["extends=waves.yaml"], ["-s argument 1, column 1  extends: cannot be overridden. Write it into the file."]),
    "several at once": (["seed=x", "nothing", "device=gpu"], [
        "-s argument 1, column 6  seed: should be a valid integer, not 'x'",
        "-s argument 2, column 1  'nothing' is not an override. Write key.key=value.",
        r"-s argument 3, column 8  device: should match pattern '^(auto|cpu|cuda(:\d+)?)$', not 'gpu'",
    ]),
    "a data file that is not there": (["data.path=nix.npz"], ["-s argument 1, column 11  data.path: there is no such file (looked at "]),
}  # fmt: skip


@pytest.mark.parametrize("name", OVERRIDES)
def test_a_wrong_override_is_told_by_its_number_and_column(folder: Path, name: str) -> None:
    overrides, expected = OVERRIDES[name]
    (folder / "p.yaml").write_text(PIPELINE)
    done = refused(folder, *(part for override in overrides for part in ("-s", override)))
    found = said(done, folder)
    assert len(found) == len(expected)
    for line, beginning in zip(found, expected, strict=True):
        assert line.startswith(beginning)


def test_all_faults_of_several_blocks_are_told_in_the_order_of_the_file(folder: Path) -> None:
    (folder / "p.yaml").write_text(
        """\
version: 1
name: waves
seed: 1.5
data: {reader: arrays, pth: waves.npz, split: {by: offical}}
encoder: {uses: dilated_conv, dimm: 8}
stages:
  ts2vec: {uses: ts2vec, iterations: 0}
  probe: {uses: probe_classify, needs: nothing, heads: [svn]}
sweep: {device: []}
"""
    )
    assert said(refused(folder), folder) == [
        "p.yaml:3:7  seed: should be a valid integer, not 1.5",
        "p.yaml:4:24  data.pth: unknown key. Did you mean 'path'?",
        "p.yaml:4:52  data.split.by: should be 'time', 'official', 'groups' or 'sequences', not 'offical'",
        "p.yaml:5:31  stages.ts2vec.encoder.dimm: unknown key. Did you mean 'dim'?",
        "p.yaml:7:38  stages.ts2vec.iterations: should be greater than or equal to 1, not 0",
        "p.yaml:8:40  stages.probe.needs: there is no stage 'nothing'. Known: ts2vec.",
        "p.yaml:8:57  stages.probe.heads[0]: should be 'svm', 'logistic' or 'knn', not 'svn'",
    ]


def test_a_fault_of_a_parent_is_told_in_the_parent(folder: Path) -> None:
    (folder / "parent.yaml").write_text(changed("batch_size: 8", "batch_size: no"))
    (folder / "p.yaml").write_text("extends: parent.yaml\nname: child\nsed: 3\n")
    assert said(refused(folder), folder) == [
        "parent.yaml:10:53  stages.ts2vec.batch_size: should be a valid integer, not 'no'",
        "p.yaml:3:1  sed: unknown key. Did you mean 'seed'?",
    ]
    (folder / "parent.yaml").write_text("a: [1")
    assert said(refused(folder), folder) == [
        "parent.yaml:1:6  is not valid YAML: expected ',' or ']', but got '<stream end>'"
    ]


def test_files_that_inherit_each_other_are_refused(folder: Path) -> None:
    (folder / "p.yaml").write_text("extends: q.yaml\n")
    (folder / "q.yaml").write_text("extends: p.yaml\n")
    assert said(refused(folder), folder) == ["q.yaml:1:10  extends: files extend each other in a circle"]


def test_a_path_may_hold_a_variable(folder: Path) -> None:
    (folder / "p.yaml").write_text(changed("waves.npz", "${env:WHERE}/waves.npz"))
    done = tswork(folder, "plan", "p.yaml", environment={"WHERE": str(folder)})
    assert done.code == 0, done.err
    assert str(folder) not in done.out


def _directory(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda path: None, "p.yaml  there is no such file"),
        (_directory, "p.yaml  cannot be read: Is a directory"),
    ],
    ids=["missing", "directory"],
)
def test_what_is_no_readable_file_is_refused(folder: Path, make: Callable[[Path], None], expected: str) -> None:
    make(folder / "p.yaml")
    assert said(refused(folder), folder) == [expected]


def test_a_file_without_permission_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_bytes

    def refuse(path: Path) -> bytes:  # root may read everything, so the refusal is played
        if path.name == "p.yaml":
            raise PermissionError(errno.EACCES, "Permission denied")
        return read(path)

    (folder / "p.yaml").write_text(PIPELINE)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert said(refused(folder), folder) == ["p.yaml  cannot be read: Permission denied"]


MACHINE: dict[str, tuple[str, list[str], str]] = {
    "a GPU that is not there": (PIPELINE + "device: cuda:7\n", [], "p.yaml:12:9  device: this machine has no cuda:7. Use auto or cpu."),
    "a GPU asked for as an option": (PIPELINE, ["--device", "cuda:7"], "--device  device: this machine has no cuda:7. Use auto or cpu."),
    "a device that is none": (PIPELINE, ["--device", "gpu"], "--device  device: 'gpu' is no device. Use auto, cpu or cuda."),
    "16-bit floats on a CPU": (PIPELINE + "precision: 16-mixed\n", ["--device", "cpu"], "p.yaml:12:12  precision: 16-bit floats do not train on a CPU. Use bf16-mixed or 32-true."),
    "a model that cannot be built": (changed("uses: ts2vec,", "uses: ts2vec, encoder: {uses: transformer, dim: 8, heads: 2, patch: 4, layers: 1},"), [], "p.yaml:10:11  stages.ts2vec: ts2vec: transformer gives one frame in 4 steps, and crops are compared step by step. Use an encoder of stride 1."),
    "an empty part": (changed("{by: official}", "{by: groups, fractions: [0, 0, 1]}"), [], "p.yaml:7:10  data.split: the training part is empty"),
}  # fmt: skip


@pytest.mark.parametrize("name", MACHINE)
def test_what_data_and_machine_cannot_do_is_told_before_anything_trains(folder: Path, name: str) -> None:
    text, arguments, expected = MACHINE[name]
    add_database(folder)
    (folder / "p.yaml").write_text(text)
    done = tswork(folder, "run", "p.yaml", *arguments)
    assert (done.code, done.out) == (2, "")
    (line,) = said(done, folder)
    assert line.startswith(expected)
    assert not list(folder.glob(".tswork/store/*/*/stage.json"))


def test_horizons_that_do_not_fit_are_told_for_every_part_and_every_member_once(folder: Path) -> None:
    add_database(folder)
    text = changed(
        "{uses: probe_classify, needs: ts2vec, heads: [logistic]}",
        "{uses: ridge_forecast, needs: ts2vec, horizons: [4, 99], drop: 0}",
    )
    (folder / "p.yaml").write_text(
        text.replace("{by: official}", "{by: time, fractions: [.5, .25, .25]}") + "sweep: {seed: [1, 2]}\n"
    )
    done = tswork(folder, "run", "p.yaml")
    assert done.code == 2
    assert said(done, folder) == [
        f"p.yaml:11:11  stages.probe ({part}): horizon 99 needs a span of at least 100 steps; the longest has {length}."
        " Shorten `horizons`, or give this part more steps."
        for part, length in (("train", 20), ("validation", 10), ("test", 10))
    ]  # fmt: skip


# Columns of tables


def test_columns_that_a_series_does_not_have_are_told_by_its_header_alone(folder: Path) -> None:
    (folder / "x.csv").write_text("date,OT,HUFL\n2020,what,ever\n")
    block = "data: {reader: series_csv, path: x.csv, time: dat, target: [OTT], split: {by: time, counts: [9, 9, 9]}}\n"
    start, end = PIPELINE.index("data:"), PIPELINE.index("encoder:")
    (folder / "p.yaml").write_text(PIPELINE[:start] + block + PIPELINE[end:])
    told = said(refused(folder, verb="validate"), folder)
    assert told == [
        "x.csv:1:1  data.time: has no time column 'dat'. Did you mean 'date'?",
        "x.csv:1:1  data.target: there is no channel 'OTT'. Did you mean 'OT'?",
    ]


def test_columns_that_a_manifest_does_not_have_are_told_without_opening_recordings(folder: Path) -> None:
    (folder / "x.csv").write_text("path,region,speaker\na.wav,lig,anna\nb.wav,ven,bruno\n")
    for name in ("a.wav", "b.wav"):
        (folder / name).write_bytes(b"no sound")
    block = "data: {reader: manifest, path: x.csv, label: regions, groups: [speaker, place], split: {by: groups}}\n"
    start, end = PIPELINE.index("data:"), PIPELINE.index("encoder:")
    (folder / "p.yaml").write_text(PIPELINE[:start] + block + PIPELINE[end:])
    columns = [
        "x.csv:1:1  data.label: there is no column 'regions'. Did you mean 'region'?",
        "x.csv:1:1  data.groups: there is no column 'place'. Known: id, path, region, speaker.",
    ]
    assert said(refused(folder, verb="validate"), folder) == columns
    (folder / "b.wav").unlink()
    told = said(refused(folder, verb="validate"), folder)
    assert "b.wav" in "".join(told[:-2])
    assert told[-2:] == columns


# The same as JSON


@pytest.mark.parametrize("verb", ["run", "plan", "validate"])
def test_a_failure_is_one_json_document_where_json_was_asked_for(folder: Path, verb: str) -> None:
    (folder / "p.yaml").write_text(changed("seed: 7", "seed: x").replace("needs: ts2vec", "needs: ts2vek"))
    done = tswork(folder, verb, "p.yaml", "--json")
    assert done.code == 2
    assert done.document["error"]["kind"] == "PipelineInvalid"
    assert done.document["error"]["exit_code"] == 2
    assert done.document["problems"] == [
        {"file": "p.yaml", "line": 3, "column": 7, "path": "seed", "message": "should be a valid integer, not 'x'", "remedy": ""},
        {"file": "p.yaml", "line": 11, "column": 41, "path": "stages.probe.needs", "message": "there is no stage 'ts2vek'", "remedy": "Did you mean 'ts2vec'?"},
    ]  # fmt: skip
    assert done.document.get("valid", False) is False
    assert "p.yaml:3:7  seed: should be a valid integer, not 'x'" in done.err


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["list", "nothing", "--json"], "ComponentUnknown"),
        (["show", "ts2vek", "--json"], "ComponentUnknown"),
        (["compare", "--json"], "NothingRecorded"),
        (["plan", "nowhere.yaml", "--json"], "PipelineInvalid"),
        (["data", "show", "nothing", "--json"], "DataInvalid"),
    ],
)
def test_every_verb_with_json_fails_with_one_document(folder: Path, arguments: list[str], kind: str) -> None:
    done = tswork(folder, *arguments)
    assert done.code == 2
    assert done.document["error"]["kind"] == kind
    assert done.document["error"]["message"] == done.err.strip()


@pytest.mark.parametrize(
    "arguments", [["run", "--json"], ["run", "p.yaml", "--nothing", "--json"], ["plan", "--json", "a", "b"]]
)
def test_wrong_arguments_are_told_with_the_usage_and_as_json(folder: Path, arguments: list[str]) -> None:
    done = tswork(folder, *arguments)
    assert done.code == 2
    assert done.document["error"]["exit_code"] == 2
    assert done.err.startswith("Usage: tswork ")


def test_an_interruption_anywhere_is_one_sentence_and_one_document(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tswork.pipeline.plan.make_plan", interrupted)
    done = tswork(folder, "plan", "waves.yaml", "--json")
    assert done.code == 130
    told = "interrupted; finished stages are kept, and `tswork run` goes on from the last checkpoint"
    assert done.err.strip() == told
    assert done.document["error"] == {"kind": "KeyboardInterrupt", "message": told, "exit_code": 130}


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "waves.yaml", "--root", "a_file"),
        ("data", "add", "mine", "waves.npz", "--root", "a_file"),
        ("data", "make", "synthetic_varieties", "a_file/set"),
    ],
)
def test_a_folder_that_is_a_file_is_no_bug_of_ours(folder: Path, arguments: tuple[str, ...]) -> None:
    (folder / "a_file").touch()
    done = tswork(folder, *arguments)
    assert done.code == 1
    assert "a_file" in done.err
    assert "Not a directory" in done.err
    assert "Traceback" not in done.err


def test_a_bug_is_shown_with_its_traceback_and_where_to_report_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("tswork.pipeline.loading.load_pipeline", fail)
    done = tswork(folder, "plan", "waves.yaml", "--json")
    assert done.code == 1
    assert done.document["error"] == {"kind": "ZeroDivisionError", "message": "oops", "exit_code": 1}
    assert "this is a bug of tswork; please report it" in done.err
    assert "Traceback" in done.err
    assert json.loads(done.out)


@pytest.mark.parametrize("name", ["a_file/x.csv", "folder"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("predict", "p.yaml", "waves.npz"),
        ("embed", "p.yaml", "waves.npz"),
        ("schema",),
    ],
)
def test_a_file_that_cannot_be_written_is_told_before_any_work(
    folder: Path, arguments: tuple[str, ...], name: str
) -> None:
    (folder / "a_file").touch()
    (folder / "folder").mkdir()
    done = tswork(folder, *arguments, "--out", name)
    assert done.code == 2
    assert done.err.startswith(f"{name}  cannot be written: {'Not a directory' if '/' in name else 'it is a folder'}")
    assert "Traceback" not in done.err


def test_gc_does_not_count_what_could_not_be_removed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Store(folder / ".tswork" / "store").compute("a" * 64, lambda entry: (entry / "x").write_text("12345"))
    assert tswork(folder, "gc", "--older-than", "0", "--dry-run").out == "would remove 1, 5 B; the store holds 5 B\n"
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)  # as a folder that may not be written
    done = tswork(folder, "gc", "--older-than", "0")
    assert done.code == 1
    assert done.out == "removed 0, 0 B; the store holds 5 B\n"
    assert "1 of 1 could not be removed" in done.err


def test_the_folder_of_a_file_to_write_is_made(folder: Path) -> None:
    assert tswork(folder, "init", "quickstart", "--out", "new folder/Übung/q.yaml").code == 0
    assert (folder / "new folder" / "Übung" / "q.yaml").read_text(encoding="utf-8").startswith("#")


def test_numbers_beside_words_can_be_written_as_parquet(tmp_path: Path) -> None:
    write_frame(pd.DataFrame({"age": [12, "unknown", None], "e0": [0.5, 1.0, 2.0]}), tmp_path / "e.parquet")
    back = pd.read_parquet(tmp_path / "e.parquet")
    assert back["age"].tolist()[:2] == ["12", "unknown"]
    assert back["age"].isna().tolist() == [False, False, True]
    assert back["e0"].tolist() == [0.5, 1.0, 2.0]
