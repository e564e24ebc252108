"""Backbones of tsai (github.com/timeseriesAI/tsai, Apache-2.0) as encoders: `{uses: tsai, model: InceptionTimePlus}`.

Frames come from where the architecture has them: `.backbone` of the Plus models, `.tcn` of TCN, and the patches of PatchTST. A
model that gives one pooled vector becomes a single frame. Steps are hidden at the input; missing values are filled by zeros
(the mean of standardised data), because batch norm and attention cannot leave them out.

| family | length | padding |
| --- | --- | --- |
| convolutional with batch norm (InceptionTimePlus, XceptionTimePlus, ResNetPlus, ...) | any | changes results: batched by equal length |
| TCN (causal, weight norm) | any | cannot reach a real frame |
| with learned positions (TSTPlus, TSiTPlus, PatchTST) | up to that of the data it was built for | batched by equal length |
| any other that takes a single length | refused before training | |

Departures
| tsai | here |
| --- | --- |
| learned positions fit one length | for a shorter input they are interpolated, so that nothing is filled up |
| TSTPlus looks for steps to mask in every batch, in the caller's tensor | it never does: missing values are filled before |
| PatchTST fills `stride` steps in front and leaves out last steps that fill no patch | the last patch ends with the last step |
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field, JsonValue
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from tswork.data.collection import DataInfo
from tswork.encoders.base import Encoder, Frames, full_lengths
from tswork.encoders.with_front_end import EncoderConfig
from tswork.errors import ModelUnfit, PackageMissing, did_you_mean
from tswork.registry import register
from tswork.wording import counted

INSTALL = "pip install tsai 'fastcore<2' 'fastprogress<1.1'"
POSITIONS = {"TSTPlus": "W_pos", "TSiTPlus": "pos_embed"}
"""Learned positions in the backbones that have them."""
SET_HERE = ("c_in", "c_out", "seq_len")
"""Arguments that follow from the data."""


class TsaiConfig(EncoderConfig):
    model: str = Field(pattern=r"^[A-Za-z_]\w*$", description="name of a tsai model, such as InceptionTimePlus")
    options: dict[str, JsonValue] = Field(default_factory=dict, description="further arguments of that model")
    length: int | None = Field(
        default=None, ge=1, description="longest input of a model of fixed length; none: that of the training data"
    )


@register("encoder", "tsai", version=1, config=TsaiConfig)
class Tsai(Encoder):
    """A backbone of tsai: frames where the architecture has them, else one pooled vector."""

    masks = "input"

    def __init__(self, config: TsaiConfig, info: DataInfo) -> None:
        super().__init__()
        length = config.length or info.max_length or 1
        self.name = config.model
        self.body = _frames_of(_build(config, channels=len(info.channels), length=length), config.model)
        self.max_length = length if isinstance(self.body, (Positioned, PatchFrames)) else None
        self.padding_invariant = config.model == "TCN"
        self.dim, self.stride = self._look(len(info.channels), length)

    @staticmethod
    def usable() -> str:
        return f"{counted(len(tsai_models()), 'model')} of tsai"

    def forward(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        keep: Bool[Tensor, "batch time"] | None = None,
    ) -> Frames:
        known, time = full_lengths(x) if lengths is None else lengths, x.shape[1]
        if self.max_length is not None and time > self.max_length:
            raise self._unfit(
                f"takes at most {counted(self.max_length, 'step')}, and {time} were given",
                "Give `length:`, or train and judge at one length.",
            )
        seen = ~torch.isnan(x) if keep is None else ~torch.isnan(x) & keep[..., None]
        frames = self._frames(torch.where(seen, x, 0.0))
        return Frames(frames, (known * frames.shape[1] + time - 1) // time)

    def _frames(self, x: Float[Tensor, "batch time channel"]) -> Float[Tensor, "batch frame dim"]:
        found: Tensor = self.body(x.transpose(1, 2))
        if found.ndim == 2:
            return found[:, None, :]
        if found.ndim != 3 or found.shape[2] > x.shape[1]:
            shape = " x ".join(str(size) for size in found.shape[1:])
            raise self._unfit(f"gives {shape} numbers for {counted(x.shape[1], 'step')}, which are no frames")
        return found.transpose(1, 2)

    def _look(self, channels: int, length: int) -> tuple[int, int]:
        """Width and stride, found by encoding zeros; a model that cannot serve is refused here, before anything trains."""
        if not any(parameter.requires_grad for parameter in self.parameters()):
            raise self._unfit("has no weights to train")
        training = self.body.training
        self.body.eval()
        try:
            with torch.no_grad():
                frames, fewer = (self._frames(torch.zeros(1, time, channels)) for time in (length, length // 2 + 1))
        except ModelUnfit:
            raise
        except Exception as error:  # whatever a foreign model raises
            raise self._unfit(
                f"cannot encode {channels} channels of {length} and of {counted(length // 2 + 1, 'step')} ({_first_line(error)})"
            ) from error
        finally:
            self.body.train(training)
        if fewer.shape[1] > length // 2 + 1 or fewer.shape[2] != frames.shape[2]:
            raise self._unfit(f"gives frames of other shape for {counted(length // 2 + 1, 'step')} than for {length}")
        return frames.shape[2], max(1, round(length / frames.shape[1]))

    def _unfit(self, reason: str, remedy: str = "Choose another model.") -> ModelUnfit:
        return ModelUnfit(f"tsai {self.name}", reason, remedy)


class Positioned(nn.Module):
    """A transformer whose learned positions are interpolated for inputs shorter than it was built for."""

    def __init__(self, body: nn.Module, name: str) -> None:
        super().__init__()
        self.body = body
        self.name = name

    def forward(self, x: Float[Tensor, "batch channel time"]) -> Float[Tensor, "batch dim frame"]:
        body: Any = self.body
        frames = x.shape[2]
        if getattr(body, "new_q_len", False):
            # TSTPlus shortens series above `max_seq_len` steps by a convolution in front.
            kernel = max((one.kernel_size[0] for one in body.W_P.children() if hasattr(one, "kernel_size")), default=1)
            x = functional.pad(x, (max(0, kernel - frames), 0))
            frames = body.W_P(x).shape[2]
        positions = _interpolated(getattr(body, self.name), frames)
        encoded: Tensor = functional_call(body, {self.name: positions}, (x,))
        return encoded


class PatchFrames(nn.Module):
    """PatchTST up to its encoder: patches of each variable, normalised a window as the model itself does."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        if not hasattr(model, "model"):
            raise ModelUnfit("tsai PatchTST", "with `decomposition` has two backbones", "Leave `decomposition` off.")
        inner: Any = model.model
        self.patch, self.stride = int(inner.patch_len), int(inner.stride)
        self.normalise = inner.revin_layer if inner.revin else None
        self.encode = inner.backbone

    def forward(self, x: Float[Tensor, "batch variable time"]) -> Float[Tensor, "batch dim frame"]:
        if self.normalise is not None:
            x = self.normalise(x, torch.tensor(True))
        in_front = (self.patch - x.shape[2]) % self.stride or self.stride
        x = functional.pad(x, (max(in_front, self.patch - x.shape[2]), 0), mode="replicate")
        patches = x.unfold(2, self.patch, self.stride)  # (batch, variable, patch, step)
        positions = _interpolated(self.encode.W_pos, patches.shape[2])
        encoded: Tensor = functional_call(self.encode, {"W_pos": positions}, (patches.transpose(2, 3),))
        return encoded.flatten(1, 2)


def tsai_models() -> list[str]:
    """Names of tsai's model modules, found without importing them."""
    found = importlib.util.find_spec("tsai")
    if found is None or not found.submodule_search_locations:
        raise PackageMissing("tsai", "the encoder 'tsai'", INSTALL)
    folder = [f"{place}/models" for place in found.submodule_search_locations]
    return sorted(module.name for module in pkgutil.iter_modules(folder) if module.name[:1].isupper())


def _build(config: TsaiConfig, *, channels: int, length: int) -> nn.Module:
    name = f"tsai {config.model}"
    if config.model not in tsai_models():
        raise ModelUnfit(name, "tsai has no such model", did_you_mean(config.model, tsai_models()))
    try:
        module = importlib.import_module(f"tsai.models.{config.model}")
    except ImportError as error:
        raise PackageMissing("tsai", f"the encoder 'tsai' with {config.model}", INSTALL, str(error)) from error
    model: Any = getattr(module, config.model, None)
    if model is None:
        raise ModelUnfit(name, "is a file of tsai without a model of its name", "Choose another model.")
    known = inspect.signature(model).parameters
    _check_options(name, config.options, known)
    given = dict(zip(SET_HERE, (channels, 2, length), strict=True)) | {"pred_dim": 1, "key_padding_mask": False}
    arguments = {option: value for option, value in given.items() if option in known} | config.options
    try:
        built: nn.Module = model(**arguments)
    except Exception as error:  # whatever a foreign model raises
        raise ModelUnfit(
            name, f"could not be built ({_first_line(error)})", "Look at its arguments in tsai's documentation."
        ) from error
    return built


def _check_options(name: str, options: Mapping[str, object], known: Mapping[str, inspect.Parameter]) -> None:
    takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known.values())
    for option in options:
        if option in SET_HERE:
            raise ModelUnfit(name, f"its option {option!r} follows from the data", "For another length set `length:`.")
        if option not in known and not takes_any:
            raise ModelUnfit(name, f"has no option {option!r}", did_you_mean(option, known))


def _frames_of(model: nn.Module, name: str) -> nn.Module:
    """The part of a model that gives frames."""
    if name == "PatchTST":
        return PatchFrames(model)
    for part in ("tcn", "backbone"):
        body = getattr(model, part, None)
        if isinstance(body, nn.Module):
            return Positioned(body, POSITIONS[name]) if hasattr(body, POSITIONS.get(name, "")) else body
    raise ModelUnfit(
        f"tsai {name}", "has neither `.backbone` nor `.tcn` to take frames from", "Choose one of the Plus models."
    )


def _interpolated(positions: Float[Tensor, "*one old dim"], frames: int) -> Float[Tensor, "*one frame dim"]:
    """Positions of as many frames, the first and the last in their places."""
    if positions.shape[-2] == frames:
        return positions
    rows = positions.reshape(1, *positions.shape[-2:]).transpose(1, 2)
    found = functional.interpolate(rows, size=frames, mode="linear", align_corners=True).transpose(1, 2)
    return found.reshape(*positions.shape[:-2], frames, positions.shape[-1])


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
