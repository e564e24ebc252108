"""What a stage's result depends on, as one hash.

Keyed: the component's name and version and those of every component nested in it, its options, the data (the block without
paths, and the digest of the files), the keys of the stages it needs, the seed, the precision and the world size. Not keyed:
device, threads, package versions, paths, descriptions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tswork.config import keyed
from tswork.pipeline.controls import answers_agree, encoders_agree
from tswork.pipeline.spec import Member, StageSpec


def stage_inputs(
    member: Member, stage: StageSpec, *, data_digest: str, needs: Sequence[str], world_size: int = 1
) -> dict[str, Any]:
    """Everything the key of a stage covers; `needs` are the keys of the stages it needs, in order."""
    inputs = {
        "stage": keyed(stage.component),
        # The names of judged stages are rows of the result.
        "needs": [[name, key] for name, key in zip(stage.needs, needs, strict=True)],
        "data": member.data.keyed(),
        "digest": data_digest,
        "seed": member.header.seed,
        "precision": member.header.precision,
        "world_size": world_size,
    }
    if not stage.trains and encoders_agree(member, stage) and not answers_agree(member, stage):
        # Such results had the control of the first stage alone before; keys of all others stay what they were.
        inputs["controls"] = "of each stage"
    return inputs
