"""A trained model as a folder: `weights.safetensors` and `model.json`, nothing that could run code.

`model.json` holds the method's block as a pipeline would write it, what the method knew of its data, and the digest of
the weights. Loading builds the model anew through the registry and puts every weight back. Of a checkpoint that an encoder started
from, the architecture is kept, so that neither the checkpoint nor the network is needed.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

import tswork
from tswork.config import Configured, NestedInvalid, configure, dump_configured
from tswork.data.collection import DataInfo
from tswork.encoders.checkpoints import architectures, describe
from tswork.errors import ModelUnfit, TsworkWarning
from tswork.methods.base import Method, build_model
from tswork.methods.model import Model
from tswork.methods.weights import load_weights, read_weights, weights_of, write_weights
from tswork.store import file_digest

WEIGHTS = "weights.safetensors"
DESCRIPTION = "model.json"
FORMAT = 1
TRAIN_AGAIN = "Copy the whole folder again, or train the model again."


def save_model(folder: Path, model: Model, method: Configured) -> None:
    """Write a model and the block of the method that trained it into a folder, which is created."""
    folder.mkdir(parents=True, exist_ok=True)
    write_weights(folder / WEIGHTS, weights_of(model))
    description = {
        "format": FORMAT,
        "tswork": tswork.__version__,
        "method": dump_configured(method),
        "method_version": method.component.version,
        "info": asdict(model.info),
        "provides": sorted(model.provides),
        "architectures": architectures(method),
        "weights": {"bytes": (folder / WEIGHTS).stat().st_size, "sha256": file_digest(folder / WEIGHTS)},
    }
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=1, sort_keys=True))


def load_model(folder: Path, device: torch.device | str = "cpu") -> Model:
    """The model of a folder by `save_model`, on a device and in evaluation mode.

    Raises `ModelUnfit` when a file is missing, altered, or made by something this version cannot rebuild.
    """
    description = _description(folder)
    _check_weights(folder, description)
    block = _method_block(folder, description)
    method: Method[Any] = describe(block, description.get("architectures", {})).build()
    model = build_model(method, _info(folder, description["info"]), seed=0)
    load_weights(model, read_weights(folder / WEIGHTS), source=str(folder))
    model.provides = frozenset(description["provides"])
    return model.to(device).eval()


def _description(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    try:
        description = json.loads(path.read_text())
    except FileNotFoundError:
        raise ModelUnfit(str(folder), f"there is no {DESCRIPTION}, so this is not a saved model", TRAIN_AGAIN) from None
    except ValueError as error:
        raise ModelUnfit(str(path), f"it is not JSON ({error})", TRAIN_AGAIN) from error
    needed = {"format", "method", "info", "provides", "weights"}
    missing = sorted(needed - set(description)) if isinstance(description, dict) else sorted(needed)
    if missing:
        raise ModelUnfit(str(path), f"it lacks {', '.join(missing)}", TRAIN_AGAIN)
    if description["format"] != FORMAT:
        raise ModelUnfit(
            str(path), f"it has format {description['format']}, this version reads {FORMAT}", "Use a newer tswork."
        )
    return dict(description)


def _check_weights(folder: Path, description: dict[str, Any]) -> None:
    path = folder / WEIGHTS
    if not path.is_file():
        raise ModelUnfit(str(folder), f"there is no {WEIGHTS}", TRAIN_AGAIN)
    recorded = description["weights"]
    if path.stat().st_size != recorded["bytes"]:
        raise ModelUnfit(
            str(path), f"it has {path.stat().st_size} bytes and was written with {recorded['bytes']}", TRAIN_AGAIN
        )
    if file_digest(path) != recorded["sha256"]:
        raise ModelUnfit(str(path), "its content was altered after it was written", TRAIN_AGAIN)


def _method_block(folder: Path, description: dict[str, Any]) -> Configured:
    try:
        block = configure("method", description["method"])
    except NestedInvalid as nested:
        raise ModelUnfit(str(folder), f"its method's options do not fit this version: {nested.errors}") from nested
    except (ValidationError, PydanticCustomError) as error:
        raise ModelUnfit(str(folder), f"its method cannot be rebuilt: {error}", "Install its plug-in.") from error
    trained = description.get("method_version")
    if trained != block.component.version:
        warnings.warn(
            f"{folder}: trained by version {trained} of {block.name}, rebuilt by version {block.component.version}",
            TsworkWarning,
            stacklevel=3,
        )
    return block


def _info(folder: Path, fields: dict[str, Any]) -> DataInfo:
    lists: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
    try:
        return DataInfo(**lists)
    except TypeError as error:
        raise ModelUnfit(str(folder), f"what it knew of its data does not fit this version: {error}") from error
