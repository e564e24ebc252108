"""Backbones of tsai (github.com/timeseriesAI/tsai, Apache-2.0) as encoders: `{uses: tsai, model: InceptionTimePlus}`.

Frames come from where the architecture has them: `.backbone` of the convolutional Plus models and of TSTPlus, `.tcn` of TCN,
and the patches of PatchTST. A model that gives one pooled vector becomes a single frame. Steps are hidden at the input;
missing values are filled by zeros (the mean of standardised data), because batch norm and attention cannot leave them out.

| family | length | padding |
| --- | --- | --- |
| convolutional with batch norm (InceptionTimePlus, XceptionTimePlus, ResNetPlus, ...) | any | changes results: batched by equal length |
| TCN (causal, weight norm) | any | cannot reach a real frame |
| TSTPlus | up to that of the data it was built for; shorter input is filled at its end | batched by equal length |
| PatchTST | exactly that length; shorter input is filled at its front, as its own patching fills | batched by equal length |
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field, JsonValue
from torch import Tensor, nn
from torch.nn import functional

from tswork.config import Config
from tswork.data.collection import DataInfo
from tswork.encoders.base import Encoder, Frames, full_lengths
from tswork.errors import ModelUnfit, PackageMissing, did_you_mean
from tswork.registry import register

INSTALL = "pip install tsai 'fastcore<2' 'fastprogress<1.1'"
PROBE_OUTPUTS = 2


class TsaiConfig(Config):
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
        whole = _build(config, channels=len(info.channels), length=length)
        self.body, self.patches = _frames_of(whole, config.model)
        self.fixed = _is_fixed(whole, self.patches)
        self.max_length = length if self.fixed else None
        self.padding_invariant = config.model == "TCN"
        self.dim, self.stride = self._look(len(info.channels), length)

    def forward(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        keep: Bool[Tensor, "batch time"] | None = None,
    ) -> Frames:
        known = full_lengths(x) if lengths is None else lengths
        shown = torch.where(torch.isnan(x), 0.0, x)
        if keep is not None:
            shown = torch.where(keep[..., None], shown, 0.0)
        frames = self._frames(shown.transpose(1, 2))
        if frames.shape[1] == 1 and x.shape[1] > 1:
            return Frames(frames, torch.ones_like(known))
        if self.patches:
            return Frames(frames, torch.full_like(known, frames.shape[1]))
        return Frames(frames[:, : x.shape[1]], known)

    def _frames(self, x: Float[Tensor, "batch channel time"]) -> Float[Tensor, "batch frame dim"]:
        time = x.shape[2]
        if self.max_length is not None:
            if time > self.max_length:
                reason = f"takes at most {self.max_length} steps, and {time} were given"
                raise ModelUnfit(f"tsai {self.name}", reason, "Give `length:`, or train and judge at one length.")
            short = self.max_length - time
            x = functional.pad(x, (short, 0) if self.patches else (0, short))
        found: Tensor = self.body(x)
        if found.ndim == 4:  # PatchTST: (batch, variable, dim, patch)
            found = found.flatten(1, 2)
        if found.ndim == 2:
            return found[:, None, :]
        if found.ndim != 3:
            raise ModelUnfit(
                f"tsai {self.name}", f"gives {found.ndim} axes where frames have three", "Choose another model."
            )
        return found.transpose(1, 2)

    def _look(self, channels: int, length: int) -> tuple[int, int]:
        """Width and stride, found by encoding zeros; a model that cannot is refused here, before anything trains."""
        training = self.body.training
        self.body.eval()
        try:
            with torch.no_grad():
                frames = self._frames(torch.zeros(1, channels, length))
        except (RuntimeError, ValueError, IndexError, AssertionError) as error:
            raise ModelUnfit(
                f"tsai {self.name}", f"cannot encode {channels} channels of {length} steps: {error}"
            ) from error
        finally:
            self.body.train(training)
        count = frames.shape[1]
        return frames.shape[2], max(1, round(length / count))


def tsai_models() -> list[str]:
    """Names of tsai's model modules, found without importing them."""
    found = importlib.util.find_spec("tsai")
    if found is None or not found.submodule_search_locations:
        raise PackageMissing("tsai", "the encoder 'tsai'", INSTALL)
    folder = [f"{place}/models" for place in found.submodule_search_locations]
    return sorted(module.name for module in pkgutil.iter_modules(folder) if module.name[:1].isupper())


def _build(config: TsaiConfig, *, channels: int, length: int) -> nn.Module:
    if config.model not in tsai_models():
        raise ModelUnfit(f"tsai {config.model}", "tsai has no such model", did_you_mean(config.model, tsai_models()))
    try:
        module = importlib.import_module(f"tsai.models.{config.model}")
    except ImportError as error:
        raise PackageMissing("tsai", f"the encoder 'tsai' with {config.model}", INSTALL, str(error)) from error
    model: Any = getattr(module, config.model)
    known = inspect.signature(model).parameters
    unknown = [name for name in config.options if name not in known and not _takes_any(known)]
    if unknown:
        raise ModelUnfit(f"tsai {config.model}", f"has no option {unknown[0]!r}", did_you_mean(unknown[0], known))
    given = {"c_in": channels, "c_out": PROBE_OUTPUTS, "seq_len": length, "pred_dim": 1}
    arguments = {name: value for name, value in given.items() if name in known}
    try:
        built: nn.Module = model(**arguments, **config.options)
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        raise ModelUnfit(
            f"tsai {config.model}", f"could not be built: {error}", "Look at its arguments in tsai's documentation."
        ) from error
    return built


def _takes_any(parameters: Any) -> bool:
    return any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())


def _frames_of(model: nn.Module, name: str) -> tuple[nn.Module, bool]:
    """The part that gives frames, and whether these are patches."""
    if name == "PatchTST":
        return PatchFrames(model), True
    if isinstance(getattr(model, "tcn", None), nn.Module):
        return model.tcn, False  # type: ignore[return-value]
    if isinstance(getattr(model, "backbone", None), nn.Module):
        return model.backbone, False  # type: ignore[return-value]
    raise ModelUnfit(
        f"tsai {name}", "has neither `.backbone` nor `.tcn` to take frames from", "Choose one of the Plus models."
    )


def _is_fixed(model: nn.Module, patches: bool) -> bool:
    """Whether positions are learned for one length."""
    return patches or type(model).__name__ in ("TSTPlus", "MultiTSTPlus", "TSiTPlus", "TST")


class PatchFrames(nn.Module):
    """PatchTST up to its encoder: patches of each variable, normalised a window as the model itself does."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        if not hasattr(model, "model"):
            raise ModelUnfit("tsai PatchTST", "with `decomposition` has two backbones", "Leave `decomposition` off.")
        self.inner = model.model

    def forward(self, x: Float[Tensor, "batch variable time"]) -> Float[Tensor, "batch variable dim patch"]:
        inner: Any = self.inner
        if inner.revin:
            x = inner.revin_layer(x, torch.tensor(True))
        patches = inner.padding_patch_layer(x).unfold(-1, inner.patch_len, inner.stride)
        encoded: Tensor = inner.backbone(patches.transpose(2, 3))
        return encoded
