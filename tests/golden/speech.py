"""What pretrained speech encoders make of two clips, with tiny checkpoints that are written for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from tests.encoders import test_ecapa as ecapa
from tests.encoders import test_torchaudio_speech as torchaudio
from tests.encoders.speech_checkpoints import block, write_checkpoint
from tswork.config import configure
from tswork.data.collection import Collection, DataInfo
from tswork.encoders.layers import feature_channels
from tswork.encoders.pooling import Pooling, pooled
from tswork.random import seeded

LENGTHS = torch.tensor([1600, 1000])


def _hf_speech(folder: Path) -> dict[str, Any]:
    return block(write_checkpoint(folder), layers="weighted")


def _ecapa(folder: Path) -> dict[str, Any]:
    ecapa.write_checkpoint(folder)
    return {"uses": "ecapa", **ecapa.TINY, "checkpoint": str(folder)}


BLOCKS: Mapping[str, Callable[[Path], dict[str, Any]]] = {
    "ecapa": _ecapa,
    "features": lambda _: {"uses": "features"},
    "hf_speech": _hf_speech,
    "torchaudio_speech": lambda _: torchaudio.factory(),
}
"""A block of each encoder, for a folder that its checkpoint may be written to."""


def speech_frames(name: str) -> dict[str, Tensor]:
    """Frames of clips of unequal length, and what they are pooled to."""
    layered = name == "features"
    channels = feature_channels(4, 3) if layered else ("sound",)
    x = torch.randn(2, 1600, len(channels))
    with TemporaryDirectory() as folder, torch.no_grad():
        described = configure("encoder", BLOCKS[name](Path(folder)))
        with seeded(0):
            encoder = described.build(DataInfo(channels, rate=None if layered else 16000.0)).eval()
        pooling: Pooling = "mean" if encoder.own_pooling is None else "own"
        return {"frames": encoder(x, LENGTHS).values, "pooled": pooled(encoder, x, LENGTHS, pooling=pooling)}


def frozen_collection() -> Collection:
    """Two clips as stored features of all layers."""
    clips = [torch.randn(int(length), 1).numpy() for length in LENGTHS]
    with TemporaryDirectory() as folder:
        options = {"uses": "frozen_features", "encoder": _hf_speech(Path(folder)), "pooling": "mean"}
        prepared: Collection = (
            configure("preparation", options).build().apply(Collection.from_sequences(clips, rate=16000.0))
        )
    return prepared
