"""A page of results in Markdown, from finished runs: tables with controls, published figures and the test of a difference.

Every figure is read from the runs; what the page's file adds are titles, labels, text and published figures. Below each
table stands what training added to each judged row: the paired difference to the untrained encoder of the same shape.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tswork.protocols.base import starts_of
from tswork.reports.cells import best, by_row, interval, label, remarks, shown, spread, tested
from tswork.reports.compare import Comparison, compare
from tswork.reports.page_spec import PageSpec, SectionSpec
from tswork.reports.section import compared, of_stage
from tswork.reports.variant_table import variant_tables
from tswork.wording import counted, decimals, markdown_table

if TYPE_CHECKING:
    from tswork.tracking.reading import Judgement


@dataclass(frozen=True, eq=False)
class Material:
    """What a section is written from: its judgements, the newest first, and the hours that all its runs took."""

    judged: Sequence[Judgement]
    hours: float


def write_page(spec: PageSpec, materials: Sequence[Material], *, command: str) -> str:
    """The page. `command` is named as what wrote it. Raises `SectionEmpty` for a section without results."""
    parts = [f"# {spec.title}", f"Written by `{command}` from finished runs; not edited by hand.", spec.text.strip()]
    for section, material in zip(spec.sections, materials, strict=True):
        parts += _section(section, material)
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(spec: SectionSpec, material: Material) -> Iterator[str]:
    yield f"## {spec.title}"
    yield spec.text.strip()
    judged = of_stage(material.judged, spec)
    yield from variant_tables(spec, judged) if spec.variants else _tables(spec, material, judged)
    hours = f"{material.hours:.1f} hours" if material.hours >= 0.05 else "less than 0.1 hours"
    took = f"the runs of this table took {hours} by the clock"
    yield f"{counted(len(judged), 'result')}; {took}, stages that were found in the store apart."


def _tables(spec: SectionSpec, material: Material, judged: Sequence[Judgement]) -> Iterator[str]:
    """Rows down: a table for each data set, or one for all."""
    by_metric = [compared(judged, spec, metric=metric) for metric in spec.metrics or (None,)]
    first = by_metric[0]
    sets = list(dict.fromkeys(first.scores["data"]))
    if spec.over_sets:
        yield _over_sets(spec, first, sets)
    else:
        for data in sets:
            yield f"**{data}**" if len(sets) > 1 else ""
            yield _table(spec, by_metric, data)
            yield _training(spec, material, first, data)
    yield from remarks(first.notes)


def _table(spec: SectionSpec, by_metric: Sequence[Comparison], data: str) -> str:
    """Rows down; a column for each metric, its published figure, and the test of the first metric."""
    first = by_metric[0]
    published = bool(spec.published)
    heads = ["row"]
    for one in by_metric:
        heads += [one.metric, *(["published"] if published else [])]
    heads += ["seeds", f"{label(spec, first.candidate)} minus row", "significant"]
    splits = by_row(first.over_splits[first.over_splits["data"] == data]) if len(first.over_splits) else {}
    if splits:
        heads += ["over splits", "significant"]
    scores = [by_row(one.scores[one.scores["data"] == data]) for one in by_metric]
    tests = by_row(first.tests[first.tests["data"] == data]) if len(first.tests) else {}
    first_row = best(spec, scores[0], greater=first.greater_is_better)
    lines = []
    for row in shown(spec, scores[0]):
        cells = [f"**{label(spec, row)}**" if row == first_row else label(spec, row)]
        for number, table in enumerate(scores):
            cells.append(spread(table.get(row)))
            if published:
                figures = spec.published.get(row, ())
                cells.append(f"{figures[number]:g}" if number < len(figures) else "")
        cells += [f"{scores[0][row]['seeds']:.0f}", *tested(tests.get(row))]
        cells += tested(splits.get(row)) if splits else []
        lines.append(cells)
    return markdown_table(heads, lines)


def _over_sets(spec: SectionSpec, one: Comparison, sets: Sequence[str]) -> str:
    """Rows down, data sets across, with the mean over those that every row has, and the rank test over sets."""
    cells = {(str(line["row"]), str(line["data"])): float(line["mean"]) for line in one.scores.to_dict("records")}
    rows = shown(spec, by_row(one.scores))
    shared = [name for name in sets if all(not math.isnan(cells.get((row, name), math.nan)) for row in rows)]
    tests = by_row(one.over_sets) if one.over_sets is not None and len(one.over_sets) else {}
    heads = ["row", f"mean of {len(shared)}", "wins / ties / losses", "p (Holm)", *sets]
    lines = []
    for row in rows:
        mean = sum(cells[row, name] for name in shared) / len(shared) if shared else math.nan
        test = tests.get(row)
        ranks = "" if test is None else f"{test['wins']} / {test['ties']} / {test['losses']}"
        p = "" if test is None or math.isnan(test["p_holm"]) else f"{test['p_holm']:.3g}"
        figures = [decimals(cells.get((row, name)), 3) for name in sets]
        lines.append([label(spec, row), decimals(mean), ranks, p, *figures])
    told = f"Wins, ties and losses are those of {label(spec, one.candidate)} against the row, over data sets."
    return f"{markdown_table(heads, lines)}\n\n{told}"


def _training(spec: SectionSpec, material: Material, one: Comparison, data: str) -> str:
    """For every judged row a sentence on what training added to the untrained encoder of its shape."""
    scores = by_row(one.scores[one.scores["data"] == data])
    sentences = []
    for row in shown(spec, scores):
        control = _untrained(row, scores)
        if scores[row]["role"] != "candidate" or control is None:
            continue
        against = (
            one if row == one.candidate else compare(material.judged, metric=one.metric, candidate=row, at=spec.at)[0]
        )
        tests = against.tests
        line = tests[(tests["data"] == data) & (tests["row"] == control)] if len(tests) else tests
        if len(line):
            sentence = _sentence(spec, row, scores, control, line.iloc[0].to_dict(), one.metric)
            sentences.append(f"{sentence}{_over_splits(against, data, control)}")
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _untrained(row: str, scores: dict[str, dict[Any, Any]]) -> str | None:
    """The encoder that a judged row began as, its own or the one that all share: as loaded where it is pretrained."""
    controls = {name.partition(" (")[0]: name for name in reversed(scores) if scores[name]["role"] == "control"}
    wanted = starts_of(row.partition(" (")[0])
    return next((controls[name] for name in wanted if name in controls), None)


def _sentence(
    spec: SectionSpec, row: str, scores: dict[str, Any], control: str, test: dict[Any, Any], metric: str
) -> str:
    before, after = scores[control]["mean"], scores[row]["mean"]
    text = f"{label(spec, row)}: training takes {metric} from {before:.4f} to {after:.4f}"
    if math.isnan(test["low"]):
        return f"{text} ({test['note']}: not tested)."
    verdict = "a significant difference" if test["significant"] else "not a significant difference"
    alone = f"a test of this row alone would find {test['detectable']:.4f}"
    return f"{text}, {verdict} ({interval(test)}; {alone})."


def _over_splits(one: Comparison, data: str, control: str) -> str:
    """What the test over splits says of training, where there are enough splits."""
    if not len(one.over_splits):
        return ""
    lines = one.over_splits[(one.over_splits["data"] == data) & (one.over_splits["row"] == control)]
    if not len(lines):
        return ""
    test = lines.iloc[0].to_dict()
    if math.isnan(test["low"]):
        return f" Over splits: {test['note']}."
    verdict = "significant" if test["significant"] else "not significant"
    figures = f"{test['difference']:+.4f} ({interval(test)})"
    return f" Over {test['pairs']:.0f} splits the difference is {figures}, {verdict}; better in {test['wins']:.0f} of them."
