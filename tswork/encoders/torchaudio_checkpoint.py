"""torchaudio as a library that may not import, and the files of weights of its bundles.

torchaudio is no longer developed; its last version, 2.11, declares no version of torch, so pip mixes what does not fit:

| torch | torchaudio 2.11 |
| --- | --- |
| 2.11 and 2.12 from PyPI | imports, also without a GPU |
| 2.14 and later | RuntimeError: compiled with different CUDA versions |
| a build for CPUs only | OSError: libc10_cuda.so is missing |
"""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tswork.data.places import Places
from tswork.encoders.checkpoints import Checkpoint, Found, candidates, not_there
from tswork.errors import ModelUnfit, PackageMissing

BUNDLES = {
    "WAV2VEC2_BASE": "wav2vec2_fairseq_base_ls960.pth",
    "WAV2VEC2_LARGE": "wav2vec2_fairseq_large_ls960.pth",
    "WAV2VEC2_LARGE_LV60K": "wav2vec2_fairseq_large_lv60k.pth",
    "WAV2VEC2_XLSR53": "wav2vec2_fairseq_large_xlsr53.pth",
    "WAV2VEC2_XLSR_300M": "wav2vec2_xlsr_300m.pth",
    "WAV2VEC2_XLSR_1B": "wav2vec2_xlsr_1b.pth",
    "WAV2VEC2_XLSR_2B": "wav2vec2_xlsr_2b.pth",
    "HUBERT_BASE": "hubert_fairseq_base_ls960.pth",
    "HUBERT_LARGE": "hubert_fairseq_large_ll60k.pth",
    "HUBERT_XLARGE": "hubert_fairseq_xlarge_ll60k.pth",
    "WAVLM_BASE": "wavlm_base.pth",
    "WAVLM_BASE_PLUS": "wavlm_base_plus.pth",
    "WAVLM_LARGE": "wavlm_large.pth",
}
"""Bundles and the files torch's hub keeps them in; known here, so that a plan need not import torchaudio."""

FITS = (
    "torchaudio 2.11 imports with torch 2.11 and 2.12 from PyPI; not with torch 2.14 and later, which are built for another CUDA,"
    " nor with builds of torch for CPUs only"
)
INSTALL = "pip install 'torch>=2.12,<2.13' 'torchaudio==2.11.*'"


class TorchaudioCheckpoint(Checkpoint):
    """A file of weights, as torch or safetensors write them."""

    def look(self, places: Places) -> Found:
        """The file: beside the pipeline, below a data root, or in the cache of torch's hub."""
        tried = [*candidates(self.name, places), hub_folder() / self.name]
        for file in tried:
            if file.is_file():
                return Found(file, [file])
        raise not_there(self.name, tried, "a file of weights (.pth, .pt or .safetensors)")


def hub_folder() -> Path:
    """Where torch's hub keeps what it downloaded."""
    home = os.environ.get("TORCH_HOME")
    cache = os.environ.get("XDG_CACHE_HOME")
    base = Path(home) if home else (Path(cache) if cache else Path.home() / ".cache") / "torch"
    return base.expanduser() / "hub" / "checkpoints"


def torchaudio() -> Any:
    """The library, imported when it is first needed. Raises `PackageMissing` with the versions that go together."""
    try:
        import torchaudio as library
    except (ImportError, OSError, RuntimeError) as error:
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}; here are torch {torch.__version__} and"
        reason += f" torchaudio {_version()}. {FITS}"
        raise PackageMissing("torchaudio", "the encoder 'torchaudio_speech'", INSTALL, reason) from error
    return library


def read_state(file: Path, name: str) -> dict[str, Tensor]:
    """The tensors of a file of weights; nothing in it is executed. Raises `ModelUnfit`."""
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(file))
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a reader of files raises
        reason = f"{file} could not be read ({type(error).__name__}: {str(error).partition(chr(10))[0]})"
        raise ModelUnfit(name, reason, "Get the file again.") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelUnfit(name, f"{file} holds something other than weights by name", "Name a file with a state_dict.")
    return dict(state)


def put_state(model: torch.nn.Module, state: dict[str, Tensor], name: str, file: Path) -> None:
    """Put weights in their places. Raises `ModelUnfit` that names those that are missing, unknown, or of another shape."""
    own = model.state_dict()
    faults = [f"{key} is missing" for key in own if key not in state]
    faults += [f"{key} is unknown" for key in state if key not in own]
    faults += [
        f"{key} is {tuple(state[key].shape)}, not {tuple(value.shape)}"
        for key, value in own.items()
        if key in state and state[key].shape != value.shape
    ]
    if faults:
        shown = "; ".join(faults[:5]) + (f"; and {len(faults) - 5} more" if len(faults) > 5 else "")
        raise ModelUnfit(name, f"the weights of {file} do not fit: {shown}", "Give the options they were trained with.")
    model.load_state_dict(state)


def _version() -> str:
    try:
        return metadata.version("torchaudio")
    except metadata.PackageNotFoundError:
        return "(not installed)"
