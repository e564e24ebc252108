"""With what a protocol's result was made: every option that its key covers, readable, so that results can be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tswork.pipeline.plan import PlannedStage

MADE = "made_with.json"
"""The artifact beside a protocol's rows."""


def made_with(stage: PlannedStage, stages: Sequence[PlannedStage]) -> dict[str, Any]:
    """The protocol's block, those of the stages it judged, the data block, and what else its key covers."""
    known = {one.spec.name: one for one in stages}
    inputs = stage.inputs
    return {
        "protocol": inputs["stage"],
        "judged": {name: known[name].inputs["stage"] for name in stage.spec.needs},
        "data": inputs["data"],
        "digest": inputs["digest"],
        "seed": inputs["seed"],
        "precision": inputs["precision"],
        "world_size": inputs["world_size"],
    }
