"""What a section of a page is made of: the judgements of its stage, compared by one metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tswork.errors import UserError, did_you_mean
from tswork.reports.compare import Comparison, NothingToCompare, compare
from tswork.reports.page_spec import SectionSpec

if TYPE_CHECKING:
    from tswork.tracking.reading import Judgement


@dataclass
class SectionEmpty(UserError):
    """A section of a page for which there are no runs."""

    section: str
    reason: str

    def __str__(self) -> str:
        return f"section {self.section!r}: {self.reason}"


def of_stage(judged: Sequence[Judgement], spec: SectionSpec) -> Sequence[Judgement]:
    """The judgements that a section is about. Raises `SectionEmpty` for a stage that is not there."""
    if spec.stage is None or not judged:
        return judged
    found = [one for one in judged if one.stage == spec.stage]
    if not found:
        known = {one.stage for one in judged}
        raise SectionEmpty(spec.title, f"there is no stage {spec.stage!r}. {did_you_mean(spec.stage, known)}")
    return found


def compared(judged: Sequence[Judgement], spec: SectionSpec, *, metric: str | None) -> Comparison:
    """The section's candidate against the other rows. Raises `SectionEmpty` without results, and for several protocols."""
    try:
        found = compare(judged, metric=metric, candidate=spec.candidate, at=spec.at)
    except NothingToCompare as nothing:
        raise SectionEmpty(spec.title, nothing.reason) from None
    if len(found) > 1:
        names = ", ".join(one.protocol for one in found)
        remedy = "choose one with `stage:`, or name runs of one"
        raise SectionEmpty(spec.title, f"its runs hold several protocols ({names}); {remedy}")
    return found[0]
