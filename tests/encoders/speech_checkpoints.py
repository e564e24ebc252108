"""Tiny speech checkpoints in the layouts of real ones, written by the library that reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tswork.random import seeded

KERNELS, STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
"""Those of every published model, so that frames are counted as theirs are."""
SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
}
SHORT: dict[str, Any] = {"conv_dim": (8, 8), "conv_kernel": (4, 2), "conv_stride": (2, 2)}
"""A frame every four samples, for sounds that are trained on."""


def write_checkpoint(
    folder: Path,
    kind: str = "wav2vec2",
    *,
    norm: str = "layer",
    first: bool = True,
    rate: int = 16000,
    normalise: bool = True,
    seed: int = 0,
    **sizes: Any,
) -> Path:
    """A model of about 7,000 weights with its preprocessor; `first`: layers normalise before they mix."""
    from transformers import AutoConfig, AutoModel, Wav2Vec2FeatureExtractor

    options = {**SIZES, **sizes, "feat_extract_norm": norm, "do_stable_layer_norm": first}
    with seeded(seed):
        model = AutoModel.from_config(AutoConfig.for_model(kind, **options))
        for weight in model.parameters():  # norms and biases are not left as they begin
            if weight.ndim == 1:
                weight.data += 0.1 * torch.randn_like(weight)
    model.save_pretrained(folder)
    preprocessor = Wav2Vec2FeatureExtractor(
        sampling_rate=rate, do_normalize=normalise, return_attention_mask=norm == "layer"
    )
    preprocessor.save_pretrained(folder)
    return folder


def block(folder: Path | str, **options: Any) -> dict[str, Any]:
    """An encoder of such a checkpoint."""
    return {"uses": "hf_speech", "checkpoint": str(folder), **options}
