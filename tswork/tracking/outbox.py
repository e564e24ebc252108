"""What a run is told, in order and from a thread of its own: training never waits for the store of runs.

Everything is a letter: points of curves, files, tags, the end of the run. Letters that cannot be sent because the server
is away wait until it is back; what is still waiting when the run is over is told to the user by name.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tswork.errors import TsworkError
from tswork.tracking import names
from tswork.tracking.client import Tracking, away_errors, is_away

if TYPE_CHECKING:
    from mlflow.entities import Metric

    from tswork.recorder import Value

FLUSH_SECONDS = 3.0
HEARTBEAT_SECONDS = 30.0
PATIENCE_SECONDS = 15.0
"""How long the end of a run waits for a server that is away."""
BATCH = 1000
ATTEMPTS = 3
SHOWN = 6
"""So many things that were not recorded are named; the others are counted."""
POINTS_OF_CURVES = "points of curves"
POINTS = 1000
"""After so many points a curve is thinned; training itself reports about as many."""


@dataclass
class RecordIncomplete(TsworkError):
    """The work is done and stored, but a part of it could not be recorded."""

    uri: str
    reason: str
    missing: Sequence[str]

    def __str__(self) -> str:
        more = f" and {len(self.missing) - SHOWN} more" if len(self.missing) > SHOWN else ""
        return (
            f"the tracking store at {self.uri} did not take everything: {self.reason}. Not recorded: "
            f"{', '.join(self.missing[:SHOWN])}{more}. The results themselves are safe: once it answers, run the same "
            "command again, which records them without computing them anew."
        )


@dataclass
class Recipient:
    """A run that letters go to. Its id is None until the letter that creates it was sent."""

    name: str
    run_id: str | None = None
    reached: dict[str, int] = field(default_factory=dict)
    """The last step of every curve that the run already has; earlier points are not sent twice."""
    lost: bool = False
    """The store refused to create it, so nothing can be sent to it."""
    counts: dict[str, int] = field(default_factory=dict)
    """Points of every curve so far."""

    def wants(self, name: str, step: int) -> bool:
        """Whether a point is new and on the thinned curve."""
        if step <= self.reached.get(name, -1):
            return False
        count = self.counts[name] = self.counts.get(name, -1) + 1
        # Every doubling of the length adds half as many points as the one before, so a curve never has 2 * POINTS.
        stride = 2 ** (2 * math.floor(math.log2(count / POINTS)) + 1) if count >= POINTS else 1
        return count % stride == 0


@dataclass
class _Points:
    """Points as they were reported; tensors are read when they are sent."""

    to: Recipient
    stamp: int
    step: int
    values: Mapping[str, Value]


@dataclass
class _Letter:
    to: Recipient
    what: str
    send: Callable[[str], object]
    """Called with the run's id; for the letter that creates a run, with an empty text."""
    creates: bool = False
    attempts: int = 0
    points: list[tuple[str, float, int, int]] = field(default_factory=list)
    """Name, value, time stamp and step of points that are sent instead."""


@dataclass
class _Beat:
    to: Recipient
    measure: Callable[[], Mapping[str, float]]
    count: int = 0


class Outbox:
    """Sends the letters of all runs of one process in their order."""

    def __init__(self, tracking: Tracking) -> None:
        self._tracking = tracking
        self._waiting: list[_Points | _Letter] = []
        self._letters: deque[_Letter] = deque()
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._beats: list[_Beat] = []
        self._beaten = time.monotonic()
        self._fault = ""
        self._lost: dict[str, None] = {}
        self._bug: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True, name="outbox")
        self._thread.start()

    def points(self, to: Recipient, values: Mapping[str, Value], *, step: int) -> None:
        """Queue one point on each named curve."""
        with self._lock:
            self._waiting.append(_Points(to, int(time.time() * 1000), step, values))

    def post(self, to: Recipient, what: str, send: Callable[[str], object], *, creates: bool = False) -> None:
        """Queue a letter: `send(run_id)` is called in the outbox's thread.

        `what` names it for the user; without a name nobody is told when it gets lost.
        """
        with self._lock:
            self._waiting.append(_Letter(to, what, send, creates))
        self._wake.set()

    def accompany(self, to: Recipient, measure: Callable[[], Mapping[str, float]]) -> None:
        """From now on send a heartbeat, and what `measure` gives, every half minute until `leave`."""
        self._beats.append(_Beat(to, measure))

    def leave(self, to: Recipient) -> None:
        """No more heartbeats; what is measured is measured a last time."""
        for beat in [one for one in self._beats if one.to is to]:
            self._beats.remove(beat)
            self._measure(beat)

    def flush(self) -> bool:
        """Send what waits; whether everything could be sent."""
        with self._sending:
            self._sort()
            while self._letters:
                try:
                    self._send(self._letters[0])
                except Exception as error:
                    if is_away(error) and self._worth_another_try(self._letters[0]):
                        self._fault = names.first_line(error)
                        return False
                    self._refused(self._letters[0], error)
                self._letters.popleft()
            return True

    def close(self) -> RecordIncomplete | None:
        """Send the rest, waiting a while for a server that is away; tells what could not be sent."""
        self._stopping = True
        self._wake.set()
        self._thread.join()
        pause, deadline = 0.5, time.monotonic() + PATIENCE_SECONDS
        while not self.flush() and time.monotonic() + pause < deadline:
            time.sleep(pause)
            pause *= 2
        if self._bug is not None:
            raise self._bug
        waiting = (f"{one.what} of {one.to.name}" for one in self._letters if one.what)
        missing = list(dict.fromkeys([*self._lost, *waiting]))
        return RecordIncomplete(self._tracking.uri, self._fault, missing) if missing else None

    def _work(self) -> None:
        while not self._stopping:
            self._wake.wait(FLUSH_SECONDS)
            self._wake.clear()
            try:
                sent = self.flush()
                if sent and time.monotonic() - self._beaten > HEARTBEAT_SECONDS:
                    self._beat()
            except Exception as error:  # told by close(); training goes on
                self._bug = self._bug or error

    def _beat(self) -> None:
        self._beaten = time.monotonic()
        for beat in list(self._beats):
            self._measure(beat)
            if beat.to.run_id is not None:
                with suppress(*away_errors()):
                    self._tracking.tag(beat.to.run_id, {names.HEARTBEAT: time.time()})

    def _measure(self, beat: _Beat) -> None:
        found = beat.measure()
        start = max((beat.to.reached.get(name, -1) for name in found), default=-1) + 1
        self.points(beat.to, found, step=start + beat.count)
        beat.count += 1

    def _sort(self) -> None:
        """Turn what was reported into letters; neighbouring points of a run become one."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        read = _read([one for one in waiting if isinstance(one, _Points)])
        for one in waiting:
            if isinstance(one, _Letter):
                self._letters.append(one)
                continue
            values = next(read)
            if not self._letters or self._letters[-1].what != POINTS_OF_CURVES or self._letters[-1].to is not one.to:
                self._letters.append(_Letter(one.to, POINTS_OF_CURVES, lambda run: None))
            kept = [
                (name, value, one.stamp, one.step)
                for name, value in zip(map(names.slug, values), values.values(), strict=True)
                if math.isfinite(value) and one.to.wants(name, one.step)
            ]
            self._letters[-1].points.extend(kept)

    def _send(self, letter: _Letter) -> None:
        if letter.to.lost:
            raise LookupError("the run was not created")
        if letter.creates:
            letter.send("")
            return
        assert letter.to.run_id is not None
        while letter.points:
            batch = [_metric(*point) for point in letter.points[:BATCH]]
            self._tracking.client.log_batch(letter.to.run_id, metrics=batch)
            del letter.points[:BATCH]
        letter.send(letter.to.run_id)

    def _worth_another_try(self, letter: _Letter) -> bool:
        """Always while the store is away; where it answers, a letter that fails again and again is its own problem."""
        letter.attempts += 1
        return letter.attempts < ATTEMPTS or not self._tracking.answers()

    def _refused(self, letter: _Letter, error: Exception) -> None:
        """The store said no: nothing is gained by asking again. What is no answer of the store is a bug of ours."""
        letter.to.lost = letter.to.lost or letter.creates
        if letter.what:
            self._lost[f"{letter.what} of {letter.to.name}"] = None
        if isinstance(error, (*away_errors(), LookupError)):
            self._fault = self._fault or names.first_line(error)
        else:
            self._bug = self._bug or error


def _metric(name: str, value: float, stamp: int, step: int) -> Metric:
    from mlflow.entities import Metric

    return Metric(name, value, stamp, step)


def _read(waiting: list[_Points]) -> Iterator[dict[str, float]]:
    """The values of all points; the tensors among them are fetched in one transfer."""
    tensors = [value.detach().double() for one in waiting for value in one.values.values() if isinstance(value, Tensor)]
    read: Iterator[Any] = iter(torch.stack(tensors).tolist() if tensors else [])
    for one in waiting:
        yield {name: next(read) if isinstance(value, Tensor) else float(value) for name, value in one.values.items()}
