"""A small one of every encoder, and how to build it."""

from __future__ import annotations

from typing import Any

from tswork.config import configure
from tswork.data.collection import DataInfo
from tswork.encoders.base import Encoder
from tswork.random import seeded

DILATED_CONV: dict[str, Any] = {"uses": "dilated_conv", "depth": 4, "dim": 16, "hidden": 8}
CAUSAL_MIXTURE: dict[str, Any] = {"uses": "causal_mixture", "depth": 4, "dim": 12, "hidden": 8, "kernels": [1, 2, 4, 8]}
LSTM: dict[str, Any] = {"uses": "recurrent", "dim": 16}
BOTH_WAYS: dict[str, Any] = {"uses": "recurrent", "dim": 16, "cell": "gru", "bidirectional": True}
TRANSFORMER: dict[str, Any] = {"uses": "transformer", "dim": 16, "layers": 2}
PATCHES: dict[str, Any] = {"uses": "transformer", "dim": 16, "layers": 1, "patch": 4}
RELATIVE: dict[str, Any] = {"uses": "relative", "encoder": DILATED_CONV}
NORMALISED: dict[str, Any] = {"uses": "relative", "encoder": PATCHES, "by": "mean", "scale": True, "restore": True}
FRAME_NORM: dict[str, Any] = {"uses": "frame_norm", "encoder": DILATED_CONV}
TREND_SEASONAL: dict[str, Any] = {
    "uses": "trend_seasonal",
    "length": 24,
    "dim": 12,
    "hidden": 8,
    "depth": 3,
    "kernels": [1, 2, 4, 8],
}
TIME_FREQUENCY: dict[str, Any] = {
    "uses": "time_frequency",
    "time": DILATED_CONV,
    "frequency": PATCHES,
    "pooling": "mean",
}
ECAPA: dict[str, Any] = {
    "uses": "ecapa_small",
    "front_end": "none",
    "dim": 16,
    "channels": 8,
    "groups": 2,
    "dilations": [1, 2],
    "squeeze": 4,
    "attention": 4,
    "embedding": 6,
}
CONFORMER: dict[str, Any] = {
    "uses": "conformer_small",
    "front_end": "none",
    "dim": 16,
    "layers": 2,
    "widening": 2,
    "kernel": 5,
    "subsampling": 2,
}
OWN = {
    "dilated_conv": DILATED_CONV,
    "causal_mixture": CAUSAL_MIXTURE,
    "lstm": LSTM,
    "gru both ways": BOTH_WAYS,
    "transformer": TRANSFORMER,
    "transformer of patches": PATCHES,
    "relative": RELATIVE,
    "normalised": NORMALISED,
    "frame_norm": FRAME_NORM,
    "trend_seasonal": TREND_SEASONAL,
    "time_frequency": TIME_FREQUENCY,
    "ecapa_small": ECAPA,
    "conformer_small": CONFORMER,
}

TSAI_OPTIONS: dict[str, dict[str, Any]] = {
    "InceptionTimePlus": {"nf": 4},
    "XceptionTimePlus": {"nf": 4},
    "ResNetPlus": {"nf": 4},
    "TSTPlus": {"d_model": 16, "n_layers": 1, "n_heads": 2},
    "TSiTPlus": {"d_model": 16, "depth": 1, "n_heads": 2},
    "TCN": {"layers": [8, 8]},
    "PatchTST": {"d_model": 16, "n_heads": 2, "d_ff": 16},
    "RNN_FCNPlus": {"shuffle": False, "conv_layers": [8, 8, 8], "hidden_size": 8},
}
TSAI: dict[str, dict[str, Any]] = {
    name: {"uses": "tsai", "model": name, "options": options} for name, options in TSAI_OPTIONS.items()
}


def build(block: dict[str, Any], *, channels: int = 3, length: int = 24, seed: int = 0) -> Encoder:
    """An untrained encoder in evaluation mode."""
    info = DataInfo(tuple(f"c{number}" for number in range(channels)), max_length=length)
    with seeded(seed):
        encoder: Encoder = configure("encoder", block).build(info)
    return encoder.eval()
