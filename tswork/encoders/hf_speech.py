"""Speech models of the library transformers as encoders: wav2vec 2.0, XLS-R, HuBERT, WavLM.

Baevski et al., "wav2vec 2.0", NeurIPS 2020; Babu et al., "XLS-R", Interspeech 2022; Hsu et al., "HuBERT", TASLP 2021; Chen
et al., "WavLM", JSTSP 2022. The model comes from a folder or from a name on the hub that is on this machine (`tswork.encoders.
hf_checkpoint`); no code of a checkpoint is ever run, and weights are read as safetensors or with `weights_only`.

Models whose convolutions end in layer norm (XLS-R, XLSR-53, WavLM large, HuBERT large) give a clip the same frames in a padded batch as
alone: they are always told where clips end. Those with group norm (wav2vec 2.0 base, HuBERT base, WavLM base) take statistics over the
whole padded clip, and no mask changes that (transformers issue 21534, pytorch/audio issue 2242): batches of them hold clips of one length.

Options, freezing, layers and frames: `tswork.encoders.speech`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn

from tswork.data.collection import DataInfo
from tswork.data.places import Places
from tswork.encoders.base import valid_steps
from tswork.encoders.checkpoints import read_json
from tswork.encoders.hf_checkpoint import HfCheckpoint, folders_on_this_machine
from tswork.encoders.speech import SpeechBody, SpeechConfig, SpeechEncoder
from tswork.errors import ModelUnfit, PackageMissing
from tswork.registry import register

KINDS = ("wav2vec2", "hubert", "wavlm")
"""Values of `model_type` in config.json that were tried."""
UNTRAINED = "masked_spec_embed"
"""The one weight that a checkpoint may lack: what hidden frames are replaced by."""


class HfSpeechConfig(SpeechConfig):
    checkpoint: HfCheckpoint = Field(description="folder of a model, or its name on the hub")


@register("encoder", "hf_speech", version=1, config=HfSpeechConfig)
class HfSpeech(SpeechEncoder):
    """A wav2vec 2.0, XLS-R, HuBERT or WavLM checkpoint: frozen, partly frozen or fine-tuned."""

    def __init__(self, config: HfSpeechConfig, info: DataInfo) -> None:
        super().__init__(config, info, HfBody(config), loaded=config.checkpoint.loaded)

    @staticmethod
    def usable() -> str:
        version = transformers().__version__
        found = [
            f"{folder} ({kind})"
            for folder in folders_on_this_machine(Places.here())
            if (kind := _kind(folder)) in KINDS
        ]
        if not found:
            reason = f"transformers {version} is there, and no checkpoint was found in the hub's cache or a data root"
            raise ModelUnfit("hf_speech", reason, "Name the folder of one with `checkpoint:`.")
        return f"transformers {version}; checkpoints: {', '.join(found)}"


class HfBody(SpeechBody):
    """A model of transformers."""

    def __init__(self, options: HfSpeechConfig) -> None:
        super().__init__()
        found = options.checkpoint.found
        given, preprocessor = dict(found.architecture["config"]), found.architecture["preprocessor"]
        self.name = f"hf_speech {options.checkpoint.name}"
        config = self._config(given, options)
        self.model: Any = self._loaded(str(found.place), config) if options.checkpoint.loaded else _built(config)
        self.dim, self.kernels, self.strides = config.hidden_size, tuple(config.conv_kernel), tuple(config.conv_stride)
        self.rate, self.normalises = preprocessor.get("sampling_rate", 16000), preprocessor.get("do_normalize", True)
        self.padding_invariant = config.feat_extract_norm == "layer"
        self._masks = self.padding_invariant or preprocessor.get("return_attention_mask", False)
        self._ends_in_norm = bool(config.do_stable_layer_norm) and not self._cut
        if options.train != "all" or not options.train_convolutions:
            # Or it keeps activations for gradients that nobody asks for; not every model has the public name for it.
            convolutions: Any = self.convolutions
            convolutions._freeze_parameters()
        if config.model_type == "wavlm":
            # Its position bias has another type than the mask; recomputed layers warn of it outside of any forward of ours.
            warnings.filterwarnings("ignore", "Support for mismatched key_padding_mask")
        if options.recompute:
            _recompute(self.model)

    @property
    def convolutions(self) -> nn.Module:
        found: nn.Module = self.model.feature_extractor
        return found

    @property
    def layers(self) -> nn.ModuleList:
        found: nn.ModuleList = self.model.encoder.layers
        return found

    @property
    def above(self) -> Sequence[nn.Module]:
        return [self.model.encoder.layer_norm] if self._ends_in_norm else []

    def states(
        self,
        x: Float[Tensor, "batch sample"],
        lengths: Int[Tensor, "batch"] | None,
        hidden: Bool[Tensor, "batch frame"] | None,
    ) -> Sequence[Float[Tensor, "batch frame dim"]]:
        mask = None if lengths is None or not self._masks else valid_steps(lengths, x.shape[1]).long()
        given = self.model(x, attention_mask=mask, mask_time_indices=hidden, output_hidden_states=True)
        states: Sequence[Tensor] = given.hidden_states
        return states if self._cut else [*states[:-1], given.last_hidden_state]

    def _config(self, given: Mapping[str, Any], options: HfSpeechConfig) -> Any:
        """The configuration of the checkpoint with what is never wanted switched off, and layers that are not used left out."""
        if given.get("model_type") not in KINDS:
            reason = f"is of the type {given.get('model_type')!r}; supported are {', '.join(KINDS)}"
            raise ModelUnfit(self.name, reason, "Choose another checkpoint.")
        config = transformers().AutoConfig.for_model(**given)
        if getattr(config, "add_adapter", False):
            raise ModelUnfit(self.name, "has an adapter, which shortens its frames", "Choose a checkpoint without one.")
        count = config.num_hidden_layers
        wanted = options.built_layers(self.name, count)
        self._cut = wanted < count
        hides = options.mask_share > 0
        config.update({"num_hidden_layers": wanted, "layerdrop": 0.0, "apply_spec_augment": hides})
        config.update({"mask_time_prob": 0.05 if hides else 0.0, "mask_feature_prob": 0.0})
        return config

    def _loaded(self, folder: str, config: Any) -> nn.Module:
        try:
            with _quiet():
                model, report = transformers().AutoModel.from_pretrained(
                    folder,
                    config=config,
                    local_files_only=True,
                    trust_remote_code=False,
                    dtype=torch.float32,
                    output_loading_info=True,
                )
        except Exception as error:  # whatever a foreign reader of files raises
            reason = f"its weights could not be read ({str(error).partition(chr(10))[0]})"
            raise ModelUnfit(self.name, reason, "Copy the folder again.") from error
        lacking = sorted(name for name in report["missing_keys"] if name != UNTRAINED)
        if lacking:
            shown = ", ".join(lacking[:5]) + (f" and {len(lacking) - 5} more" if len(lacking) > 5 else "")
            raise ModelUnfit(self.name, f"its weights lack {shown}", "Copy the folder again.")
        loaded: nn.Module = model
        return loaded


def transformers() -> Any:
    """The library, imported when it is first needed. Raises `PackageMissing` with the reason."""
    try:
        import transformers as library
    except (ImportError, OSError, RuntimeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise PackageMissing("transformers", "the encoder 'hf_speech'", "pip install transformers", reason) from error
    return library


def _recompute(model: Any) -> None:
    """Switch on recomputation under whichever name the library's version has for it."""
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False})


def _built(config: Any) -> nn.Module:
    """The same model with weights drawn from torch's generator."""
    model: nn.Module = transformers().AutoModel.from_config(config)
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """No bar and no list of left-out weights while a checkpoint is read: what matters of it is checked."""
    logging = transformers().utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _kind(folder: Any) -> str:
    return str(read_json(folder / "config.json").get("model_type", ""))
