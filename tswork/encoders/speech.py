"""What encoders of pretrained speech models share: one channel of sound in, a frame every 20 ms out.

| option | what it does |
| --- | --- |
| `layers: last` | the model's output |
| `layers: weighted` | a learnt softmax-weighted sum of the convolutions' projection and all layers (SUPERB, Interspeech 2021) |
| `layers: N` | the state after N layers; those above it are not built |
| `train: none` | nothing of the model is trained, and it stays in evaluation mode: no dropout, no gradient is kept |
| `train: K` | the K uppermost layers are trained, the rest as with `none` |
| `train: all` | everything but the convolutions, which `train_convolutions` adds |

Frames of a clip of T samples are those of the convolutions alone: floor((T - kernel) / stride) + 1 through all of them, for the usual
seven floor((T - 400) / 320) + 1. A shorter clip has no frame. Samples past a clip's length, missing and hidden ones are zero, and
where the checkpoint asks for it each clip is brought to zero mean and unit variance over its own real samples, never over a batch.

Departures from the libraries
| they | here |
| --- | --- |
| layer drop leaves out layers in training, also of a frozen model | never: a state would be missing from the sum |
| SpecAugment is on in training, draws from numpy's global state, and fails on clips of less than ten frames | `mask_share`, off |
| the uppermost state lacks the final layer norm of models that normalise first | the uppermost state is the model's output |
"""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn

from tswork.config import NOT_KEYED
from tswork.data.collection import DataInfo
from tswork.encoders.base import Encoder, Frames, full_lengths
from tswork.encoders.front_ends.base import normalised, seen_samples
from tswork.encoders.with_front_end import EncoderConfig
from tswork.errors import ModelUnfit, TsworkWarning
from tswork.precision import wide
from tswork.wording import counted

MASK_SPAN = 10
"""Frames that are hidden together."""
TINY = 1e-7
"""Added to variances of waveforms, as the preprocessors of these models do."""


class SpeechConfig(EncoderConfig):
    """Options of every pretrained speech model."""

    layers: Literal["last", "weighted"] | Annotated[int, Field(ge=1)] = Field(
        default="last",
        description="frames: the output, a learnt weighted sum of all layers, or the state after so many",
    )
    train: Literal["none", "all"] | Annotated[int, Field(ge=1)] = Field(
        default="none", description="what is trained of the model: nothing, all, or so many of the uppermost layers"
    )
    train_convolutions: bool = Field(default=False, description="with `train: all`: the convolutions, too")
    mask_share: float = Field(
        default=0.0, ge=0, lt=1, description=f"share of frames hidden in training, in spans of {MASK_SPAN}"
    )
    recompute: bool = Field(
        default=False,
        json_schema_extra=NOT_KEYED,
        description="keep no activations inside trained layers: less memory, a third more time",
    )

    def built_layers(self, name: str, count: int) -> int:
        """How many of a model's layers are built. Raises `ModelUnfit` for more than it has."""
        wanted = self.layers if isinstance(self.layers, int) else count
        if wanted > count:
            reason = f"has {counted(count, 'layer')}, and the state after {wanted} is asked for"
            raise ModelUnfit(name, reason, "Lower `layers`.")
        return wanted


class SpeechBody(nn.Module, ABC):
    """A speech model behind one interface, whatever library it comes from."""

    name: str
    """How messages call it."""
    dim: int
    kernels: Sequence[int]
    strides: Sequence[int]
    rate: int
    """Samples a second it was trained on."""
    normalises: bool
    """Whether each clip is brought to zero mean and unit variance."""
    padding_invariant: bool

    @property
    @abstractmethod
    def convolutions(self) -> nn.Module:
        """From sound to frames."""

    @property
    @abstractmethod
    def layers(self) -> nn.ModuleList:
        """The layers, the lowest first."""

    @property
    @abstractmethod
    def above(self) -> Sequence[nn.Module]:
        """What comes after the uppermost layer, trained with it."""

    @abstractmethod
    def states(
        self,
        x: Float[Tensor, "batch sample"],
        lengths: Int[Tensor, "batch"] | None,
        hidden: Bool[Tensor, "batch frame"] | None,
    ) -> Sequence[Float[Tensor, "batch frame dim"]]:
        """The projected features and the state after each layer; the last one is the model's output."""


class SpeechEncoder(Encoder):
    """Frames of a pretrained speech model."""

    masks = "input"
    exportable = False
    why_not_exportable = "is a model of another library, whose control flow is not traced"

    def __init__(self, config: SpeechConfig, info: DataInfo, body: SpeechBody, *, loaded: bool) -> None:
        super().__init__()
        check_sound(body.name, body.rate, info)
        self.config, self.body, self.loaded = config, body, loaded
        self.dim, self.padding_invariant = body.dim, body.padding_invariant
        self.stride, self.min_length = math.prod(body.strides), receptive_field(body.kernels, body.strides)
        if not body.padding_invariant and not info.equal_lengths:
            text = f"{body.name}: padding would change its frames, so batches hold clips of one length only"
            warnings.warn(f"{text}. Cut the clips to one length, or use another model.", TsworkWarning, stacklevel=2)
        self.layer_weights = nn.Parameter(torch.zeros(len(body.layers) + 1)) if config.layers == "weighted" else None
        self._trained = self._freeze()
        self.train(self.training)

    def forward(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        keep: Bool[Tensor, "batch time"] | None = None,
    ) -> Frames:
        states, frames = self.states(x, lengths, keep=keep)
        chosen = states[-1] if self.layer_weights is None else weighted_sum(states, self.layer_weights)
        return Frames(chosen, frames)

    def states(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        keep: Bool[Tensor, "batch time"] | None = None,
    ) -> tuple[Sequence[Float[Tensor, "batch frame dim"]], Int[Tensor, "batch"]]:
        """The projected features and the state after every layer that is built, and how many frames are real."""
        sound, known = self._sound(x, lengths, keep), full_lengths(x) if lengths is None else lengths
        frames = frame_counts(known, self.body.kernels, self.body.strides)
        given = None if lengths is None else lengths.clamp(min=self.min_length)
        with torch.set_grad_enabled(torch.is_grad_enabled() and bool(self._trained)):
            return self.body.states(sound, given, self._hidden(sound, frames)), frames

    def train(self, mode: bool = True) -> SpeechEncoder:
        """Training mode for what is trained; the rest stays in evaluation mode."""
        super().train(mode)
        self.body.eval()
        for module in self._trained:
            module.train(mode)
        return self

    def fixed_weights(self) -> frozenset[str]:
        if not self.loaded:
            return frozenset()
        learnt = {name for name, weight in self.named_parameters() if weight.requires_grad}
        return frozenset(name for name in self.state_dict() if name not in learnt)

    def added_weights(self) -> Sequence[nn.Parameter]:
        return [self.layer_weights] if self.layer_weights is not None else []

    def _freeze(self) -> list[nn.Module]:
        """Leave gradients to what is trained, and give its modules."""
        config, body = self.config, self.body
        body.requires_grad_(False)
        if config.train == "none":
            return []
        if config.train == "all":
            body.requires_grad_(True)
            body.convolutions.requires_grad_(config.train_convolutions)
            return [body]
        if config.train > len(body.layers):
            reason = f"has {counted(len(body.layers), 'layer')}, and the {config.train} uppermost are to be trained"
            raise ModelUnfit(body.name, reason, "Lower `train`, or give `train: all`.")
        trained = [*body.layers[-config.train :], *body.above]
        for module in trained:
            module.requires_grad_(True)
        return trained

    def _sound(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None,
        keep: Bool[Tensor, "batch time"] | None,
    ) -> Float[Tensor, "batch sample"]:
        """The one channel, zero where there is nothing, normalised where that is asked for, long enough for a frame."""
        seen = seen_samples(x, lengths, keep)
        heard = torch.where(seen, x, 0.0)
        sound = (normalised(wide(heard), seen, floor=TINY) if self.body.normalises else heard)[..., 0]
        lacking = self.min_length - x.shape[1]
        return nn.functional.pad(sound, (0, lacking)) if lacking > 0 else sound

    def _hidden(
        self, sound: Float[Tensor, "batch sample"], frames: Int[Tensor, "batch"]
    ) -> Bool[Tensor, "batch frame"] | None:
        if not (self.training and self._trained and self.config.mask_share):
            return None
        total = frame_counts(torch.tensor([sound.shape[1]]), self.body.kernels, self.body.strides)
        return hidden_spans(frames, int(total), share=self.config.mask_share)


def weighted_sum(
    states: Sequence[Float[Tensor, "*batch dim"]], weights: Float[Tensor, "state"]
) -> Float[Tensor, "*batch dim"]:
    """States weighted by the softmax of their weights."""
    shares = weights.softmax(dim=0)
    found = states[0] * shares[0]
    for state, share in zip(states[1:], shares[1:], strict=True):
        found = torch.addcmul(found, state, share.to(state.dtype))
    return found


def frame_counts(lengths: Int[Tensor, "clip"], kernels: Sequence[int], strides: Sequence[int]) -> Int[Tensor, "clip"]:
    """Frames of clips of so many samples after unpadded convolutions; 0 for a clip shorter than their receptive field."""
    for kernel, stride in zip(kernels, strides, strict=True):
        lengths = torch.div(lengths - kernel, stride, rounding_mode="floor").add(1).clamp(min=0)
    return lengths


def receptive_field(kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Samples that one frame sees: the fewest that give one."""
    needed = 1
    for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
        needed = (needed - 1) * stride + kernel
    return needed


def hidden_spans(frames: Int[Tensor, "clip"], total: int, *, share: float) -> Bool[Tensor, "clip frame"]:
    """Random spans of `MASK_SPAN` frames that hide about a share of each clip's frames; shorter clips are left alone.

    Drawn from torch's global generator, as dropout is, which the training loop seeds at every step.
    """
    places = (frames - MASK_SPAN + 1).clamp(min=0)[:, None]
    # A frame is hidden by any of the spans that begin at the MASK_SPAN places before and at it.
    chance = 1 - (1 - share) ** (1 / MASK_SPAN)
    begins = torch.rand(len(frames), total, device=frames.device) < chance
    begins &= torch.arange(total, device=frames.device) < places
    reach = nn.functional.pad(begins.float(), (MASK_SPAN - 1, 0))[:, None]
    return nn.functional.max_pool1d(reach, MASK_SPAN, stride=1)[:, 0] > 0


def check_sound(name: str, rate: int, info: DataInfo) -> None:
    """Refuse data that are not one channel of sound of that rate. Raises `ModelUnfit`."""
    if len(info.channels) != 1:
        reason = f"takes one channel of sound, and the data have {len(info.channels)}: {', '.join(info.channels[:5])}"
        raise ModelUnfit(name, reason, "Mix the channels down, or name one with `channels:`.")
    if info.rate is not None and info.rate != rate:
        reason = f"was trained on {rate} samples a second, and the data have {info.rate:g}"
        raise ModelUnfit(name, reason, f"Add `{{uses: resample, rate: {rate}}}` to `prepare`.")
