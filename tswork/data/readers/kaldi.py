"""Data folders of Kaldi: `wav.scp` with `utt2spk`, `utt2lang` or `utt2dial`, `text`, `utt2gender`, `utt2dur`, `segments`.

The path is such a folder, or one that holds them for parts (`train`, `dev`, `test`). Utterances are the rows: those of `segments`, which
are pieces of recordings, else the recordings themselves. A line of `wav.scp` that ends with `|` is a command whose output is the
recording; such commands are never run here, the line is refused. Relative paths start from `root`, by default from the folder of
`wav.scp` (in Kaldi itself: from the working directory).
Layout: kaldi-asr.org/doc/data_prep.html.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tswork.data.faults import MAX_SHOWN, each, fault, refuse
from tswork.data.places import Places
from tswork.data.readers.gathering import Gathered
from tswork.data.readers.layouts import Layout, LayoutConfig, by_part
from tswork.data.readers.listing import Listing
from tswork.data.spec import DataSpec
from tswork.errors import Location, Problem
from tswork.registry import register

RECORDINGS = "wav.scp"
SEGMENTS = "segments"
COLUMNS = {
    "utt2spk": "speaker", "utt2lang": "language", "utt2dial": "dialect", "text": "text", "utt2gender": "gender",
    "utt2dur": "duration",
}  # fmt: skip
OF_SPEAKERS = {"spk2gender": "gender"}


class KaldiConfig(LayoutConfig):
    pass


@register("reader", "kaldi", version=1, config=KaldiConfig)
class Kaldi(Layout[KaldiConfig]):
    """A data folder of Kaldi, or one for each part; entries of wav.scp that are commands are refused."""

    def listing(self, spec: DataSpec, places: Places) -> Listing:
        top = spec.folder("path", places)
        folders: dict[Path, str | None] = {top: None}
        if not (top / RECORDINGS).is_file():
            inside = [path.parent for path in sorted(top.glob(f"*/{RECORDINGS}"))]
            folders = {path: part for path, part in by_part(inside).items() if part is not None}
            if not folders:
                raise fault(top, f"holds no {RECORDINGS}, nor does a folder of a part inside it")
        rows, sources, faults = Gathered(), [], []
        for folder, part in folders.items():
            data = _Folder.read(folder)
            sources += data.sources
            faults += data.faults()
            start = folder if self.config.root is None else self.root(spec, places, folder)
            for row, place in data.rows():
                path = row["path"]
                moved = {**row, "path": path if Path(path).is_absolute() else str(start / path)}
                rows.add({**moved, "split": part} if part else moved, place)
        refuse(faults)
        return Listing(rows.table(top, columns=spec.options.columns), top, tuple(sources))


@dataclass(frozen=True)
class _Folder:
    """The files of one data folder: key, rest of the line, and its number."""

    path: Path
    files: Mapping[str, Mapping[str, tuple[str, int]]]

    @staticmethod
    def read(path: Path) -> _Folder:
        names = [RECORDINGS, SEGMENTS, *COLUMNS, *OF_SPEAKERS]
        return _Folder(path, {name: _lines(path / name) for name in names if (path / name).is_file()})

    @property
    def sources(self) -> list[Path]:
        return [self.path / name for name in self.files]

    @property
    def utterances(self) -> Mapping[str, tuple[str, int]]:
        return self.files.get(SEGMENTS) or self.files[RECORDINGS]

    def place(self, name: str, line: int) -> Location:
        return Location(str(self.path / name), line)

    def faults(self) -> list[Problem]:
        """Commands in place of files, pieces of recordings that are not there, and lines about no utterance."""
        recordings = self.files[RECORDINGS]
        commands = [line for text, line in recordings.values() if text.endswith("|") or text.startswith("|")]
        remedy = "Write what it gives into a file, and name that file."

        def command(line: int) -> Problem:
            text = "is a command, and commands of data sets are not run"
            return Problem(text, location=self.place(RECORDINGS, line), remedy=remedy)

        found = list(each(commands, command, rest=f"lines of {RECORDINGS} that are commands"))
        pieces = [(text.split(), line) for text, line in self.files.get(SEGMENTS, {}).values()]
        for cells, line in pieces:
            if len(cells) != 3:
                found.append(Problem("should be: utterance recording start end", location=self.place(SEGMENTS, line)))
            elif cells[0] not in recordings:
                found.append(Problem(f"{RECORDINGS} has no {cells[0]!r}", location=self.place(SEGMENTS, line)))
        for name in COLUMNS:
            lost = [(key, line) for key, (_, line) in self.files.get(name, {}).items() if key not in self.utterances]
            found += [Problem(f"there is no utterance {key!r}", location=self.place(name, line)) for key, line in lost]
        return found[:MAX_SHOWN]

    def rows(self) -> Iterator[tuple[dict[str, Any], Location]]:
        """A row for every utterance, and where it stands."""
        pieces = self.files.get(SEGMENTS)
        for name, (text, line) in self.utterances.items():
            cells = text.split()
            if pieces is not None and (len(cells) != 3 or cells[0] not in self.files[RECORDINGS]):
                continue
            row = {"id": name, "path": self.files[RECORDINGS][cells[0] if pieces is not None else name][0]}
            row |= {
                column: self.files[file][name][0]
                for file, column in COLUMNS.items()
                if name in self.files.get(file, {})
            }
            speaker = row.get("speaker", name)
            row |= {
                column: self.files[file][speaker][0]
                for file, column in OF_SPEAKERS.items()
                if speaker in self.files.get(file, {})
            }
            yield ({**row, **_piece(cells)}, self.place(SEGMENTS if pieces is not None else RECORDINGS, line))


def _piece(cells: list[str]) -> dict[str, str | None]:
    """Start and duration of a piece (an end of -1 is the end of the recording); nothing for a whole recording."""
    if len(cells) != 3:
        return {}
    try:
        start, end = float(cells[1]), float(cells[2])
    except ValueError:
        return {"start": cells[1], "duration": cells[2]}  # told as no number where pieces are cut
    return {"start": cells[1], "duration": None if end < 0 else f"{end - start:.6f}"}


def _lines(path: Path) -> dict[str, tuple[str, int]]:
    """Key, the rest of the line and its number. Raises `DataInvalid` for keys that stand twice."""
    found: dict[str, tuple[str, int]] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # a transcript may hold other marks of a line's end
    except UnicodeDecodeError as error:
        raise fault(path, "is not UTF-8 text", "Save it as UTF-8.") from error
    twice = []
    for number, line in enumerate(lines, start=1):
        key, rest = (*line.split(maxsplit=1), "", "")[:2]
        if key in found:
            twice.append((key, number))
        elif key:
            found[key] = (rest.strip(), number)

    def problem(one: tuple[str, int]) -> Problem:
        text = f"{one[0]!r} stands in line {found[one[0]][1]} already"
        return Problem(text, location=Location(str(path), one[1]))

    refuse(each(twice, problem, rest="keys that stand twice"))
    return found
