"""What a look at a data set brings to light."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Something worth knowing; severe ones make results wrong or stop a run."""

    what: str
    text: str
    severe: bool = False
    fact: bool = False
    """Nothing is wrong: how the classes lie in a split, or what a preparation did."""
