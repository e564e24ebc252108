"""Speech models of torchaudio as encoders: its bundles of pretrained weights, and its factories with weights of any size.

    encoder: {uses: torchaudio_speech, model: WAV2VEC2_XLSR_300M}               # from torch's hub cache, or `checkpoint: FILE`
    encoder: {uses: torchaudio_speech, model: wav2vec2_model, options: {...}}   # weights are drawn

`hf_speech` is the first choice, since torchaudio is no longer developed; this one gives the same frames of the same weights.
Everything of torchaudio that is not public (four attributes of its bundles) is read in this file alone.

Departures
| torchaudio | here |
| --- | --- |
| normalises the waveform over the whole batch, padding included | over each clip's own samples |
| without lengths, padding changes the frames of every model | lengths are always given where clips differ |
| its WavLM cannot be given lengths | batches of one length; unequal clips are refused |
| the uppermost layer's features lack the final layer norm of models that normalise first | they have it |
| nothing is hidden in training | `mask_share` puts zeros in place of projected frames, for want of a learnt vector |
| features of the layers only | also what the first layer reads, so that layers are those of `hf_speech` |
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Bool, Float, Int
from pydantic import Field, JsonValue, model_validator
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recomputed

from tswork.data.collection import DataInfo
from tswork.encoders.base import valid_steps
from tswork.encoders.speech import SpeechBody, SpeechConfig, SpeechEncoder, frame_counts
from tswork.encoders.torchaudio_checkpoint import (
    BUNDLES,
    TorchaudioCheckpoint,
    hub_folder,
    put_state,
    read_state,
    torchaudio,
)
from tswork.errors import ModelUnfit, did_you_mean
from tswork.registry import register

FACTORIES = (
    *("wav2vec2_model", "wav2vec2_base", "wav2vec2_large", "wav2vec2_large_lv60k"),
    *("wav2vec2_xlsr_300m", "wav2vec2_xlsr_1b", "wav2vec2_xlsr_2b", "hubert_base", "hubert_large", "hubert_xlarge"),
    *("wavlm_model", "wavlm_base", "wavlm_large"),
)
SET_HERE = {"aux_num_out": None, "encoder_layer_drop": 0.0}
"""Arguments of factories that no one else sets: no head, and no layer that is left out."""
HEAD = "aux."
FAR = -10_000.0
"""What padding frames get in place of their attention score, as torchaudio has it."""


class TorchaudioSpeechConfig(SpeechConfig):
    model: str = Field(description="a bundle, such as WAV2VEC2_XLSR_300M, or a factory, such as wav2vec2_model")
    options: dict[str, JsonValue] = Field(default_factory=dict, description="arguments of a factory")
    checkpoint: TorchaudioCheckpoint | None = Field(
        default=None, description="file of weights; none: a bundle's own in torch's hub cache, drawn ones of a factory"
    )
    normalise: bool | None = Field(
        default=None, description="each clip to zero mean and unit variance; none: as the bundle says, else not"
    )
    rate: int = Field(default=16000, ge=1, description="samples a second that the weights were trained on")

    @model_validator(mode="before")
    @classmethod
    def _file_of_bundle(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and given.get("model") in BUNDLES and given.get("checkpoint") is None:
            return {**given, "checkpoint": BUNDLES[given["model"]]}
        return given


@register("encoder", "torchaudio_speech", version=1, config=TorchaudioSpeechConfig)
class TorchaudioSpeech(SpeechEncoder):
    """A bundle or a factory of torchaudio: wav2vec 2.0, XLS-R, HuBERT, WavLM."""

    def __init__(self, config: TorchaudioSpeechConfig, info: DataInfo) -> None:
        loaded = config.checkpoint is not None and config.checkpoint.loaded
        super().__init__(config, info, TorchaudioBody(config), loaded=loaded)

    @staticmethod
    def usable() -> str:
        version, cache = torchaudio().__version__, hub_folder()
        found = [name for name, file in BUNDLES.items() if (cache / file).is_file()]
        weights = f"bundles in {cache}: {', '.join(found)}" if found else f"no bundle's weights in {cache}"
        return f"torchaudio {version}; factories with drawn weights; {weights}"


class TorchaudioBody(SpeechBody):
    """A model of torchaudio."""

    def __init__(self, config: TorchaudioSpeechConfig) -> None:
        super().__init__()
        self.name, self.rate = f"torchaudio_speech {config.model}", config.rate
        self.model, normalises = self._made(config)
        self.normalises = normalises if config.normalise is None else config.normalise
        if config.checkpoint is not None and config.checkpoint.loaded:
            file = config.checkpoint.found.place
            state = {key: one for key, one in read_state(file, self.name).items() if not key.startswith(HEAD)}
            put_state(self.model, state, self.name, file)
        convolutions = list(self.model.feature_extractor.conv_layers)
        self.kernels, self.strides = ([getattr(one, key) for one in convolutions] for key in ("kernel_size", "stride"))
        self.dim = self._transformer.pos_conv_embed.embed_dim
        self.takes_lengths = type(self.layers[0].attention).__name__ != "WavLMSelfAttention"
        group_norm = isinstance(convolutions[0].layer_norm, nn.GroupNorm)
        self.padding_invariant = self.takes_lengths and not group_norm
        self._cut(config)
        self._recompute = config.recompute

    @property
    def convolutions(self) -> nn.Module:
        found: nn.Module = self.model.feature_extractor
        return found

    @property
    def layers(self) -> nn.ModuleList:
        found: nn.ModuleList = self._transformer.layers
        return found

    @property
    def above(self) -> Sequence[nn.Module]:
        return [self._transformer.layer_norm] if self._ends_in_norm else []

    def states(
        self,
        x: Float[Tensor, "batch sample"],
        lengths: Int[Tensor, "batch"] | None,
        hidden: Bool[Tensor, "batch frame"] | None,
    ) -> Sequence[Float[Tensor, "batch frame dim"]]:
        if lengths is not None and not self.takes_lengths and bool((lengths < x.shape[1]).any()):
            reason = "cannot be told where clips end, and these have different lengths"
            raise ModelUnfit(self.name, reason, "Use `hf_speech`, or batches of one length.")
        features, _ = self.model.feature_extractor(x, None)
        frames: Tensor = self.model.encoder.feature_projection(features)
        if hidden is not None:
            frames = frames.masked_fill(hidden[..., None], 0.0)
        mask = None
        if lengths is not None and self.takes_lengths:
            real = valid_steps(frame_counts(lengths, self.kernels, self.strides), frames.shape[1])
            frames = frames.masked_fill(~real[..., None], 0.0)
            mask = (FAR * (~real).to(frames.dtype))[:, None, None, :].expand(-1, 1, frames.shape[1], -1)
        return self._layer_by_layer(frames, mask)

    def _layer_by_layer(
        self, frames: Float[Tensor, "batch frame dim"], mask: Float[Tensor, "batch 1 frame frame"] | None
    ) -> Sequence[Float[Tensor, "batch frame dim"]]:
        transformer = self._transformer
        state = frames + transformer.pos_conv_embed(frames)
        if transformer.layer_norm_first:  # said of this norm, not of those in the layers
            state = transformer.layer_norm(state)
        states, bias = [transformer.dropout(state)], None
        for layer in transformer.layers:
            if self._recompute and layer.training:
                state, bias = recomputed(layer, states[-1], mask, bias, use_reentrant=False)
            else:
                state, bias = layer(states[-1], mask, position_bias=bias)
            states.append(state)
        return [*states[:-1], transformer.layer_norm(states[-1])] if self._ends_in_norm else states

    @property
    def _transformer(self) -> Any:
        return self.model.encoder.transformer

    def _cut(self, config: TorchaudioSpeechConfig) -> None:
        """Leave out layers that are not used."""
        count = len(self.layers)
        wanted = config.built_layers(self.name, count)
        self._transformer.layers = self.layers[:wanted]
        self._ends_in_norm = wanted == count and not self._transformer.layer_norm_first

    def _made(self, config: TorchaudioSpeechConfig) -> tuple[Any, bool]:
        """The model with drawn weights, and whether it wants normalised waveforms."""
        library = torchaudio()
        if config.model in BUNDLES:
            if config.options:
                raise ModelUnfit(self.name, "is a bundle, whose options are fixed", "Leave out `options`.")
            bundle = getattr(library.pipelines, config.model)
            factory = "wavlm_model" if bundle._model_type == "WavLM" else "wav2vec2_model"
            options = {**bundle._params, **SET_HERE}
            return getattr(library.models, factory)(**options), bundle._normalize_waveform
        if config.model not in FACTORIES:
            hint = did_you_mean(config.model, (*BUNDLES, *FACTORIES))
            raise ModelUnfit(self.name, "is neither a bundle nor a factory that is supported", hint)
        factory = getattr(library.models, config.model)
        return _called(factory, config.options, self.name), False


def _called(factory: Any, options: Mapping[str, Any], name: str) -> Any:
    """A factory's model. Raises `ModelUnfit` for arguments that it does not have, or needs."""
    known = inspect.signature(factory).parameters
    fixed = {option: value for option, value in SET_HERE.items() if option in known}
    for option in options:
        if option not in known or option in fixed:
            raise ModelUnfit(name, f"has no option {option!r}", did_you_mean(option, set(known) - set(fixed)))
    given = {**options, **fixed}
    lacking = [option for option, one in known.items() if one.default is one.empty and option not in given]
    if lacking:
        raise ModelUnfit(name, f"needs {', '.join(lacking)}", "Give them under `options`.")
    try:
        return factory(**given)
    except Exception as error:  # whatever a foreign model raises
        reason = f"could not be built ({type(error).__name__}: {str(error).partition(chr(10))[0]})"
        raise ModelUnfit(name, reason, "Look at its arguments in torchaudio's documentation.") from error
