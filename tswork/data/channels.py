"""Which channels and columns of a file a data block asks for; covariates stand before targets."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tswork.data.spec import DataOptions
from tswork.errors import Location, Problem, did_you_mean


def near_channel(name: str, known: Sequence[str]) -> str:
    """A hint at the channel that was probably meant: one that has the name as a word (`EEG Fp1-Ref` for `Fp1`), or a near one."""
    words = [one for one in known if name.casefold() in re.split(r"[\W_]+", one.casefold())]
    return f"Did you mean {words[0]!r}?" if words else did_you_mean(name, known)


def choose_channels(
    available: Sequence[str], options: DataOptions, *, place: Location | None = None
) -> tuple[list[str], list[Problem]]:
    """The channels that a data block asks for, or a problem for each that is not there.

    With a target the named covariates come first and the targets last; without one all of `channels`, else everything that
    is there.
    """
    others = options.covariates if options.covariates is not None else options.channels
    if others is None:
        others = () if options.target else tuple(available)
    wanted = [*(name for name in others if name not in options.target), *options.target]
    problems = [
        Problem(f"there is no channel {name!r}", _key_of(name, options), place, near_channel(name, available))
        for name in wanted
        if name not in available
    ]
    problems += [
        Problem(f"names {name!r} twice", _key_of(name, options), place)
        for name in sorted({one for one in wanted if wanted.count(one) > 1})
    ]
    if not wanted:
        problems.append(Problem("no column is left to be a channel", "data.channels", place))
    return wanted, problems


def _key_of(name: str, options: DataOptions) -> str:
    """The key of a data block that names a channel."""
    if name in options.target:
        return "data.target"
    return "data.channels" if options.covariates is None else "data.covariates"


def renaming_problems(names: Sequence[str], options: DataOptions, place: Location | None = None) -> list[Problem]:
    """What is wrong with `columns`, seen from the names after renaming: columns that are not there, or called alike."""
    problems = []
    for our, theirs in options.columns.items():
        if our not in names:
            remedy = did_you_mean(theirs, [name for name in names if name])
            problems.append(Problem(f"there is no column {theirs!r}", f"data.columns.{our}", place, remedy))
        elif names.count(our) > 1:
            problems.append(Problem(f"two columns would be called {our!r}", f"data.columns.{our}", place))
    return problems


def column_problems(columns: Sequence[str], options: DataOptions, place: Location | None = None) -> list[Problem]:
    """Label and group columns that a table does not have."""
    wanted = [("label", options.label), ("label_per", options.label_per), *(("groups", one) for one in options.groups)]
    return [
        Problem(f"there is no column {name!r}", f"data.{kind}", place, did_you_mean(name, columns))
        for kind, name in wanted
        if name is not None and name not in columns
    ]
