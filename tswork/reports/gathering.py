"""What a page is written from: the runs in the store and the records in files, together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tswork.data.places import Places
from tswork.errors import ComponentUnknown, UserError
from tswork.reports.page import Material
from tswork.reports.page_spec import PageSpec
from tswork.reports.record_file import read_records, write_records
from tswork.reports.records import Records, headline, judgement_of, only, record_of
from tswork.reports.sources import experiment_of
from tswork.tracking.client import NothingRecorded, Tracking
from tswork.tracking.reading import experiments, judgements, member_runs


@dataclass
class NowhereToKeep(UserError):
    """A page was asked to keep its records and names no file for them."""

    page: str

    def __str__(self) -> str:
        return f"{self.page} names no file to keep results in. Add `records: [NAME.records.jsonl.gz]` to it."


@dataclass(frozen=True)
class Gathered:
    """Materials of a page's sections, and the records they were taken from."""

    materials: tuple[Material, ...]
    records: Records


def gather(spec: PageSpec, page: Path, places: Places, *, more: Sequence[Path] = (), keep: bool = False) -> Gathered:
    """The runs of the page's experiments in the store, the records in the page's files, and those in `more` files.

    A result that stands in several places is taken once: from the store, else from the first file. With `keep` all of them that
    no newer one has replaced are written to the page's first file of records, which need not be there yet. Raises `RecordsInvalid`,
    `ComponentUnknown` for an experiment that is nowhere, `NothingRecorded` when there are neither runs nor files.
    """
    if keep and not spec.records:
        raise NowhereToKeep(str(page))
    own = [page.parent / name for name in spec.records]
    files = [file for file in own if not keep or file != own[0] or file.exists()]
    found = Records()
    for file in [*files, *more]:
        found = found.union(read_records(file))
    sections = [[experiment_of(name, beside=page.parent) for name in one.runs] for one in spec.sections]
    wanted = list(dict.fromkeys(name for section in sections for name in section))
    ats = list(dict.fromkeys(one.at for one in spec.sections if one.at))
    stored, known = _in_store(wanted, places, ats, needed=not files and not more)
    found = stored.union(found)
    for name in wanted:
        if name not in known | found.experiments:
            raise ComponentUnknown("experiment", name, sorted(known | found.experiments))
    found = _as_shown(found, spec, sections)
    if keep:
        write_records(own[0], found.without_replaced())
    materials = [
        Material([judgement_of(one) for one in found.newest_first(names)], found.hours(names)) for names in sections
    ]
    return Gathered(tuple(materials), found)


def _as_shown(found: Records, spec: PageSpec, sections: Sequence[Sequence[str]]) -> Records:
    """Results with what the page's tests have to know; of experiments that it does not name, as they are."""
    shown: dict[str, set[str | None]] = {}
    for section, names in zip(spec.sections, sections, strict=True):
        for name in names:
            shown.setdefault(name, set()).update(section.metrics or (None,))
    results = {
        (name, key): only(one, {metric or headline(one) for metric in shown[name]}) if name in shown else one
        for (name, key), one in found.results.items()
    }
    return Records(found.runs, results)


def _in_store(wanted: Sequence[str], places: Places, ats: Sequence[str], *, needed: bool) -> tuple[Records, set[str]]:
    """The runs and results of some experiments as far as the store has them, and the names of all that it has.

    Results keep what tests of the whole have to know, and of the places `ats`.
    """
    try:
        tracking = Tracking.attach(places.root)
    except NothingRecorded:
        if needed:
            raise
        return Records(), set()
    known, found = set(experiments(tracking)), Records()
    for name in known.intersection(wanted):
        runs = {one.run: one for one in member_runs(tracking, name)}
        results = {(name, one.key): record_of(one, places=ats) for one in judgements(tracking, [name])}
        found = found.union(Records(runs, results))
    return found, known
