"""What the recordings of one collection must have in common: channels, their units, and the rate."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tswork.data.channels import choose_channels, near_channel
from tswork.data.faults import each, once, some
from tswork.data.readers.decoders.base import Outline
from tswork.data.spec import DataOptions
from tswork.errors import Problem
from tswork.wording import counted

RowProblem = Callable[[int, str, str], Problem]
"""A problem of one recording, from its row in the manifest, what is wrong, and how to mend it."""

ELSEWHERE = (
    "Leave out `rate:`, which the files tell, and change it afterwards: `prepare: [{uses: resample, rate: ...}]`."
)
RESAMPLED = "Give `rate:`; sound is brought to it as it is decoded."


@dataclass(frozen=True)
class Common:
    """Channels that are read, in order, and samples a second (None: no file tells)."""

    channels: tuple[str, ...]
    rate: float | None


def agree(
    outlines: Sequence[tuple[int, Outline]], options: DataOptions, problem: RowProblem
) -> tuple[Common, list[Problem]]:
    """What recordings (row, outline) have in common, and a problem for each that differs from most."""
    channels, faults = _channels(outlines, options, problem)
    rate, differing = _rate(outlines, options, problem)
    differing += _units(outlines, channels, problem)
    empty = [row for row, outline in outlines if outline.length == 0]
    faults += each(empty, lambda row: problem(row, "has no time steps", ""), rest="recordings without time steps")
    return Common(channels, rate), [*faults, *differing]


def _channels(
    outlines: Sequence[tuple[int, Outline]], options: DataOptions, problem: RowProblem
) -> tuple[tuple[str, ...], list[Problem]]:
    usual = Counter(outline.channels for _, outline in outlines).most_common(1)[0][0]
    if options.channels is None and options.covariates is None and not options.target:
        other = [(row, outline.channels) for row, outline in outlines if outline.channels != usual]
        remedy = "Choose common ones with `channels:`."
        differing = each(
            other,
            lambda one: problem(one[0], _difference(one[1], usual), remedy),
            rest="recordings with other channels",
        )
        return usual, list(differing)
    wanted, asked_wrong = choose_channels(usual, options)
    if asked_wrong and len({outline.channels for _, outline in outlines}) == 1:
        return tuple(wanted), asked_wrong
    lacking = [
        (row, name, outline.channels) for row, outline in outlines for name in wanted if name not in outline.channels
    ]

    def lacks(one: tuple[int, str, tuple[str, ...]]) -> Problem:
        return problem(one[0], f"has no channel {one[1]!r}", near_channel(one[1], one[2]))

    return tuple(wanted), list(each(lacking, lacks, rest="channels that are not there"))


def _difference(own: tuple[str, ...], usual: tuple[str, ...]) -> str:
    """What tells the channels of a recording from those that most have."""
    lacking, more = (
        [repr(name) for name in (Counter(one) - Counter(other)).elements()]
        for one, other in ((usual, own), (own, usual))
    )
    if lacking or more:
        parts = [f"lacks {some(lacking)}"] if lacking else []
        parts += [f"has {some(more)} besides"] if more else []
        return f"{' and '.join(parts)}; most recordings have {counted(len(usual), 'channel')} ({some(usual)})"
    mine, theirs = next(pair for pair in zip(own, usual, strict=True) if pair[0] != pair[1])
    return f"has its channels in another order: {mine!r} stands where most recordings have {theirs!r}"


def _units(outlines: Sequence[tuple[int, Outline]], channels: Sequence[str], problem: RowProblem) -> list[Problem]:
    """Recordings that have some of the channels in another unit than most."""
    told = [(row, dict(zip(one.channels, one.units, strict=True))) for row, one in outlines if one.units is not None]
    usual: dict[str, str] = {}
    for name in channels:
        counted = Counter(units[name] for _, units in told if name in units)
        usual |= {name: counted.most_common(1)[0][0]} if counted else {}
    other = []
    for row, units in told:
        pairs: dict[tuple[str, str], list[str]] = {}
        for name, unit in usual.items():
            pairs.setdefault((units.get(name, unit), unit), []).append(repr(name))
        other += [(row, own, unit, names) for (own, unit), names in pairs.items() if own != unit]
    remedy = "Let the decoder convert them: `decoders: [{uses: NAME, unit: mV}]`."

    def differs(one: tuple[int, str, str, list[str]]) -> Problem:
        row, own, unit, names = one
        return problem(row, f"has {some(names)} in {own or 'no unit'}, most recordings in {unit or 'no unit'}", remedy)

    return list(each(other, differs, rest="recordings in other units"))


def _rate(
    outlines: Sequence[tuple[int, Outline]], options: DataOptions, problem: RowProblem
) -> tuple[float | None, list[Problem]]:
    told = Counter(outline.rate for _, outline in outlines if outline.rate is not None)
    if not told:
        return options.rate, []
    usual = options.rate if options.rate is not None else told.most_common(1)[0][0]
    alike = len(told) == 1  # then it is `rate:` that does not fit

    def wrong() -> Iterator[tuple[int, str, str]]:
        for row, outline in outlines:
            sound = outline.file_rate is not None
            remedy = RESAMPLED if sound else ELSEWHERE if alike else "Convert it to the common rate, or leave it out."
            if outline.rate is None and options.rate is None:
                yield row, f"does not tell its rate, others have {usual:g} samples a second", "Give `rate:`."
            elif outline.rate is not None and not math.isclose(outline.rate, usual, rel_tol=1e-9):
                norm = "`rate:` says" if options.rate is not None else "most recordings have"
                yield row, f"has {outline.rate:g} samples a second, {norm} {usual:g}", remedy

    found = list(wrong())
    if alike and len(found) == len(outlines):
        return usual, once([problem(*one) for one in found], of=len(outlines), what="recordings")
    return usual, list(each(found, lambda one: problem(*one), rest="recordings of another rate"))
