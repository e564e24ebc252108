"""Decoded recordings in the store: every file is decoded once for a decoder's version and options, whatever uses it later.

An entry is a pack of many recordings: one file of int16 samples, and an index with one row a recording, found by its key: the
digest of the file's content, the decoder with its version and options, and the options of the data block that the decoder's
values depend on (the rate). What was never decoded before is written to a new pack, in the order of the manifest; labels, splits,
other orders and other manifests find it there. Nothing is remembered of files that are refused.

While a pack is written it lies in the workspace of its key with a journal, so that interrupted decoding goes on where it was; a
checksum of each recording tells whether what is there survived.
"""

from __future__ import annotations

import io
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int16

from tswork.config import keyed
from tswork.data.digests import file_digests
from tswork.data.joined import KIND, SAMPLES, entry_samples
from tswork.data.places import Places
from tswork.data.readers.decoders.base import Decoder, Recording
from tswork.data.spec import DataOptions
from tswork.errors import DataInvalid, Problem
from tswork.progress import advance
from tswork.registry import Component
from tswork.store import Store, key_of

FORMAT = 1
INDEX = "index.json"
JOURNAL = "journal.jsonl"
HEAD_BYTES = 128
"""Room for the head of a `.npy` file, which numpy pads to this for any number of samples."""

Row = dict[str, Any]
"""Of one recording: key, start, stop, checksum, rate, notes, file_rate, file_channels, shortest."""


@dataclass(frozen=True)
class Wanted:
    """A file, and what decodes it."""

    file: Path
    component: Component
    decoder: Decoder[Any]


def read_decoded(
    wanted: Sequence[Wanted], options: DataOptions, places: Places
) -> tuple[dict[Path, Recording], dict[Path, list[Problem]]]:
    """The recordings of files, from the store where they were decoded before, and the faults of files that are refused.

    Values are mapped from their entry, which `Recording.kept` names.
    """
    store = Store(places.store)
    keys = _keys(wanted, options, places)
    found = _look_up(store, set(keys.values()))
    missing: dict[str, Wanted] = {}
    for one in wanted:
        if keys[one.file] not in found:
            missing.setdefault(keys[one.file], one)
    broken: dict[Path, list[Problem]] = {}
    if missing:
        faults = _decode(missing, options, store)
        found |= _look_up(store, set(missing))
        broken = {
            one.file: _faults(one, faults.get(keys[one.file]), options) for one in wanted if keys[one.file] not in found
        }
    samples = {key: entry_samples(store, key) for key in {key for key, _ in found.values()}}
    read = {
        one.file: _recording(*found[keys[one.file]], samples, one.decoder.names(options))
        for one in wanted
        if keys[one.file] in found
    }
    return read, broken


def _keys(wanted: Sequence[Wanted], options: DataOptions, places: Places) -> dict[Path, str]:
    """The key of every file: equal for equal content that is decoded alike."""
    digests = file_digests([one.file for one in wanted], places)
    alike: dict[int, Any] = {}
    for one in wanted:
        if id(one.decoder) not in alike:
            asked = {name: getattr(options, name) for name in one.decoder.kept or ()}
            how = {"uses": one.component.name, "version": one.component.version, **keyed(one.decoder.config)}
            alike[id(one.decoder)] = {"decoder": how, "options": asked}
    return {one.file: key_of({**alike[id(one.decoder)], "file": digests[one.file]}) for one in wanted}


def _look_up(store: Store, keys: set[str]) -> dict[str, tuple[str, Row]]:
    """For each key that is known: the entry that has it, and its row there."""
    found: dict[str, tuple[str, Row]] = {}
    for entry in store.entries():
        if entry.about.get("kind") != KIND or entry.about.get("format") != FORMAT or keys <= found.keys():
            continue
        if store.get(entry.key) is None:
            continue
        for row in json.loads((entry.path / INDEX).read_text()):
            if row["key"] in keys:
                found.setdefault(row["key"], (entry.key, row))
    return found


def _recording(
    entry: str, row: Row, samples: Mapping[str, Int16[np.ndarray, "_ one"]], names: tuple[str, ...]
) -> Recording:
    return Recording(
        samples[entry][row["start"] : row["stop"]],
        names,
        row["rate"],
        notes=row["notes"],
        file_rate=row["file_rate"],
        file_channels=row["file_channels"],
        shortest=row["shortest"],
        kept=(entry, row["start"]),
    )


def _faults(one: Wanted, faults: list[Problem] | None, options: DataOptions) -> list[Problem]:
    """What is wrong with a file that is in no pack; another process may have met it before."""
    if faults is None:
        try:
            one.decoder.read(one.file, options)
        except DataInvalid as fault:
            return list(fault.problems)
        return [Problem("could not be decoded a moment ago", remedy="Try again.")]
    return faults


class _Nothing(Exception):
    """No file could be decoded, so that there is nothing to keep."""


def _decode(missing: Mapping[str, Wanted], options: DataOptions, store: Store) -> dict[str, list[Problem]]:
    """Decode files into a new pack; gives the faults of those that are refused."""
    faults: dict[str, list[Problem]] = {}
    key = key_of({"decoded": list(missing), "format": FORMAT})

    def write(folder: Path) -> None:
        with _Pack(store.workspace(key)) as pack:
            for done, (name, one) in enumerate(missing.items()):
                advance("decoding", done, len(missing))
                if name in pack.names:
                    continue
                try:
                    pack.add(name, one.decoder.read(one.file, options))
                except DataInvalid as fault:
                    faults[name] = list(fault.problems)
            advance("decoding", len(missing), len(missing))
            if not pack.rows:
                raise _Nothing
            pack.finish(folder)

    try:
        store.compute(key, write, about={"kind": KIND, "format": FORMAT})
    except _Nothing:
        store.remove(key)
    return faults


class _Pack:
    """A pack while it is written: samples, and a journal with the row of every recording that is whole."""

    def __init__(self, folder: Path) -> None:
        self._samples = folder / SAMPLES
        self._journal = folder / JOURNAL
        self.rows = _survived(self._samples, self._journal)
        self.names = {row["key"] for row in self.rows}

    def __enter__(self) -> _Pack:
        self._at = self.rows[-1]["stop"] if self.rows else 0
        self._out = self._samples.open("r+b" if self.rows else "w+b")
        self._out.truncate(HEAD_BYTES + 2 * self._at)
        self._out.seek(HEAD_BYTES + 2 * self._at)
        self._said = self._journal.open("w")
        self._said.writelines(f"{json.dumps(row)}\n" for row in self.rows)
        return self

    def __exit__(self, *error: object) -> None:
        self._out.close()
        self._said.close()

    def add(self, name: str, recording: Recording) -> None:
        """Write the samples of a recording, then its row."""
        samples = np.ascontiguousarray(recording.values, "<i2")
        row = {
            "key": name,
            "start": self._at,
            "stop": self._at + len(samples),
            "checksum": zlib.crc32(samples.data),
            "rate": recording.rate,
            "notes": dict(recording.notes),
            "file_rate": recording.file_rate,
            "file_channels": recording.file_channels,
            "shortest": recording.shortest,
        }
        self._out.write(samples.data)
        self._out.flush()
        self._said.write(f"{json.dumps(row)}\n")
        self._said.flush()
        self._at += len(samples)
        self.rows.append(row)

    def finish(self, folder: Path) -> None:
        """Move the whole pack into the folder of its entry."""
        self._out.seek(0)
        self._out.write(_npy_head(self._at))
        self._out.close()
        os.replace(self._samples, folder / SAMPLES)
        (folder / INDEX).write_text(json.dumps(self.rows))


def _survived(samples: Path, journal: Path) -> list[Row]:
    """Rows of an interrupted journal whose samples are as they were written; everything after the first that is not is lost."""
    rows: list[Row] = []
    if not journal.is_file() or not samples.is_file():
        return rows
    with samples.open("rb") as file:
        for line in journal.read_text().splitlines():
            try:
                row: Row = json.loads(line)
                file.seek(HEAD_BYTES + 2 * row["start"])
                if zlib.crc32(file.read(2 * (row["stop"] - row["start"]))) != row["checksum"]:
                    break
            except (ValueError, KeyError, TypeError):
                break
            rows.append(row)
    return rows


def _npy_head(length: int) -> bytes:
    head = io.BytesIO()
    form: Any = np.lib.format
    form.write_array_header_1_0(head, {"descr": "<i2", "fortran_order": False, "shape": (length, 1)})
    written = head.getvalue()
    assert len(written) == HEAD_BYTES
    return written
