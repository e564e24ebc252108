"""What MLflow calls to load a model of ours: data only, rebuilt by tswork itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from tswork.methods.model import Model
from tswork.methods.saving import load_model


class Embedder:
    """`predict` gives one vector a sequence."""

    def __init__(self, model: Model) -> None:
        self._model = model.eval()

    def predict(self, model_input: Float[np.ndarray, "batch time channel"]) -> Float[np.ndarray, "batch dim"]:
        """Embeddings of sequences of one length; missing values are NaN."""
        with torch.no_grad():
            x = torch.from_numpy(np.ascontiguousarray(model_input, dtype=np.float32))
            return np.asarray(self._model.embed(x.to(self._model.device)).cpu())


def _load_pyfunc(path: str) -> Embedder:
    return Embedder(load_model(Path(path)))
