"""Encoders of finished trainings as exported programs, made once a training and kept in the store.

`torch.export.load("encoder.pt2").module()(x)` gives the frames of `(batch, time, channel)` arrays without tswork. Where that
cannot be had, `export.json` says why; a training never fails for it.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import torch

from tswork.errors import ModelUnfit
from tswork.methods.exporting import export_encoder
from tswork.methods.saving import load_model
from tswork.store import Store, key_of

PROGRAM = "encoder.pt2"
REASON = "export.json"
VERSION = 1


def last_model(folder: Path) -> Path:
    """The folder of the last task's model of a finished method stage."""
    tasks = json.loads((folder / "stage.json").read_text())["tasks"]
    return folder / f"model-{tasks - 1}"


def exported(store: Store, stage_key: str, model: Path) -> Path:
    """The folder that holds the program of a stage's model, or the reason why there is none.

    To be called where nothing else uses torch: exporting patches parts of it for the whole process.
    """
    key = key_of({"export": VERSION, "of": stage_key, "torch": str(torch.__version__)})
    return store.compute(key, lambda folder: write_export(model, folder), about={"export of": stage_key})


def write_export(model: Path, folder: Path) -> None:
    """Write `encoder.pt2`, or `export.json` with the reason, for the model in a folder of the store."""
    try:
        loaded = load_model(model)
        program = export_encoder(loaded.encoder, channels=len(loaded.info.channels))
        program.example_inputs = None  # they are the only part of the file that would be a pickle
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch about its own formats
            torch.export.save(program, folder / PROGRAM)
    except Exception as error:  # whatever torch stumbles over: the training is finished and its weights are kept
        (folder / PROGRAM).unlink(missing_ok=True)
        reason = str(error) if isinstance(error, ModelUnfit) else f"{type(error).__name__}: {error}"
        (folder / REASON).write_text(json.dumps({"exported": False, "reason": reason}, indent=1))
