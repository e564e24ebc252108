"""From a pipeline file to its members, or to everything that is wrong with it.

The order is: the file, what it `extends`, the `-s` overrides, one combination of the sweep, the data card, and then each
component's block by itself, so that one bad block does not hide the others.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tswork.data.cards import resolve
from tswork.data.files import expand
from tswork.data.opening import count_splits
from tswork.data.places import Places
from tswork.data.spec import DataSpec, read_spec
from tswork.errors import DataInvalid, InvalidInput, Location, PipelineInvalid, Problem, did_you_mean
from tswork.overrides import parse_override
from tswork.pipeline.gate import gate_problems
from tswork.pipeline.spec import Member, Pipeline, PipelineHeader
from tswork.pipeline.stage_blocks import StageBlocks, variables
from tswork.source import KEY, KeyPath, Source, merge, read_yaml, replace_at, show_path
from tswork.store import Store
from tswork.validation import validate

MAX_MEMBERS = 10_000


def load_pipeline(path: Path, *, places: Places, overrides: Sequence[str] = ()) -> Pipeline:
    """A pipeline file with all members of its sweep.

    Raises `PipelineInvalid` with every fault of the file, of its parents, of its card and of the overrides.
    """
    places = places.moved(path.absolute().parent)
    source, problems = _overridden(_with_parents(path, ()), overrides)
    header, faults = validate(PipelineHeader, source)
    members: tuple[Member, ...] = ()
    if header is None:
        problems += [*faults, *_data(source, places)[1], *_stage_problems(source)]
    else:
        try:
            members = tuple(_members(source, header, places))
        except PipelineInvalid as fault:
            problems += fault.problems
    if header is None or problems:
        raise PipelineInvalid(_unique(problems))
    return Pipeline(str(path), header, members, places)


def load_header(path: Path) -> PipelineHeader:
    """What a pipeline file says of itself; its data need not be there. Raises `PipelineInvalid` with every fault of that."""
    header, faults = validate(PipelineHeader, _with_parents(path, ()))
    if header is None:
        raise PipelineInvalid(faults)
    return header


def _overridden(source: Source, overrides: Sequence[str]) -> tuple[Source, list[Problem]]:
    """The tree with those overrides that can be read, and what is wrong with the others."""
    problems: list[Problem] = []
    for number, override in enumerate(overrides, start=1):
        try:
            key, value = parse_override(override, number)
            if key[0] == "extends":
                place = Location(f"-s argument {number}", column=1)
                raise PipelineInvalid([Problem("cannot be overridden", "extends", place, "Write it into the file.")])
            unknown = _unknown_stage(source, key, value)
            if unknown is None:
                source = replace_at(source, key, value)
            else:
                place = Location(f"-s argument {number}", column=1)
                problems.append(replace(unknown, path=override.partition("=")[0], location=place))
        except PipelineInvalid as fault:
            problems += fault.problems
    return source, problems


def _unknown_stage(source: Source, key: KeyPath, value: Source) -> Problem | None:
    """An option of a stage that is not there would make a stage of that one option."""
    known = source.data.get("stages")
    if key[0] != "stages" or not isinstance(known, dict) or len(key) < 2 or key[1] in known:
        return None
    if len(key) == 2 and isinstance(value.data, dict) and "uses" in value.data:
        return None  # a new stage
    return Problem(f"there is no stage {key[1]!r}", remedy=did_you_mean(str(key[1]), known))


def _with_parents(path: Path, children: tuple[Path, ...]) -> Source:
    source = read_yaml(path)
    if not isinstance(source.data, dict):
        raise PipelineInvalid([Problem("is not a pipeline: a block of keys is expected", location=source.locate(()))])
    parent = source.data.get("extends")
    if not isinstance(parent, str):
        return source
    place = source.locate(("extends",))
    try:
        target = (path.parent / expand(Path(parent))).resolve()
        found = target.is_file()
    except DataInvalid as unset:
        raise PipelineInvalid([replace(one, path="extends", location=place) for one in unset.problems]) from unset
    except (OSError, ValueError) as error:
        raise PipelineInvalid([Problem(f"is not the name of a file ({error})", "extends", place)]) from error
    if target in (*children, path.resolve()):
        raise PipelineInvalid([Problem("files extend each other in a circle", "extends", place)])
    if not found:
        raise PipelineInvalid([Problem(f"there is no file {target}", "extends", place)])
    return merge(_with_parents(target, (*children, path.resolve())), source)


def _members(source: Source, header: PipelineHeader, places: Places) -> Iterator[Member]:
    """All combinations; the faults of all of them are told once each."""
    axes, problems = _axes(source, header)
    members: list[Member] = []
    for values in itertools.product(*axes.values()):
        chosen = dict(zip(axes, values, strict=True))
        made, faults = _member(source, chosen, places)
        problems.extend(faults)
        for member in made:
            members.extend(_over_splits(member, source, chosen, places))
    if problems:
        raise PipelineInvalid(_unique(problems))
    yield from members


def _axes(source: Source, header: PipelineHeader) -> tuple[dict[str, Sequence[Source]], list[Problem]]:
    axes: dict[str, Sequence[Source]] = {}
    problems: list[Problem] = []
    for key, values in header.sweep.items():
        at: KeyPath = ("sweep", key)
        if not values:
            problems.append(Problem("an axis needs at least one value", show_path(at), source.locate(at)))
        if key.split(".")[0] in ("sweep", "version", "name", "experiment", "extends"):
            problems.append(Problem("cannot be swept", show_path(at), source.locate((*at, KEY))))
        unknown = _unknown_stage(source, tuple(key.split(".")), Source(values[0] if values else None))
        if unknown is not None:
            problems.append(replace(unknown, path=show_path(at), location=source.locate((*at, KEY))))
            continue
        axes[key] = [source.at((*at, index)) for index in range(len(values))]
    count = 1
    for one in axes.values():
        count *= len(one)
    if count > MAX_MEMBERS:
        problems.append(
            Problem(f"{count} combinations are more than {MAX_MEMBERS}", "sweep", source.locate(("sweep",)))
        )
        return {}, problems
    return axes, problems


def _member(source: Source, chosen: Mapping[str, Source], places: Places) -> tuple[list[Member], list[Problem]]:
    tree = source
    for key, value in chosen.items():
        tree = replace_at(tree, tuple(key.split(".")), value)
    header, problems = validate(PipelineHeader, tree)
    data, faults = _data(tree, places)
    problems += faults
    check = StageBlocks(tree)
    stages = check.read()
    problems += check.problems
    if header is not None:
        said = {key: getattr(header, key) for key in ("description", "experiment", "tags", "gate")}
        problems += variables(said, (), tree)
        problems += [] if check.problems else gate_problems(header.gate, stages, tree)
    if data is not None:
        problems += [*variables(data.spec.options, ("data",), tree), *variables(data.spec.reader, ("data",), tree)]
    if header is None or data is None or problems:
        return [], problems
    axes = {key: value.data for key, value in chosen.items()}
    return [Member(member_name(axes), axes, header, data.spec, stages, data.tree)], []


@dataclass(frozen=True)
class _Data:
    spec: DataSpec
    tree: Source


def _data(tree: Source, places: Places) -> tuple[_Data | None, list[Problem]]:
    """The data block with its card merged in; faults of a card are located in the card's file."""
    try:
        block = resolve(tree.at(("data",)), places)
    except InvalidInput as fault:
        return None, list(fault.problems)
    except KeyError:
        return None, []
    if isinstance(block.data, dict) and isinstance(tree.data.get("name"), str):
        # A data set without a card is called as the pipeline is.
        block = Source({"name": tree.data["name"], **block.data}, block.marks)
    spec, problems = read_spec(block)
    if spec is None:
        return None, [_under_data(one) for one in problems]
    whole = {**tree.data, "data": block.data}
    marks = {path: place for path, place in tree.marks.items() if path[:1] != ("data",)}
    marks.update({("data", *path): place for path, place in block.marks.items()})
    return _Data(spec, Source(whole, marks)), []


def _under_data(problem: Problem) -> Problem:
    return replace(problem, path=f"data.{problem.path}" if problem.path else "data")


def _over_splits(member: Member, source: Source, chosen: Mapping[str, Source], places: Places) -> Iterator[Member]:
    """Folds and repeats of the split are an axis of the sweep."""
    split = member.data.options.split
    count = count_splits(member.data, places, store=Store(places.store)) if split is not None else 1
    if split is None or split.index is not None or count == 1:
        yield member
        return
    for index in range(count):
        value = Source(index, {(): member.source.locate(("data", "split")) or Location("split")})
        made, faults = _member(source, {**chosen, "data.split.index": value}, places)
        if faults:
            raise PipelineInvalid(faults)
        yield from made


def member_name(axes: Mapping[str, Any]) -> str:
    """`seed=42 data.set=ArrowHead`; blocks are named by what they use."""
    return " ".join(f"{key}={_short(value)}" for key, value in axes.items())


def _short(value: Any) -> str:
    if isinstance(value, dict):
        kind = str(value.get("uses", value.get("card", "block")))
        rest = ",".join(f"{key}:{_short(item)}" for key, item in value.items() if key not in ("uses", "card"))
        return f"{kind}({rest})" if rest else kind
    if isinstance(value, list):
        return "[" + ",".join(_short(item) for item in value) + "]"
    return str(value)


def _stage_problems(source: Source) -> list[Problem]:
    """What can be said of the stages while the head of the file has faults itself."""
    try:
        check = StageBlocks(source)
        check.read()
    except (KeyError, TypeError, AttributeError, InvalidInput):
        return []
    return check.problems


def _unique(problems: Sequence[Problem]) -> list[Problem]:
    """Each problem once, in the order of the file."""

    def place(problem: Problem) -> tuple[str, int, int]:
        where = problem.location
        return (where.file, where.line or 0, where.column or 0) if where else ("", 0, 0)

    return sorted(dict.fromkeys(problems), key=place)
