"""Records in a file: one JSON object a line, gzip where the name ends in `.gz`; what was altered is refused with its line.

The first line says what the file is, how many lines follow, and the digest of them all. Each line that follows is a run or a
result with a digest of its own. Lines are in the order of experiments and starts, so that a page that grows adds lines.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tswork.config import Config
from tswork.disk import make_folder
from tswork.errors import InvalidInput, Location, Problem
from tswork.reports.records import Records, ResultRecord
from tswork.source import Source
from tswork.tracking.reading import MemberRun
from tswork.validation import validate
from tswork.wording import counted

FORMAT, VERSION = "tswork results", 1
KINDS: dict[str, type[Config]] = {"run": MemberRun, "result": ResultRecord}
SHOWN = 8
"""So many faults of a file are told."""

AGAIN = "Take the file as it was before, or write it anew with `tswork report PAGE --keep` where the runs still are."
ABSENT = "`tswork report PAGE --keep` writes it; else take it out of `records`."


class RecordsInvalid(InvalidInput):
    """Faults of a file of records."""


def write_records(path: Path, records: Records) -> None:
    """Write all records; equal records give equal bytes. An older file is replaced as a whole."""
    lines = [_line(kind, one.model_dump(mode="json")) for kind, one in _in_order(records)]
    header = {"format": FORMAT, "version": VERSION, "lines": len(lines), "digest": _digest(*lines)}
    content = "".join(f"{line}\n" for line in [_json(header), *lines]).encode()
    if path.suffix == ".gz":
        content = gzip.compress(content, 9, mtime=0)
    make_folder(path.parent)
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(content)
    os.replace(beside, path)


def read_records(path: Path) -> Records:
    """The records of a file. Raises `RecordsInvalid` with every fault and its line."""
    lines = _text(path).splitlines()
    header, problems = _header(lines, path)
    found: list[tuple[int, Any]] = []
    if header is not None:
        for number, line in enumerate(lines[1:], start=2):
            one, faults = _read_line(line, Location(str(path), number))
            found.append((number, one))
            problems += faults
        if not problems and (header.get("lines"), header.get("digest")) != (len(lines) - 1, _digest(*lines[1:])):
            problems.append(
                Problem("lines were removed, added or moved", location=Location(str(path), 1), remedy=AGAIN)
            )
    runs = {one.run: one for _, one in found if isinstance(one, MemberRun)}
    results = [(number, one) for number, one in found if isinstance(one, ResultRecord)]
    if not problems:
        problems += [
            Problem(f"the run {one.run!r} of this result is not in the file", "run", Location(str(path), number), AGAIN)
            for number, one in results
            if one.run not in runs
        ]
    if problems:
        raise RecordsInvalid(_shown(problems, path))
    return Records(runs, {(runs[one.run].experiment, one.key): one for _, one in results})


def _in_order(records: Records) -> Iterator[tuple[str, Config]]:
    runs = sorted(records.runs.values(), key=lambda one: (one.experiment, one.started, one.run))
    for run in runs:
        yield "run", run
        of_run = [one for (where, _), one in records.results.items() if (where, one.run) == (run.experiment, run.run)]
        for result in sorted(of_run, key=lambda one: one.stage):
            yield "result", result


def _line(kind: str, block: dict[str, Any]) -> str:
    return _json({"kind": kind, "digest": _digest(_json(block)), **block})


def _json(block: dict[str, Any]) -> str:
    # The order of keys is kept: names that tell results apart show options in the order in which they were made.
    return json.dumps(block, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def _text(path: Path) -> str:
    place = Location(str(path))
    try:
        content = path.read_bytes()
        return (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    except FileNotFoundError as error:
        raise RecordsInvalid([Problem("there is no such file", location=place, remedy=ABSENT)]) from error
    except OSError as error:  # gzip's complaint about another kind of file is one, too
        reason = "is not a gzip file" if isinstance(error, gzip.BadGzipFile) else f"cannot be read: {error.strerror}"
        raise RecordsInvalid([Problem(reason, location=place, remedy=AGAIN)]) from error
    except (EOFError, zlib.error) as error:
        raise RecordsInvalid([Problem("is cut off or damaged", location=place, remedy=AGAIN)]) from error
    except UnicodeDecodeError as error:
        raise RecordsInvalid([Problem("is not UTF-8 text", location=place, remedy=AGAIN)]) from error


def _header(lines: Sequence[str], path: Path) -> tuple[dict[str, Any] | None, list[Problem]]:
    place = Location(str(path), 1)
    block = _object(lines[0]) if lines else None
    if block is None or block.get("format") != FORMAT:
        what = "Name a file that `tswork report PAGE --keep` wrote."
        return None, [Problem("is not a file of results", location=place, remedy=what)]
    if block.get("version") != VERSION:
        message = f"is of version {block.get('version')!r}; this tswork reads version {VERSION}"
        remedy = "Use the tswork that wrote it, or write it anew with `tswork report PAGE --keep`."
        return None, [Problem(message, "version", place, remedy)]
    return block, []


def _read_line(line: str, place: Location) -> tuple[Config | None, list[Problem]]:
    block = _object(line)
    if block is None:
        return None, [Problem("is not a JSON object", location=place, remedy=AGAIN)]
    kind, digest = block.pop("kind", None), block.pop("digest", None)
    if not isinstance(kind, str) or kind not in KINDS:
        return None, [Problem(f"should be one of {', '.join(KINDS)}, not {kind!r}", "kind", place, AGAIN)]
    if digest != _digest(_json(block)):
        return None, [Problem(f"this {kind} was altered: its digest is another", "digest", place, AGAIN)]
    return validate(KINDS[kind], Source(block, {(): place}))


def _object(line: str) -> dict[str, Any] | None:
    try:
        block = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return block if isinstance(block, dict) else None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _shown(problems: Sequence[Problem], path: Path) -> list[Problem]:
    more = len(problems) - SHOWN
    rest = [Problem(f"and {counted(more, 'more fault')}", location=Location(str(path)))] if more > 0 else []
    return [*problems[:SHOWN], *rest]
