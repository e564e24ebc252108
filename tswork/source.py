"""YAML with places: every value remembers the file, line and column it came from.

Read as YAML 1.2 (`1e-3` is a number, `no` is text) into a tree of nodes and from there into plain data. Everything that
cannot be read (binary or non-UTF-8 files, tabs, duplicate keys, very deep nesting, huge numbers, tags, merge keys) is
refused with its place; faults of one tree are collected and raised together.
"""

from __future__ import annotations

import codecs
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, DocumentStartEvent, ScalarEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from tswork.errors import Location, PipelineInvalid, Problem
from tswork.wording import counted

KeyPath = tuple[str | int, ...]

MAX_DEPTH = 64
MAX_VALUES = 100_000
MAX_DIGITS = 40
KINDS = ("uses", "card", "reader")
"""Keys that say what a block is: a block that changes one replaces the other block instead of being merged into it."""


@dataclass(frozen=True)
class Source:
    """Plain data (dict, list, text, numbers, None) and where each value stands."""

    data: Any
    marks: Mapping[KeyPath, Location] = field(default_factory=dict)

    def locate(self, path: KeyPath) -> Location | None:
        """Where the value of a path stands, or the nearest block around it."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.marks:
                return self.marks[path[:length]]
        return None

    def at(self, path: KeyPath) -> Source:
        """The part of the tree under a path; `KeyError` or `IndexError` when it is not there."""
        data = self.data
        for key in path:
            data = data[key]
        depth = len(path)
        return Source(data, {mark[depth:]: place for mark, place in self.marks.items() if mark[:depth] == path})


def read_yaml(path: Path) -> Source:
    """A YAML file as data with places. Raises `PipelineInvalid` with all faults that can be seen."""
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise _invalid("there is no such file", Location(str(path))) from error
    except OSError as error:
        raise _invalid(f"cannot be read: {error.strerror}", Location(str(path))) from error
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise _invalid("is UTF-16 text, not UTF-8", Location(str(path)), "Save the file as UTF-8.")
    if b"\0" in content:
        raise _invalid("is a binary file, not YAML", Location(str(path)))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        place = Location(str(path), before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1)
        raise _invalid("is not UTF-8 text", place, "Save the file as UTF-8.") from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, name: str) -> Source:
    """YAML text as data with places that carry `name` as their file. Raises `PipelineInvalid`."""
    if "\0" in text:
        raise _invalid("is a binary file, not YAML", Location(name))
    try:
        _check_events(text, name)
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Location(name, mark.line + 1, mark.column + 1) if mark else Location(name)
        remedy = "Indent with spaces; YAML allows no tabs." if "\\t" in str(error.problem) else ""
        raise _invalid(f"is not valid YAML: {error.problem or error.context}", place, remedy) from error
    except (YAMLError, ValueError) as error:
        raise _invalid(f"is not valid YAML: {error}", Location(name)) from error
    if node is None:
        raise _invalid("is empty", Location(name, 1, 1))
    builder = _Builder(name)
    data = builder.build(node, ())
    if builder.problems:
        raise PipelineInvalid(builder.problems)
    return Source(data, builder.marks)


def merge(parent: Source, child: Source) -> Source:
    """Blocks merged key by key, the child's values winning; lists and single values are replaced.

    A child block that names another `uses`, `card` or `reader` replaces the parent's block whole.
    """
    marks: dict[KeyPath, Location] = {}
    data = _merge(parent, child, (), marks)
    return Source(data, marks)


def replace_at(source: Source, path: KeyPath, value: Source) -> Source:
    """The tree with a value merged in at a path of keys; missing blocks on the way are made.

    Raises `PipelineInvalid` when the path leads through something that is not a block.
    """
    data: Any = value.data
    marks = {(*path, *mark): place for mark, place in value.marks.items()}
    for depth in range(len(path) - 1, -1, -1):
        data = {path[depth]: data}
        marks.setdefault(path[:depth], value.marks.get((), Location("?")))
    for depth in range(len(path)):
        here = _get(source.data, path[:depth])
        if here is not None and not isinstance(here, dict):
            shown = ".".join(str(key) for key in path[:depth])
            remedy = f"Give the whole list: {shown}=[...]." if isinstance(here, list) else ""
            raise PipelineInvalid([Problem("is not a block and has no keys", shown, value.marks.get(()), remedy)])
    return merge(source, Source(data, marks))


def _get(data: Any, path: KeyPath) -> Any:
    for key in path:
        if not isinstance(data, dict) or key not in data:
            return None
        data = data[key]
    return data


def _merge(parent: Source, child: Source, path: KeyPath, marks: dict[KeyPath, Location]) -> Any:
    old, new = parent.data, child.data
    both = isinstance(old, dict) and isinstance(new, dict)
    if not both or any(kind in new and new[kind] != old.get(kind, new[kind]) for kind in KINDS):
        marks.update({(*path, *mark): place for mark, place in child.marks.items()})
        return new
    for source in (parent, child):
        if () in source.marks:
            marks[path] = source.marks[()]
    merged: dict[str, Any] = {}
    for key in dict.fromkeys([*old, *new]):
        if key in new and key in old:
            merged[key] = _merge(parent.at((key,)), child.at((key,)), (*path, key), marks)
        else:
            origin = child if key in new else parent
            piece = origin.at((key,))
            merged[key] = piece.data
            marks.update({(*path, key, *mark): place for mark, place in piece.marks.items()})
    return merged


def _invalid(message: str, place: Location, remedy: str = "") -> PipelineInvalid:
    return PipelineInvalid([Problem(message, location=place, remedy=remedy)])


def _check_events(text: str, name: str) -> None:
    """Depth and size, aliases written out, are looked at before the recursive parts of the YAML reader see the text."""
    documents = 0
    around: list[tuple[str | None, int]] = []
    sizes: dict[str | None, int] = {}
    for event in _events(text):
        place = Location(name, event.start_mark.line + 1, event.start_mark.column + 1)
        size = 0
        if isinstance(event, CollectionStartEvent):
            around.append((event.anchor, 1))
        elif isinstance(event, CollectionEndEvent):
            anchor, size = around.pop()
            sizes[anchor] = size
        elif isinstance(event, AliasEvent):
            size = sizes.get(event.anchor, 1)
        elif isinstance(event, ScalarEvent):
            size = 1
        documents += isinstance(event, DocumentStartEvent)
        if size and around:
            around[-1] = (around[-1][0], around[-1][1] + size)
        if len(around) > MAX_DEPTH:
            raise _invalid(f"is nested more than {MAX_DEPTH} deep", place)
        if around and around[-1][1] > MAX_VALUES:
            raise _invalid(f"holds more than {MAX_VALUES} values, aliases counted as often as they stand", place)
        if documents > 1:
            raise _invalid("holds more than one document", place, "Keep one pipeline a file.")


def _events(text: str) -> Iterator[Any]:
    yield from YAML(typ="safe", pure=True).parse(text)


class _Builder:
    """Turns nodes into data, collecting places and faults."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.marks: dict[KeyPath, Location] = {}
        self.problems: list[Problem] = []
        self._around: set[int] = set()

    def build(self, node: Node, path: KeyPath, key: Node | None = None) -> Any:
        # A key and its value stand together, so a fault of the value is shown at the value, a missing one at its block.
        self.marks[path] = self._place(node)
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._around:
            raise _invalid("an alias leads back into the block it stands in", self._place(key or node))
        self._around.add(id(node))
        if isinstance(node, MappingNode):
            built: Any = self._mapping(node, path)
        else:
            built = [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        self._around.remove(id(node))
        return built

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        data: dict[str, Any] = {}
        first: dict[str, Location] = {}
        for key_node, value_node in node.value:
            place = self._place(key_node)
            if not isinstance(key_node, ScalarNode):
                self._fault("a key should be text", path, place)
                continue
            key = str(key_node.value)
            if key == "<<":
                self._fault("merge keys are not read", path, place, "Use `extends:` or repeat the keys.")
            elif key in data:
                self._fault(
                    f"the key {key!r} stands twice (first at {first[key]})", path, place, "Remove one of the two."
                )
            else:
                first[key] = place
                data[key] = self.build(value_node, (*path, key), key_node)
                self.marks[(*path, key)] = place if value_node.value == "" else self.marks[(*path, key)]
                self.marks[(*path, key, KEY)] = place
        return data

    def _scalar(self, node: Node, path: KeyPath) -> Any:
        text, tag = str(node.value), str(node.tag).rpartition(":")[2]
        if tag == "null":
            return None
        if tag == "bool":
            return text.lower() == "true"
        if tag in ("int", "float"):
            return self._number(text, tag, node, path)
        if tag not in ("str", "timestamp"):
            self._fault(
                f"the tag {node.tag} is not read",
                path,
                self._place(node),
                "Write plain text, numbers, lists and blocks.",
            )
        return text

    def _number(self, text: str, tag: str, node: Node, path: KeyPath) -> int | float | None:
        if len(text) > MAX_DIGITS:
            self._fault(f"a number of {counted(len(text), 'digit')} is too long", path, self._place(node))
            return None
        plain = text.replace("_", "")
        try:
            number = (
                int(plain, 0 if plain.lstrip("+-")[:2].lower() in ("0x", "0o") else 10)
                if tag == "int"
                else float(plain)
            )
        except ValueError:
            number = {".inf": math.inf, "-.inf": -math.inf}.get(plain.lower(), math.nan)
        if isinstance(number, float) and not math.isfinite(number):
            self._fault(f"{text} is not a finite number", path, self._place(node))
            return None
        return number

    def _place(self, node: Node) -> Location:
        return Location(self.name, node.start_mark.line + 1, node.start_mark.column + 1)

    def _fault(self, message: str, path: KeyPath, place: Location, remedy: str = "") -> None:
        self.problems.append(Problem(message, show_path(path), place, remedy))


KEY = "\0key"
"""`marks[(*path, KEY)]` is where the key itself stands, for faults that are about the key and not its value."""


def show_path(path: Sequence[str | int]) -> str:
    """`stages.forecast.horizons[2]`."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text
