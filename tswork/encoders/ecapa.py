"""ECAPA-TDNN as SpeechBrain trains it, for its checkpoints: language identification on 107 languages (VoxLingua107).

Desplanques, Thienpondt and Demuynck, "ECAPA-TDNN", Interspeech 2020; Valk and Alumäe, "VoxLingua107", SLT 2021. Defaults are the
published options of speechbrain/lang-id-voxlingua107-ecapa (recipes/VoxLingua107/lang_id/hparams/train_ecapa.yaml, 1731407).

`checkpoint` names a folder with `embedding_model.ckpt`, that file itself, or the model's name on the hub where it is in the hub's cache;
weights alone are read, and the classifier beside them is not used. Names of weights follow from the modules of
speechbrain/lobes/models/ECAPA_TDNN.py (128b2f3), as do padding by reflection and a norm behind each activation. The published
file was not at hand: what is tested is a checkpoint in that layout, and an independent form of the same sums.

Frames are those before pooling (3072 wide, one every 10 ms); the embedding of 256 numbers is the encoder's own pooling (`pooling: own`).

| SpeechBrain | here |
| --- | --- |
| reflects at the end of the padded batch | at the end of each clip, so that a clip is the same alone and in any batch |
| batch norm in training over padding, too | over real frames alone |
| real frames are a rounded share of the batch's length | counted from samples |
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from tswork.data.collection import DataInfo
from tswork.data.places import Places
from tswork.encoders.base import Encoder, Frames, OwnPooling
from tswork.encoders.checkpoints import Checkpoint, Found, candidates, not_there
from tswork.encoders.decibel_mel import HOP, RATE, DecibelMel
from tswork.encoders.ecapa_network import EcapaSizes, Network, Pooling, published_names
from tswork.encoders.front_ends.base import seen_samples
from tswork.encoders.hf_checkpoint import cached_snapshot, hub_cache
from tswork.encoders.speech import check_sound
from tswork.encoders.torchaudio_checkpoint import put_state, read_state
from tswork.encoders.with_front_end import EncoderConfig
from tswork.errors import ModelUnfit
from tswork.registry import register

FILE = "embedding_model.ckpt"
PUBLISHED = "speechbrain/lang-id-voxlingua107-ecapa"


class EcapaCheckpoint(Checkpoint):
    """A folder with embedding_model.ckpt, that file, or a name in the hub's cache."""

    def look(self, places: Places) -> Found:
        """The file of weights."""
        tried = candidates(self.name, places)
        cached = cached_snapshot(str(self.name), hub_cache())
        for place in [*tried, *([cached] if cached is not None else [])]:
            file = place / FILE if place.is_dir() else place
            if file.is_file():
                return Found(file, [file])
        remedy = f"The published one is {PUBLISHED}."
        raise not_there(self.name, [*tried, hub_cache()], f"a folder with {FILE}", remedy)


class EcapaConfig(EncoderConfig, EcapaSizes):
    checkpoint: EcapaCheckpoint | None = Field(
        default=None, description=f"folder with {FILE}, or its name on the hub; none: weights are drawn"
    )
    train: Literal["none", "all"] = Field(default="none", description="whether its weights are trained")

    @model_validator(mode="after")
    def _something_to_do(self) -> EcapaConfig:
        if self.train == "none" and self.checkpoint is None:
            raise ValueError("without a checkpoint there is something to train; give `train: all` or a `checkpoint`")
        return self


@register("encoder", "ecapa", version=1, config=EcapaConfig)
class Ecapa(Encoder):
    """SpeechBrain's ECAPA-TDNN with its published weights for 107 languages, frozen or trained on."""

    masks = "input"
    stride = HOP

    def __init__(self, config: EcapaConfig, info: DataInfo) -> None:
        super().__init__()
        check_sound("ecapa", RATE, info)
        self.dim, self._trains = config.channels[-1], config.train == "all"
        self.bands = DecibelMel(config.mels)
        self.network = Network(config)
        self.pooling = Pooling(config)
        self.loaded = config.checkpoint is not None and config.checkpoint.loaded
        if config.checkpoint is not None and config.checkpoint.loaded:
            load_published([self.network, self.pooling], config.checkpoint.found.place)
        self.network.requires_grad_(self._trains)
        self.pooling.requires_grad_(self._trains)
        self.train(self.training)

    @staticmethod
    def usable() -> str:
        found = cached_snapshot(PUBLISHED, hub_cache())
        own = [file for folder in Places.here().data_folders for file in sorted((folder / "checkpoints").rglob(FILE))]
        files = [*([found / FILE] if found is not None and (found / FILE).is_file() else []), *own]
        if not files:
            reason = f"no {FILE} was found in the hub's cache or below checkpoints/ of a data root"
            raise ModelUnfit("ecapa", reason, f"Put the folder of {PUBLISHED} there, or train one with `train: all`.")
        return f"checkpoints: {', '.join(map(str, files))}"

    @property
    def own_pooling(self) -> OwnPooling:
        return self.pooling

    def forward(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        keep: Bool[Tensor, "batch time"] | None = None,
    ) -> Frames:
        heard = torch.where(seen_samples(x, lengths, keep), x, 0.0)[..., 0]
        frames: Frames = self.bands(heard, lengths)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self._trains):
            found: Tensor = self.network(frames.values.transpose(1, 2), None if lengths is None else frames.lengths)
        return Frames(found.transpose(1, 2), frames.lengths)

    def train(self, mode: bool = True) -> Ecapa:
        """Training mode, unless nothing is trained: batch norm then keeps its statistics."""
        super().train(mode)
        if not self._trains:
            self.network.eval()
            self.pooling.eval()
        return self

    def fixed_weights(self) -> frozenset[str]:
        return frozenset(self.state_dict()) if self.loaded and not self._trains else frozenset()


def load_published(modules: Sequence[nn.Module], file: Path) -> None:
    """Put the weights of a file under SpeechBrain's names into the modules that share them out. Raises `ModelUnfit`."""
    whole = nn.Module()
    for module in modules:
        for name, child in module.named_children():
            whole.add_module(name, child)
    ours = {theirs: name for name, theirs in published_names(whole).items()}
    put_state(whole, {ours.get(name, name): one for name, one in read_state(file, "ecapa").items()}, "ecapa", file)
