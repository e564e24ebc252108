"""A data block: what is known, what is refused, and that everything wrong is told at once with its place."""

from __future__ import annotations

from typing import Any

import pytest

from tswork.data.spec import DataSpec, read_spec
from tswork.errors import DataInvalid
from tswork.source import parse_yaml

BLOCK: dict[str, Any] = {"reader": "series_csv", "path": "load.csv"}


def told(text: str) -> list[str]:
    spec, problems = read_spec(parse_yaml(text, "d.yaml"))
    assert spec is None
    return [str(problem) for problem in problems]


def test_options_of_all_sets_and_of_the_reader_stand_side_by_side() -> None:
    spec = DataSpec.parse({**BLOCK, "target": "load", "groups": "who", "channels": "x", "layout": "long", "rate": 2.0})
    assert (spec.options.target, spec.options.groups, spec.options.channels) == (("load",), ("who",), ("x",))
    assert (spec.reader.name, spec.reader.config.layout, spec.options.rate) == ("series_csv", "long", 2.0)  # type: ignore[attr-defined]


def test_all_faults_are_told_at_once_with_their_places() -> None:
    text = """\
reader: series_csv
path: load.csv
labl: y
layout: tall
rate: -1
prepare: [{uses: standardise}, {uses: segment, steps: 0}]
split: {by: time, fractions: [.5, .6, .2], counts: [1, 2], index: 0}
covariates: [x]
"""
    assert told(text) == [
        "d.yaml:5:7  rate: should be greater than 0, not -1",
        "d.yaml:6:18  prepare[0].uses: no preparation is called 'standardise'. Did you mean 'standardize'?",
        "d.yaml:6:55  prepare[1].steps: should be greater than or equal to 1, not 0",
        "d.yaml:3:1  labl: unknown key. Did you mean 'label'?",
        "d.yaml:4:9  layout: should be 'wide', 'long' or 'rows', not 'tall'",
    ]


def test_contradictions_are_told_at_once_with_their_places() -> None:
    text = """\
reader: series_csv
path: load.csv
channels: [y]
covariates: [x]
split: {by: time, fractions: [.5, .6, .2], counts: [1, 2], index: 0}
"""
    assert told(text) == [
        "d.yaml:4:13  covariates: give `covariates` or `channels`, not both",
        "d.yaml:4:13  covariates: there are covariates and no target. Name what is forecast with `target:`.",
        "d.yaml:5:8  split: give one of counts and fractions",
        "d.yaml:5:67  split.index: goes with folds or repeats",
        "d.yaml:5:52  split.counts: should be 3 values: training, validation and test; 2 are given",
        "d.yaml:5:30  split.fractions: should be shares of at least 0 that sum to at most 1",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("path: x", "d.yaml:1:1  no reader is named. Name a card (`card: NAME`) or a reader (`reader: series_csv`)."),
        ("reader: series_cvs", "d.yaml:1:9  reader: no reader is called 'series_cvs'. Did you mean 'series_csv'?"),
        ("reader: series_csv", "d.yaml:1:1  path: is missing"),
        ("- a", "d.yaml:1:1  should be a block of keys"),
        ("reader: series_csv\npath: x\nfiles: [{name: x, sha256: abc}]", "d.yaml:3:27  files[0].sha256: should match pattern '^[0-9a-f]{64}$', not 'abc'"),
        ("reader: series_csv\npath: x\nfiles: [{name: x, url: 'ftp://x'}]", "d.yaml:3:24  files[0].url: should match pattern '^https?://', not 'ftp://x'"),
        ("reader: series_csv\npath: x\nprepare: [{uses: segment}]", "d.yaml:3:11  prepare[0]: give `seconds` or `steps`"),
        ("reader: series_csv\npath: x\nprepare: [{uses: bandpass, low: 3, high: 2}]", "d.yaml:3:11  prepare[0]: `low` (3 Hz) should be below `high` (2 Hz)"),
        ("reader: manifest\npath: x\ndecoders: [{uses: cvs}]", "d.yaml:3:19  decoders[0].uses: no decoder is called 'cvs'. Did you mean 'csv'?"),
        ("reader: manifest\npath: x\ndecoders: [{uses: csv, seperator: ';'}]", "d.yaml:3:24  decoders[0].seperator: unknown key. Did you mean 'separator'?"),
    ],
)  # fmt: skip
def test_a_fault_is_told_where_it_stands(text: str, fault: str) -> None:
    assert told(text) == [fault]


@pytest.mark.parametrize(
    ("split", "fault"),
    [
        ({"by": "time"}, "split: a split in time needs counts, fractions or dates"),
        ({"by": "time", "fractions": [0.8, 0.2]}, "split.fractions: should be 3 values: training, validation and test; 2 are given"),
        ({"by": "time", "dates": ["2020-01-01", "2019-01-01", "2021-01-01"]}, "split.dates: should rise: first of validation, first of test, end of test"),
        ({"by": "time", "dates": ["2020-01-01", "soon", "2021-01-01"]}, "split.dates: should be ISO 8601 dates, not 'soon'"),
        ({"by": "time", "counts": [1, -1, 2]}, "split.counts: should not be negative"),
        ({"by": "official", "dates": ["2020-01-01", "2020-02-01", "2021-01-01"]}, "split.dates: goes with `by: time`"),
        ({"by": "official", "fractions": [0.6, 0.2, 0.2]}, "split.fractions: should be 2 values: training and validation; 3 are given"),
        ({"by": "official", "folds": 3}, "split.folds: goes with `by: groups`"),
        ({"by": "groups", "folds": 3, "repeats": 2}, "split: give folds or repeats, not both"),
        ({"by": "groups", "folds": 3, "index": 3}, "split.index: should be below folds (3)"),
        ({"by": "groups", "folds": 3, "counts": [1, 1, 1]}, "split.counts: does not go with folds"),
        ({"by": "groups", "folds": 3, "fractions": [0.6, 0.2, 0.2]}, "split.fractions: should be 2 values: training and validation; 3 are given"),
    ],
)  # fmt: skip
def test_a_split_that_contradicts_itself_is_refused_before_data_are_read(split: dict[str, Any], fault: str) -> None:
    with pytest.raises(DataInvalid) as refused:
        DataSpec.parse({**BLOCK, "split": split})
    assert str(refused.value) == fault


def test_what_describes_and_where_files_lie_does_not_change_keys_and_everything_else_does() -> None:
    plain = DataSpec.parse(BLOCK).keyed()
    for same in ({"title": "x"}, {"path": "other.csv"}, {"name": "x"}, {"flaws": ["y"]}, {"licence": "MIT"}):
        assert DataSpec.parse({**BLOCK, **same}).keyed() == plain
    for other in (
        {"rate": 2.0},
        {"missing": "refuse"},
        {"layout": "rows"},
        {"prepare": [{"uses": "standardize"}]},
        {"separator": ";"},
    ):
        assert DataSpec.parse({**BLOCK, **other}).keyed() != plain
