"""Which weights validation prefers, and when it has seen enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Selection:
    """Follows one validation score (greater is better); without a monitor it neither selects nor stops."""

    def __init__(self, monitor: str | None, *, patience: int | None) -> None:
        self.monitor = monitor
        self._patience = patience
        self.best: float | None = None
        self.best_step: int | None = None
        self._since_best = 0

    def offer(self, scores: Mapping[str, float], *, step: int) -> bool:
        """Take the scores after a step; True when they are the best so far. NaN never is.

        Raises `KeyError` when the monitored score is not among them.
        """
        if self.monitor is None:
            return False
        if self.monitor not in scores:
            raise KeyError(f"validation gave {sorted(scores)}, the method monitors {self.monitor!r}")
        score = scores[self.monitor]
        improved = score == score and (self.best is None or score > self.best)
        self._since_best = 0 if improved else self._since_best + 1
        if improved:
            self.best, self.best_step = score, step
        return improved

    @property
    def exhausted(self) -> bool:
        """Whether as many validations as the patience allows brought nothing better."""
        return self._patience is not None and self._since_best >= self._patience

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes."""
        return {"best": self.best, "best_step": self.best_step, "since_best": self._since_best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.best, self.best_step, self._since_best = state["best"], state["best_step"], state["since_best"]
