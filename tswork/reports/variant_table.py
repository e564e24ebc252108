"""One table for a sweep over an option, such as the encoder: a line for each of its values, the judged rows across.

Lines are compared within themselves alone: the candidate against the rows of the same line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tswork.reports.cells import best, by_row, label, remarks, shown, spread, tested
from tswork.reports.compare import Comparison
from tswork.reports.page_spec import SectionSpec
from tswork.reports.section import SectionEmpty, compared
from tswork.wording import markdown_table

if TYPE_CHECKING:
    from tswork.tracking.reading import Judgement


def variant_tables(spec: SectionSpec, judged: Sequence[Judgement]) -> Iterator[str]:
    """A table for each data set. Raises `SectionEmpty` for a line without results, and for lines that share some."""
    metric = spec.metrics[0] if spec.metrics else None
    lines = {name: compared(group, spec, metric=metric) for name, group in _groups(spec, judged).items()}
    sets = sorted({str(data) for one in lines.values() for data in one.scores["data"]})
    for data in sets:
        yield f"**{data}**" if len(sets) > 1 else ""
        yield _table(spec, lines, data)
    yield from remarks(note for one in lines.values() for note in one.notes)


def _groups(spec: SectionSpec, judged: Sequence[Judgement]) -> dict[str, list[Judgement]]:
    """The judgements of each line: those all of whose methods hold its options."""
    found: dict[str, list[Judgement]] = {name: [] for name in spec.variants}
    for one in judged:
        fitting = [name for name, part in spec.variants.items() if _holds(one, part)]
        if len(fitting) > 1:
            raise SectionEmpty(spec.title, f"a result is of two variants: {', '.join(fitting)}")
        for name in fitting:
            found[name].append(one)
    if empty := [name for name, group in found.items() if not group]:
        raise SectionEmpty(spec.title, f"there are no results of the variants {', '.join(empty)}")
    return found


def _holds(one: Judgement, part: Mapping[str, Any]) -> bool:
    return all(_within(part, block) for block in one.made["judged"].values())


def _within(part: Any, block: Any) -> bool:
    """Whether a block has all these options with these values."""
    if isinstance(part, Mapping) and isinstance(block, Mapping):
        return all(key in block and _within(value, block[key]) for key, value in part.items())
    return bool(part == block)


def _table(spec: SectionSpec, lines: Mapping[str, Comparison], data: str) -> str:
    scores = {name: by_row(one.scores[one.scores["data"] == data]) for name, one in lines.items()}
    rows = list(dict.fromkeys(row for line in scores.values() for row in shown(spec, line)))
    candidate = next(iter(lines.values())).candidate
    others = [row for row in rows if row != candidate]
    heads = ["", *(label(spec, row) for row in rows), "seeds"]
    for row in others:
        heads += [f"{label(spec, candidate)} minus {label(spec, row)}", "significant"]
    table = []
    for name, one in lines.items():
        line = scores[name]
        tests = by_row(one.tests[one.tests["data"] == data]) if len(one.tests) else {}
        first = best(spec, line, greater=one.greater_is_better)
        figures = [f"**{spread(line[row])}**" if row == first else spread(line.get(row)) for row in rows]
        seeds = f"{line[candidate]['seeds']:.0f}" if candidate in line else "-"
        table.append([name, *figures, seeds, *(cell for row in others for cell in tested(tests.get(row)))])
    return markdown_table(heads, table)
