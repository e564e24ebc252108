"""Checkpoints in the layout of Hugging Face: a folder, or the name of a model on its hub that was downloaded before.

    config.json                 what the model is
    preprocessor_config.json    its sampling rate, and whether each clip is normalised
    model.safetensors           the weights (or pytorch_model.bin, or the index of either with its pieces)

A name such as `facebook/wav2vec2-xls-r-300m` is sought among the folders first, then in the hub's cache
(`$HF_HUB_CACHE`, `$HF_HOME/hub`, `~/.cache/huggingface/hub`). Nothing is fetched unless `download: true` says so. Other files of
a folder (README, weights of other frameworks) are not read and do not count for the digest.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import Field

from tswork.config import NOT_KEYED
from tswork.data.places import Places
from tswork.encoders.checkpoints import Checkpoint, Found, candidates, not_there, read_json
from tswork.errors import DataInvalid, PackageMissing, Problem

CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
INDEX = ".index.json"
LAYOUT = f"a folder with {CONFIG}, {PREPROCESSOR} and {WEIGHTS[0]} (or {WEIGHTS[1]})"
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


class HfCheckpoint(Checkpoint):
    """A folder with config.json and weights, or a name on the hub."""

    download: bool = Field(
        default=False,
        json_schema_extra=NOT_KEYED,
        description="get a name on the hub that is not on this machine; else the network is never used",
    )

    def look(self, places: Places) -> Found:
        """The folder and what its JSON files say."""
        folder = self._folder(places)
        if not (folder / CONFIG).is_file():
            raise _lacks(folder, CONFIG)
        weights = _weights(folder)
        if weights is None:
            raise _lacks(folder, " or ".join(WEIGHTS))
        if not (folder / PREPROCESSOR).is_file():
            raise _lacks(folder, PREPROCESSOR)
        architecture = {"config": read_json(folder / CONFIG), "preprocessor": read_json(folder / PREPROCESSOR)}
        return Found(folder, [folder / CONFIG, folder / PREPROCESSOR, *weights], architecture)

    def _folder(self, places: Places) -> Path:
        tried = candidates(self.name, places)
        for folder in tried:
            if folder.is_dir():
                return folder
            if folder.is_file():
                raise DataInvalid([Problem(f"{folder} is a file", remedy=f"Name {LAYOUT}.")])
        name, cache = str(self.name), hub_cache()
        on_hub = HUB_NAME.fullmatch(name) is not None
        if on_hub:
            cached = cached_snapshot(name, cache)
            if cached is not None:
                return cached
            tried.append(cache)
            if self.download:
                return _downloaded(name)
        remedy = "Or let it be fetched: `checkpoint: {name: ..., download: true}`." if on_hub else ""
        raise not_there(self.name, tried, LAYOUT, remedy)


def hub_cache() -> Path:
    """The folder in which the hub's client keeps what it downloaded."""
    for variable, below in (("HF_HUB_CACHE", "."), ("HUGGINGFACE_HUB_CACHE", "."), ("HF_HOME", "hub")):
        if os.environ.get(variable):
            return Path(os.environ[variable]).expanduser() / below
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "huggingface" / "hub"


def cached_snapshot(name: str, cache: Path) -> Path | None:
    """The snapshot of a model that the client downloaded last, or None."""
    folder = cache / f"models--{name.replace('/', '--')}"
    try:
        snapshot = folder / "snapshots" / (folder / "refs" / "main").read_text().strip()
    except OSError:
        return None
    return snapshot if snapshot.is_dir() else None


def folders_on_this_machine(places: Places) -> Iterator[Path]:
    """Every folder with a config.json below a data root's checkpoints and in the hub's cache."""
    for base in (*(folder / "checkpoints" for folder in places.data_folders), hub_cache()):
        yield from sorted(path.parent for depth in ("*", "*/*", "*/*/*") for path in base.glob(f"{depth}/{CONFIG}"))


def _weights(folder: Path) -> Sequence[Path] | None:
    """The files of weights in the order of preference of the library that reads them."""
    for name in WEIGHTS:
        if (folder / name).is_file():
            return [folder / name]
        index = folder / f"{name}{INDEX}"
        if index.is_file():
            pieces = [folder / str(piece) for piece in sorted(set(read_json(index).get("weight_map", {}).values()))]
            missing = [piece.name for piece in pieces if not piece.is_file()]
            if missing:
                raise _lacks(folder, ", ".join(missing))
            return [index, *pieces]
    return None


def _lacks(folder: Path, what: str) -> DataInvalid:
    return DataInvalid([Problem(f"{folder} lacks {what}", remedy=f"A checkpoint is {LAYOUT}.")])


def _downloaded(name: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
    except ImportError as error:
        raise PackageMissing("huggingface_hub", "`download: true`", "pip install transformers", str(error)) from error
    try:
        # Weights come in several forms; the second pattern is only asked for where the first is not there.
        folder = Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors"]))
        if _weights(folder) is None:
            folder = Path(snapshot_download(name, allow_patterns=["*.json", "pytorch_model*"]))
    except (OSError, ValueError, HfHubHTTPError, HFValidationError, OfflineModeIsEnabled) as error:
        reason = str(error).partition("\n")[0]
        remedy = f"Download it where there is a network and put {LAYOUT} on this machine."
        raise DataInvalid([Problem(f"{name!r} could not be fetched from the hub ({reason})", remedy=remedy)]) from error
    return folder
