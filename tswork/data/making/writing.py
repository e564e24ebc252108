"""Writing a made set down: sound files, the manifest that names them, and the truth, in a folder that is whole or not there."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from pathlib import Path
from typing import Any, Literal

import tswork
from tswork.config import Configured, dump_configured
from tswork.data.collection import Collection
from tswork.data.faults import fault
from tswork.data.making.base import Made
from tswork.disk import make_folder
from tswork.store import file_digest

Format = Literal["flac", "wav"]

MANIFEST = "manifest.csv"
TRUTH = "truth.json"
SOUND = "sound"


def make_set(maker: Configured, folder: Path, *, form: Format = "flac") -> tuple[Path, Made | None]:
    """Make a set in a folder that is new or empty; gives its manifest, and what was made.

    A folder that holds the set already (the same maker, version and options) is left alone, and nothing is made. Raises
    `DataInvalid` when it holds anything else.
    """
    made_by = {**dump_configured(maker), "version": maker.component.version, "files": form}
    if folder.is_file():
        raise fault(folder, "is a file", "Name a folder.")
    if folder.is_dir() and any(folder.iterdir()):
        if _made_by(folder) != made_by:
            raise fault(folder, "holds other files", "Name a new folder, or remove this one.")
        return folder / MANIFEST, None
    make_folder(folder.parent)
    draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    try:
        made: Made = maker.build().make()
        write_made(made, draft, made_by=made_by, form=form)
        if folder.is_dir():
            folder.rmdir()
        os.replace(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder / MANIFEST, made


def write_made(made: Made, folder: Path, *, made_by: dict[str, Any], form: Format) -> None:
    """A sound file a sequence below `sound/`, in folders of its groups; `manifest.csv`; `truth.json`, with sha256 of all sounds."""
    collection = made.collection
    if collection.rate is None:
        raise ValueError("sound needs a rate")
    paths = [f"{path}.{form}" for path in _paths(collection)]
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(paths):
        _write_sound(folder / path, collection.sequence(number)[:, 0].numpy(), int(collection.rate))
    table = collection.table.copy()
    table.insert(0, "path", paths)
    table.to_csv(folder / MANIFEST, index=False)
    about = {
        "made_by": made_by,
        "tswork": tswork.__version__,
        "digest": collection.digest,
        "seconds": round(len(collection.values) / collection.rate, 3),
        "sha256": {path: file_digest(folder / path) for path in paths},
    }
    # One key a line: the long lists of the truth stay readable.
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in {**about, **made.truth}.items()]
    (folder / TRUTH).write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _paths(collection: Collection) -> list[str]:
    """Where each recording stands: in the folder of its last group (the speaker), named by its id."""
    folders = [collection.table[collection.groups[-1]]] if collection.groups else []
    columns = [*folders, collection.table["id"]]
    return ["/".join((SOUND, *map(str, parts))) for parts in zip(*columns, strict=True)]


def _write_sound(path: Path, codes: Any, rate: int) -> None:
    import soundfile

    soundfile.write(path, codes, rate, subtype="PCM_16")


def _made_by(folder: Path) -> Any:
    """How the set in a folder was made; None where it holds no set."""
    try:
        return json.loads((folder / TRUTH).read_text(encoding="utf-8")).get("made_by")
    except (OSError, ValueError, AttributeError):
        return None
