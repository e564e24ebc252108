"""Everything that can be known to be wrong before a run starts, told at once and where it stands in the pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from tswork.config import persons_of
from tswork.data.collection import DataInfo, Split
from tswork.data.locating import named
from tswork.data.opening import OpenData, open_data
from tswork.encoders.lengths import check_lengths
from tswork.errors import InvalidInput, LeakFound, Location, ModelUnfit, PipelineInvalid, Problem
from tswork.methods.base import Method, build_model
from tswork.methods.saving import WEIGHTS
from tswork.pipeline.data_files import located
from tswork.pipeline.plan import Plan
from tswork.pipeline.spec import Member, StageSpec
from tswork.protocols.base import Protocol
from tswork.store import Store
from tswork.training.runtime import process_count
from tswork.wording import counted


def choose_device(plan: Plan, wanted: str | None) -> torch.device:
    """The device asked for by name, else the pipeline's. Raises `PipelineInvalid` when this machine has no such device."""
    name = wanted or plan.pipeline.header.device
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    place = Location("--device") if wanted else plan.members[0].member.source.locate(("device",))
    try:
        device = torch.device(name)
    except RuntimeError:
        raise PipelineInvalid([Problem(f"{name!r} is no device", "device", place, "Use auto, cpu or cuda.")]) from None
    count = torch.cuda.device_count() if device.type == "cuda" else 1
    if device.type not in ("cpu", "cuda") or (device.index or 0) >= count:
        raise PipelineInvalid([Problem(f"this machine has no {name}", "device", place, "Use auto or cpu.")])
    return device


def check_plan(plan: Plan, device: torch.device) -> None:
    """Open the data of every unfinished member, let its protocols look at them, and build every model once.

    Raises `DataInvalid` or `LeakFound` where the data alone are at fault, else `PipelineInvalid`, with the faults of all
    members.
    """
    problems: dict[Problem, type[InvalidInput]] = dict.fromkeys(_process_problems(plan), PipelineInvalid)
    leaky: set[str] = set()
    more = 0
    for planned in plan.members:
        if planned.finished:
            continue
        member = planned.member
        found: list[Problem] = list(_precision_problems(member, device))
        try:
            found += _stage_problems(member, open_member(member, plan).splits[0])
        except LeakFound as leak:
            if planned.source_digest in leaky:  # other splits of the same data have the same fault
                more += 1
            else:
                leaky.add(planned.source_digest)
                problems.update(dict.fromkeys((located(one, member.source) for one in leak.problems), LeakFound))
        except InvalidInput as fault:
            problems.update(dict.fromkeys((located(one, member.source) for one in fault.problems), type(fault)))
        problems.update(dict.fromkeys(found, PipelineInvalid))
    if more:
        problems[Problem(f"and {counted(more, 'more member')} of the sweep whose splits leak")] = LeakFound
    if problems:
        kinds = set(problems.values())
        raise (kinds.pop() if len(kinds) == 1 else PipelineInvalid)(list(problems))


def check_stored(plan: Plan) -> None:
    """Raises `ResultAltered` with the files of stored results that are not as they were written."""
    if plan.verify:
        return  # such stages are computed anew
    cached = [stage.key for planned in plan.members for stage in planned.stages if stage.status == "cached"]
    # Weights are looked at where a model is loaded.
    Store(plan.pipeline.places.store).check(dict.fromkeys(cached), but=WEIGHTS)


def open_member(member: Member, plan: Plan) -> OpenData:
    """A member's data with its one split, which shares no value of a column that a stage takes for persons.

    Raises `DataInvalid` and `LeakFound`.
    """
    places = plan.pipeline.places
    persons = persons_of([stage.component for stage in member.stages])
    return open_data(member.data, places, seed=member.header.seed, store=Store(places.store), persons=persons)


def _process_problems(plan: Plan) -> Iterator[Problem]:
    """Processes that train together form one group, in one precision."""
    if process_count() > 1 and len({planned.member.header.precision for planned in plan.members}) > 1:
        place = plan.members[0].member.source.locate(("sweep", "precision"))
        remedy = "Start one run for each precision."
        yield Problem("several processes train in one precision", "sweep.precision", place, remedy)


def _precision_problems(member: Member, device: torch.device) -> Iterator[Problem]:
    if member.header.precision == "16-mixed" and device.type == "cpu":
        place = member.source.locate(("precision",))
        remedy = "Use bf16-mixed or 32-true."
        yield Problem("16-bit floats do not train on a CPU", "precision", place, remedy)


def _stage_problems(member: Member, split: Split) -> Iterator[Problem]:
    info, limits = DataInfo.of(split.train), dict[str, _Limits]()
    for spec in member.stages:
        try:
            component: Method[Any] | Protocol[Any] = spec.component.build()
            if isinstance(component, Method):
                component.check(split.train)
                encoder = build_model(component, info, seed=member.header.seed).encoder
                limits[spec.name] = _Limits(encoder.min_length, encoder.max_length)
                check_lengths(encoder, split.train)
            else:
                component.check(split)
                yield from _length_problems(component.longest_input(split), limits, spec, member)
                yield from _short_problems(split, limits, spec, member)
        except InvalidInput as fault:
            for problem in fault.problems:
                yield _of_stage(replace(problem, path=f" ({problem.path})" if problem.path else ""), spec, member)
        except ModelUnfit as unfit:
            yield _of_stage(Problem(f"{unfit.model}: {unfit.reason}", remedy=unfit.remedy), spec, member)


class _Limits(NamedTuple):
    """The fewest and the most steps that an encoder takes."""

    fewest: int
    most: int | None


def _short_problems(split: Split, limits: Mapping[str, _Limits], spec: StageSpec, member: Member) -> Iterator[Problem]:
    """Sequences that are judged and too short for a single frame."""
    for name in spec.needs:
        fewest = limits[name].fewest if name in limits else 1
        parts = {part: one for part, one in split.parts.items() if part != "train" and fewest > 1}
        for part, one in parts.items():
            short = torch.nonzero(one.lengths < fewest).flatten()
            if len(short):
                told = named(one.collection, one.spans[short, 0].tolist())
                message = f"the encoder of {name} needs {counted(fewest, 'step')} for one frame; {len(short)} in {part} have fewer: {told}"
                yield _of_stage(
                    Problem(message, remedy="Leave them out with `select`, or mend the data."), spec, member
                )


def _length_problems(longest: int, limits: Mapping[str, _Limits], spec: StageSpec, member: Member) -> Iterator[Problem]:
    """An encoder of one length may train on shorter pieces than it is judged on."""
    for name in spec.needs:
        limit = limits[name].most if name in limits else None
        if limit is not None and longest > limit:
            message = f"gives the encoder of {name} {longest} steps at once, and it takes at most {limit}"
            yield _of_stage(Problem(message, remedy=f"Give the encoder `length: {longest}` or more."), spec, member)


def _of_stage(problem: Problem, spec: StageSpec, member: Member) -> Problem:
    place = problem.location or member.source.locate(("stages", spec.name))
    return replace(problem, path=f"stages.{spec.name}{problem.path}", location=place)
