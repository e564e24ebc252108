"""Records of results: what is kept, in how few bytes, what is refused, and that a page from them is the page from the store."""

from __future__ import annotations

import functools
import gzip
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.reports.judged import finetuned, forecasts, judgement
from tswork.metrics.significance import compare_rows
from tswork.reports.compare import compare
from tswork.reports.record_file import RecordsInvalid, read_records, write_records
from tswork.reports.records import Records, UnitRecord, judgement_of, only, record_of
from tswork.tracking.reading import Judgement, MemberRun

FIGURES = {"majority": 0.5, "random": 0.75, "ts2vec": 0.875}


def member_run(run: str = "run", *, experiment: str = "waves", started: int = 1_000, hours: float = 0.5) -> MemberRun:
    return MemberRun(
        run=run,
        experiment=experiment,
        pipeline="waves",
        member="seed=1",
        seed=1,
        status="FINISHED",
        started=started,
        ended=started + round(hours * 3_600_000),
        commit="c" * 40,
        versions={"tswork": "0.1", "torch": "2.9", "tsai": None},
    )


def records(*judged: Judgement, run: MemberRun | None = None) -> Records:
    run = run or member_run()
    results = {(run.experiment, one.key): record_of(one) for one in judged}
    return Records({run.run: run}, {key: one.model_copy(update={"run": run.run}) for key, one in results.items()})


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz"])
def test_records_are_read_as_they_were_written_and_written_again_byte_for_byte(tmp_path: Path, name: str) -> None:
    kept = records(judgement(FIGURES), forecasts())
    write_records(tmp_path / name, kept)
    again = read_records(tmp_path / name)
    assert again == kept
    first = (tmp_path / name).read_bytes()
    write_records(tmp_path / name, again)
    assert (tmp_path / name).read_bytes() == first


def test_scores_that_float32_tells_apart_stay_apart() -> None:
    judged = finetuned({"random": 1.0, "comet": 2.0})
    assert judged.units is not None
    near_one = np.float32(1) - np.arange(len(judged.units), dtype=np.float32) * np.finfo(np.float32).eps / 2
    units = judged.units.assign(**{"score/1": near_one.astype(np.float64)})
    back = judgement_of(record_of(replace(judged, units=units), places=["10%"])).units
    assert back is not None
    for at, frame in back.groupby("at"):
        scores = units[units["at"] == at]["score/1"].nunique()
        assert frame["score/1"].nunique() == scores, at


def test_a_record_for_a_page_of_accuracies_holds_no_scores_and_gives_the_same_test() -> None:
    judged = finetuned({"random": 1.0, "comet": 2.0})
    whole = record_of(judged, places=["10%"])
    slim = only(whole, {"accuracy"})
    assert {name for unit in slim.units for of_row in unit.columns.values() for name in of_row} == {"accuracy"}
    (one,), (other,) = (compare([judgement_of(kept)], metric="accuracy", at="10%") for kept in (slim, whole))
    pd.testing.assert_frame_equal(one.tests, other.tests)
    assert only(whole, {"accuracy", "macro_auroc"}) == whole, "an area needs the scores"
    assert only(slim, {"accuracy"}) == slim


def test_a_record_says_what_the_judgement_says() -> None:
    judged = judgement(FIGURES)
    back = judgement_of(record_of(judged))
    assert (back.stage, back.data, back.key, back.made) == (judged.stage, judged.data, judged.key, judged.made)
    pd.testing.assert_frame_equal(back.rows, judged.rows)
    (one,), (other,) = compare([judged]), compare([back])
    assert one.to_json().keys() == other.to_json().keys()
    pd.testing.assert_frame_equal(one.scores, other.scores)
    pd.testing.assert_frame_equal(one.tests, other.tests)


def test_the_test_of_a_forecast_from_its_record_is_that_of_all_its_starts() -> None:
    judged = forecasts()
    (one,), (other,) = (
        compare([judged], candidate="ts2vec"),
        compare([judgement_of(record_of(judged))], candidate="ts2vec"),
    )
    pd.testing.assert_frame_equal(one.tests, other.tests, rtol=1e-4)
    assert len(one.tests) == 11


def test_a_record_is_small(tmp_path: Path) -> None:
    judged = forecasts()
    assert judged.units is not None
    for name, limit in (("x.jsonl", 12_000), ("x.jsonl.gz", 6_000)):
        write_records(tmp_path / name, records(judged))
        assert (tmp_path / name).stat().st_size < limit
    assert judged.units.shape == (2161 * 36, 6)


def test_places_that_a_page_names_are_kept_beside_the_whole() -> None:
    judged = forecasts(starts=900, horizons=(24, 48))
    assert judged.units is not None
    record = record_of(judged, places=("h24", "h96"))
    assert [one.at for one in record.units] == ["", "h24"]
    back = judgement_of(record).units
    assert back is not None
    for at, there in (("", judged.units), ("h24", judged.units[judged.units["at"] == "h24"])):
        expected = compare_rows(there, "mse", candidate="ts2vec", kind="time")
        found = compare_rows(back[back["at"] == at], "mse", candidate="ts2vec", kind="time")
        pd.testing.assert_frame_equal(found, expected, rtol=1e-4)
    (one,), (other,) = compare([judged], candidate="ts2vec"), compare([judgement_of(record)], candidate="ts2vec")
    pd.testing.assert_frame_equal(one.tests, other.tests, rtol=1e-4)


def test_what_a_classifier_said_of_each_item_is_kept_where_areas_can_be_tested() -> None:
    judged = judgement(FIGURES)
    assert judged.units is not None
    draw = np.random.default_rng(0)
    scored = judged.units.assign(level="p1", truth=1, predicted=draw.integers(2, size=len(judged.units)))
    scored["score/0"], scored["at"] = draw.random(len(scored)).round(5), "10%"
    scored = pd.concat([scored, scored.assign(at="100%", truth=0)], ignore_index=True)
    back = judgement_of(record_of(replace(judged, units=scored))).units
    assert back is not None
    pd.testing.assert_frame_equal(back[list(scored)], scored)
    (one,) = compare([replace(judged, units=scored)])
    (other,) = compare([judgement_of(record_of(replace(judged, units=scored)))])
    pd.testing.assert_frame_equal(one.tests, other.tests)


def test_figures_that_are_not_finite_and_metrics_of_some_rows_pass() -> None:
    judged = judgement({**FIGURES, "random": math.nan})
    assert judged.units is not None
    judged.units.loc[judged.units["row"] == "random", "accuracy"] = math.nan
    record = record_of(judged)
    assert record.rows[1].values == {"accuracy": {"": None}}
    assert record.units[0].columns["random"] == {}
    back = judgement_of(record)
    pd.testing.assert_frame_equal(back.rows, judged.rows)
    assert back.units is not None
    assert set(back.units["row"]) == {"majority", "ts2vec"}
    assert (
        judgement_of(record_of(Judgement("run", "probe", "waves", "k", judged.made, judged.rows, None))).units is None
    )


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"columns of different lengths \(2, 3\)"):
        UnitRecord(unit=0, group=("a", "b"), size=1, pieces=0, columns={"ts2vec": {"accuracy": (1.0, 0.0, 1.0)}})


def test_what_stands_in_both_is_taken_from_the_first_and_nothing_is_counted_twice() -> None:
    old, new = member_run("a", started=1), member_run("b", started=2)
    first, second, both = (judgement({**FIGURES, "ts2vec": value}, key=str(value)) for value in (0.1, 0.2, 0.3))
    first, second = (replace(one, stage=f"of {one.key}") for one in (first, second))
    here = records(first, both, run=new)
    united = here.union(records(second, both, run=old))
    assert [(one.key, one.run) for one in united.newest_first(["waves"])] == [("0.1", "b"), ("0.3", "b"), ("0.2", "a")]
    assert united.hours(["waves"]) == 1.0
    assert united.union(here).hours(["waves"]) == 1.0


def test_what_was_judged_again_with_other_options_has_its_newest_result_alone() -> None:
    before, after, other = (judgement(FIGURES, key=key) for key in ("before", "after", "other"))
    other = replace(other, made={**other.made, "seed": 1000})
    united = records(before, run=member_run("a", started=1)).union(
        records(after, other, run=member_run("b", started=2))
    )
    assert {one.key for one in united.newest_first(["waves"])} == {"after", "other"}
    assert united.hours(["waves"]) == 0.5
    elsewhere = records(
        judgement(FIGURES, key="elsewhere"), run=member_run("c", started=1).model_copy(update={"member": "seed=8"})
    )
    assert {one.key for one in united.union(elsewhere).newest_first(["waves"])} == {"after", "other", "elsewhere"}


def test_without_what_was_replaced_a_page_says_the_same() -> None:
    before, again, after, other, more = (
        judgement(FIGURES, key=key) for key in ("before", "again", "after", "other", "more")
    )
    other = replace(other, stage="other")
    every = [
        records(before, run=member_run("replaced", started=1, hours=4)),
        records(after, run=member_run("newer", started=2)),
        records(again, other, run=member_run("replaced in part", started=1).model_copy(update={"seed": 9})),
        records(run=member_run("failed", started=3)),
        records(more, run=member_run("elsewhere", started=1, experiment="more")),
    ]
    whole = functools.reduce(Records.union, every)
    short = whole.without_replaced()
    assert set(whole.runs) - set(short.runs) == {"replaced"}
    assert set(whole.results) - set(short.results) == {("waves", "before"), ("waves", "again")}
    for experiments in (["waves"], ["more"], ["waves", "more"]):
        assert short.newest_first(experiments) == whole.newest_first(experiments)
        assert short.hours(experiments) == whole.hours(experiments)
    assert short.without_replaced() == short


def test_members_without_any_result_do_not_count_as_hours_of_a_table() -> None:
    begun = member_run("begun", started=3, hours=7).model_copy(update={"member": "seed=2", "seed": 2})
    earlier = member_run("interrupted", started=1, hours=1)
    united = records(judgement(FIGURES), run=member_run("a", started=2)).union(records(run=begun))
    assert united.union(records(run=earlier)).hours(["waves"]) == 1.5


def test_a_result_of_two_experiments_counts_once_on_a_page_of_both() -> None:
    judged = judgement(FIGURES, key="k")
    united = records(judged, run=member_run("a")).union(
        records(judged, run=member_run("b", experiment="more", started=5_000))
    )
    assert [one.run for one in united.newest_first(["waves", "more"])] == ["b"]
    assert [one.run for one in united.newest_first(["waves"])] == ["a"]
    assert united.hours(["waves"]) == 0.5
    assert united.experiments == {"waves", "more"}


def faults(path: Path) -> list[str]:
    with pytest.raises(RecordsInvalid) as refused:
        read_records(path)
    return [str(problem).replace(f"{path}", "x") for problem in refused.value.problems]


def written(folder: Path) -> Path:
    path = folder / "x.jsonl"
    write_records(path, records(judgement(FIGURES, key="k")))
    return path


AGAIN = "Take the file as it was before, or write it anew with `tswork report PAGE --keep` where the runs still are."


def _without_runs(text: str) -> str:
    header, _, result = text.splitlines()
    return f"{header}\n{result}\n"


@pytest.mark.parametrize(
    ("alter", "fault"),
    [
        (lambda text: text.replace("0.875", "0.975"), f"x:3:1  digest: this result was altered: its digest is another. {AGAIN}"),
        (lambda text: text.replace('"seed":1,"status"', '"seed":2,"status"'), f"x:2:1  digest: this run was altered: its digest is another. {AGAIN}"),
        (lambda text: text.rpartition("\n{")[0] + "\n", f"x:1:1  lines were removed, added or moved. {AGAIN}"),
        (_without_runs, f"x:1:1  lines were removed, added or moved. {AGAIN}"),
        (lambda text: text[:-40], f"x:3:1  is not a JSON object. {AGAIN}"),
        (lambda text: text.replace('"kind":"run"', '"kind":"ran"'), f"x:2:1  kind: should be one of run, result, not 'ran'. {AGAIN}"),
        (lambda text: text.replace('"version":1,"lines"', '"version":2,"lines"'), "x:1:1  version: is of version 2; this tswork reads version 1. Use the tswork that wrote it, or write it anew with `tswork report PAGE --keep`."),
        (lambda text: "a,b\n1,2\n", "x:1:1  is not a file of results. Name a file that `tswork report PAGE --keep` wrote."),
        (lambda text: "", "x:1:1  is not a file of results. Name a file that `tswork report PAGE --keep` wrote."),
        (lambda text: "[" * 100_000, "x:1:1  is not a file of results. Name a file that `tswork report PAGE --keep` wrote."),
    ],
)  # fmt: skip
def test_what_was_altered_is_refused_where_it_stands(tmp_path: Path, alter: Callable[[str], str], fault: str) -> None:
    path = written(tmp_path)
    before = path.read_text()
    path.write_text(alter(before))
    assert path.read_text() != before
    assert faults(path) == [fault]


def test_all_altered_lines_are_told_at_once(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_text(path.read_text().replace("0.875", "0.5").replace('"seed":1,"status"', '"seed":2,"status"'))
    assert [one[:3] for one in faults(path)] == ["x:2", "x:3"]


def test_a_line_of_another_form_is_refused_though_its_digests_are_right(tmp_path: Path) -> None:
    from tswork.reports import record_file

    path = tmp_path / "x.jsonl"
    block = {**member_run().model_dump(), "started": "yesterday", "hours": 3}
    line = record_file._line("run", block)
    header = {"format": "tswork results", "version": 1, "lines": 1, "digest": record_file._digest(line)}
    path.write_text(f"{json.dumps(header)}\n{line}\n")
    told = faults(path)
    assert "x:2:1  started: should be a valid integer, not 'yesterday'" in told
    assert any(one.startswith("x:2:1  hours: unknown key") for one in told)


def test_files_that_are_no_files_of_records_are_refused(tmp_path: Path) -> None:
    whole = written(tmp_path).read_bytes()
    packed = gzip.compress(whole)
    contents: list[tuple[Any, str]] = [
        (packed[:-30], f"x  is cut off or damaged. {AGAIN}"),
        (packed[:40] + b"\0" * 20 + packed[60:], f"x  is cut off or damaged. {AGAIN}"),
        (whole, f"x  is not a gzip file. {AGAIN}"),
    ]
    path = tmp_path / "x.jsonl.gz"
    for content, fault in contents:
        path.write_bytes(content)
        assert faults(path) == [fault]
    (tmp_path / "y.jsonl").write_bytes(b"\xff\xfe")
    assert "is not UTF-8 text" in faults(tmp_path / "y.jsonl")[0]
    assert faults(tmp_path / "z.jsonl") == [
        "x  there is no such file. `tswork report PAGE --keep` writes it; else take it out of `records`."
    ]
