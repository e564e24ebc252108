"""Whether a pipeline's gate names a stage that trains, and a figure that will be there to judge it by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tswork.errors import Problem, did_you_mean
from tswork.pipeline.spec import Gate, StageSpec
from tswork.source import Source


def gate_problems(gate: Gate | None, stages: Sequence[StageSpec], source: Source) -> Iterator[Problem]:
    """Everything that would keep the gate from ever passing, where it stands in the file."""
    if gate is None:
        return
    methods = [stage.name for stage in stages if stage.trains]
    if gate.stage not in methods:
        text = f"there is no method stage {gate.stage!r}"
        yield Problem(text, "gate.stage", source.locate(("gate", "stage")), did_you_mean(gate.stage, methods))
    elif fault := _metric_fault(gate, stages):
        yield Problem(fault[0], "gate.metric", source.locate(("gate", "metric")), fault[1])
    if gate.minimum is None and gate.maximum is None:
        yield Problem("says nothing without a bound", "gate", source.locate(("gate",)), "Give `minimum` or `maximum`.")


def _metric_fault(gate: Gate, stages: Sequence[StageSpec]) -> tuple[str, str] | None:
    """What is wrong with the metric, and how it would be right."""
    protocols = {stage.name: stage for stage in stages if not stage.trains}
    name, *rest = gate.metric.split("/")
    if name not in protocols:
        return f"there is no protocol stage {name!r}", did_you_mean(name, protocols)
    needs, target = protocols[name].needs, protocols[name].protocol
    if gate.stage not in needs:
        return f"{name!r} does not judge {gate.stage!r}", f"It judges {', '.join(needs)}."
    own = f"Write {name}/{gate.stage}/{target.headline}."
    if len(rest) == 1:
        if rest[0] != target.headline:
            return f"the headline of {name!r} is {target.headline}, not {rest[0]}", own
        return (f"it is the figure of {needs[0]!r}", own) if gate.stage != needs[0] else None
    if len(rest) != 2:
        return "should be STAGE/METRIC or STAGE/ROW/METRIC", own
    row, metric = rest[0], rest[1].partition("@")[0].partition(".")[0]
    if row.partition("+")[0] != gate.stage:
        return f"it is the figure of {row!r}, and the model of {gate.stage!r} would be registered", own
    if metric not in target.metrics:
        return f"{protocols[name].component.name} has no metric {metric!r}", did_you_mean(metric, target.metrics)
    return None
