"""The controls of a protocol that are models nobody trained, and whether one of them stands for all judged stages."""

from __future__ import annotations

from tswork.config import Configured
from tswork.data.collection import DataInfo, Split
from tswork.encoders.base import is_loaded
from tswork.encoders.checkpoints import untrained
from tswork.methods.base import build_model
from tswork.methods.model import Model
from tswork.pipeline.spec import Member, StageSpec


def controls(member: Member, stage: StageSpec, split: Split) -> dict[str, tuple[Model, ...]]:
    """Models that no method trained: `random`, or `random.STAGE` for each stage where encoders, or answers that are judged, differ.

    Exactly as the judged methods started; where these start from a checkpoint, that is `as_loaded`, and `random` is the same
    architecture with weights that are drawn.
    """
    info = DataInfo.of(split.train)
    shared = encoders_agree(member, stage) and answers_agree(member, stage)
    made: dict[str, tuple[Model, ...]] = {}
    for name in stage.needs[:1] if shared else stage.needs:
        for control, model in _starts(member.stage(name).component, info, seed=member.header.seed).items():
            made[control if shared else f"{control}.{name}"] = (model,)
    return made


def encoders_agree(member: Member, stage: StageSpec) -> bool:
    """Whether all stages that a protocol judges have one encoder."""
    blocks = [member.stage(name).component for name in stage.needs]
    return len({repr(getattr(block.config, "encoder", None)) for block in blocks}) <= 1


def answers_agree(member: Member, stage: StageSpec) -> bool:
    """Whether untrained models of all stages would answer alike, where the protocol judges what models answer themselves."""
    if not stage.protocol.judges_answers:
        return True
    judged = [member.stage(name) for name in stage.needs]
    return len({repr(one.method.answers_by(one.component.config)) for one in judged}) <= 1


def _starts(block: Configured, info: DataInfo, *, seed: int) -> dict[str, Model]:
    """What a method starts from, and what it would start from without any checkpoint."""
    started = build_model(block.build(), info, seed=seed)
    if not is_loaded(started):
        return {"random": started}
    drawn = build_model(untrained(block).build(), info, seed=seed)
    # An encoder whose input is what another one's checkpoint gave has no form without it.
    return {"as_loaded": started} if is_loaded(drawn) else {"random": drawn, "as_loaded": started}
