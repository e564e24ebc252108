"""What each task cost: time and steps, which the loop knows, beside sizes, which the method tells (`Method.costs`)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pandas as pd

from tswork.recorder import Recorder


class Costs:
    """The table `cost`, one line a task, recorded anew after every task of a method that tells what its tasks cost.

    `seconds` are those by the clock from the end of the task before, validation and checkpoints included; of a training that was
    resumed, those that led to its result, without what was computed after the checkpoint and lost.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._lines: list[dict[str, float]] = []
        self._begin(0.0)

    def add(self, *, steps: int, told: Mapping[str, int]) -> None:
        """A task is over that took so many steps."""
        if told:
            self._lines.append({"task": len(self._lines) + 1, "seconds": self._seconds, "steps": steps, **told})
            table = pd.DataFrame({name: [line[name] for line in self._lines] for name in self._lines[0]})
            self._recorder.table("cost", table)
        self._begin(0.0)

    def state_dict(self) -> dict[str, Any]:
        """The lines so far, and the seconds of the task under way."""
        return {"lines": [dict(line) for line in self._lines], "seconds": self._seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave; the clock runs from now."""
        self._lines = [dict(line) for line in state["lines"]]
        self._begin(state["seconds"])

    @property
    def _seconds(self) -> float:
        return self._before + time.perf_counter() - self._clock

    def _begin(self, seconds: float) -> None:
        self._before, self._clock = seconds, time.perf_counter()
