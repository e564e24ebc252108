"""Every error a user can meet: a named class, fields, and a remedy in the message.

`UserError` means that a file, an argument or the data of the user is wrong (exit code 2); any other `TsworkError` means
that something failed while running (exit code 1). Anything else that escapes is a bug of ours.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tswork.wording import counted

SHOWN = 32
"""Members of a batch that a message names."""


@dataclass(frozen=True, order=True)
class Location:
    """Where a fault stands: a file (or `-s argument N`), with line and column counted from 1."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        if self.line is None:
            return self.file if self.column is None else f"{self.file}, column {self.column}"
        return f"{self.file}:{self.line}:{self.column if self.column is not None else 1}"


@dataclass(frozen=True)
class Problem:
    """One fault: where it stands, which key or row it concerns, what is wrong, and how to mend it."""

    message: str
    path: str = ""
    location: Location | None = None
    remedy: str = ""

    def __str__(self) -> str:
        place = f"{self.location}  " if self.location else ""
        path = f"{self.path}: " if self.path else ""
        text = f"{self.message.rstrip('.')}. {self.remedy}" if self.remedy else self.message
        return f"{place}{path}{text}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`Did you mean 'x'?` for the nearest known word, or the list of known words when nothing is near."""
    names = sorted(set(known))
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"Known: {', '.join(names)}." if names else ""


class TsworkWarning(UserWarning):
    """Something the user should know that does not stop the work."""


class TsworkError(Exception):
    """Something failed while running; the base of all named errors."""

    exit_code = 1


class UserError(TsworkError):
    """The user's file, arguments or data are wrong; nothing was started."""

    exit_code = 2


@dataclass
class InvalidInput(UserError):
    """All faults of one input at once."""

    problems: Sequence[Problem]

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class PipelineInvalid(InvalidInput):
    """Faults of a pipeline file, of an override, or of a component's block."""


class DataInvalid(InvalidInput):
    """Faults of a data card or of the files it names."""


class LeakFound(InvalidInput):
    """Groups, contents or time spans are shared between parts of a split."""


@dataclass
class ComponentUnknown(UserError):
    """No component of that kind has that name."""

    kind: str
    name: str
    known: Sequence[str] = ()

    def __str__(self) -> str:
        return f"no {self.kind} is called {self.name!r}. {did_you_mean(self.name, self.known)}".rstrip()


@dataclass
class PackageMissing(UserError):
    """An optional package is absent or does not import."""

    package: str
    needed_by: str
    install: str
    reason: str = ""

    def __str__(self) -> str:
        why = f" ({self.reason})" if self.reason else ""
        return (
            f"{self.needed_by} needs the package {self.package}, which does not import{why}. Install it: {self.install}"
        )


@dataclass
class ModelUnfit(UserError):
    """A model cannot do what a protocol, a method or a data set asks of it."""

    model: str
    reason: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.model}: {self.reason}. {self.remedy}".rstrip()


@dataclass
class TrainingDiverged(TsworkError):
    """A loss stopped being finite."""

    stage: str
    step: int
    terms: dict[str, float] = field(default_factory=dict)
    batch: Sequence[tuple[int, int, int]] = ()
    """What the batch of that step held: sequence, first step, and the step after the last, counted from 0."""
    kept: int | None = None
    """Steps done at the newest checkpoint, which was written while all losses were finite; None: there is none."""

    def __str__(self) -> str:
        terms = ", ".join(f"{name}={value}" for name, value in self.terms.items())
        return (
            f"{self.stage}: the loss is not finite at step {self.step} ({terms}).{self._batch()} Lower the learning rate, look"
            f" for constant or extreme values with `tswork data check`, or train in float32.{self._kept()}"
        )

    def _batch(self) -> str:
        shown = ", ".join(f"{sequence}[{start}:{stop}]" for sequence, start, stop in self.batch[:SHOWN])
        more = f" and {len(self.batch) - SHOWN} more" if len(self.batch) > SHOWN else ""
        return f" Its batch held the sequences {shown}{more}." if shown else ""

    def _kept(self) -> str:
        return "" if self.kept is None else f" The checkpoint after {counted(self.kept, 'step')}, before that, is kept."


@dataclass
class StoreUnwritable(TsworkError):
    """A result could not be written; the store itself stays usable."""

    path: str
    reason: str

    def __str__(self) -> str:
        return (
            f"could not write to the store at {self.path}: {self.reason}. Mend its permissions, free space (`tswork gc`) or choose"
            " another --root, then run again; finished stages are kept."
        )


@dataclass
class ResultAltered(UserError):
    """Files of a stored result are not as they were written."""

    paths: tuple[str, ...]

    def __str__(self) -> str:
        several = len(self.paths) > 1
        return (
            f"{', '.join(self.paths)}: {'they were' if several else 'it was'} altered after the result was written. Put back what"
            " was there, or run the pipeline with `--verify`, which computes such stages anew."
        )


@dataclass
class TrackingUnreachable(TsworkError):
    """The store of runs, a server or a local database, could not be opened."""

    uri: str
    reason: str

    def __str__(self) -> str:
        if self.uri.startswith("sqlite:"):
            remedy = "Look whether the disk is full and whether the file may be written, or choose another --root."
            return f"the database of runs at {self.uri} cannot be used: {self.reason}. {remedy} Nothing was trained."
        return (
            f"the tracking server at {self.uri} cannot be reached: {self.reason}. Start it, or unset MLFLOW_TRACKING_URI"
            " to log beside the project. Nothing was trained."
        )


class Interrupted(TsworkError):
    """SIGINT or SIGTERM arrived; the checkpoint is written and the run can be continued."""

    exit_code = 130
