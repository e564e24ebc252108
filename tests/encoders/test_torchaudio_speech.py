"""Speech models of torchaudio: the frames of transformers from the same weights, traps, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.encoders.speech_checkpoints import KERNELS, STRIDES, block, write_checkpoint
from tswork.config import configure, keyed
from tswork.data.collection import DataInfo
from tswork.data.places import Places
from tswork.encoders.checkpoints import located_in, untrained
from tswork.encoders.speech import SpeechEncoder
from tswork.encoders.torchaudio_checkpoint import BUNDLES
from tswork.encoders.torchaudio_speech import FACTORIES, TorchaudioBody
from tswork.errors import ModelUnfit, PackageMissing
from tswork.random import seeded

INFO = DataInfo(("sound",), rate=16000.0)
SOUND = torch.randn(3, 1600, 1, generator=torch.Generator().manual_seed(0))
TINY: dict[str, Any] = {
    "extractor_conv_layer_config": [[8, kernel, stride] for kernel, stride in zip(KERNELS, STRIDES, strict=True)],
    "extractor_conv_bias": False,
    "encoder_embed_dim": 16,
    "encoder_projection_dropout": 0.1,
    "encoder_pos_conv_kernel": 8,
    "encoder_pos_conv_groups": 2,
    "encoder_num_layers": 2,
    "encoder_num_heads": 2,
    "encoder_attention_dropout": 0.1,
    "encoder_ff_interm_features": 24,
    "encoder_ff_interm_dropout": 0.1,
    "encoder_dropout": 0.1,
}


def factory(*, norm: str = "layer", first: bool = True, model: str = "wav2vec2_model", **more: Any) -> dict[str, Any]:
    """A factory's model of about 7,000 weights."""
    wavlm = {"encoder_num_buckets": 8, "encoder_max_distance": 16} if model == "wavlm_model" else {}
    options = {**TINY, **wavlm, "extractor_mode": f"{norm}_norm", "encoder_layer_norm_first": first}
    return {"uses": "torchaudio_speech", "model": model, "options": options, **more}


def built(described: dict[str, Any], *, seed: int = 0) -> SpeechEncoder:
    with seeded(seed):
        encoder: SpeechEncoder = configure("encoder", described).build(INFO)
    return encoder


def imported(folder: Path, file: Path) -> None:
    """The weights of a checkpoint of transformers as torchaudio itself imports them."""
    from torchaudio.models.wav2vec2.utils import import_huggingface_model
    from transformers import AutoModel

    torch.save(import_huggingface_model(AutoModel.from_pretrained(folder)).state_dict(), file)


@pytest.mark.parametrize("layers", ["last", "weighted", 1])
@pytest.mark.parametrize("first", [True, False])
def test_frames_are_those_of_transformers_from_the_same_weights(tmp_path: Path, layers: Any, first: bool) -> None:
    folder, file = write_checkpoint(tmp_path / "theirs", first=first, conv_bias=False), tmp_path / "w.pth"
    imported(folder, file)
    theirs = configure("encoder", block(folder, layers=layers)).build(INFO).eval()
    ours = built(factory(first=first, checkpoint=str(file), normalise=True, layers=layers)).eval()
    assert ours.loaded
    lengths = torch.tensor([1600, 933, 700])
    with torch.no_grad():
        for given in (None, lengths):
            mine, other = ours(SOUND, given), theirs(SOUND, given)
            assert torch.equal(mine.lengths, other.lengths)
            for row, count in enumerate(mine.lengths.tolist()):
                torch.testing.assert_close(mine.values[row, :count], other.values[row, :count], rtol=1e-4, atol=1e-5)


def test_a_model_that_hears_no_lengths_is_the_library_s_own_output(tmp_path: Path) -> None:
    import torchaudio

    options = {**factory(model="wavlm_model")["options"], "encoder_layer_drop": 0.0, "aux_num_out": None}
    with seeded(3):
        library = torchaudio.models.wavlm_model(**options).eval()
    ours = built(factory(model="wavlm_model"), seed=3).eval()
    with torch.no_grad():
        torch.testing.assert_close(ours(SOUND).values, library(SOUND[..., 0])[0], rtol=1e-5, atol=1e-5)


def test_with_layer_norm_padding_changes_nothing() -> None:
    encoder, lengths = built(factory(normalise=True, layers="weighted")).eval(), torch.tensor([1600, 933, 700])
    assert encoder.padding_invariant
    padded = torch.where((torch.arange(1600) < lengths[:, None])[..., None], SOUND, 1e3)
    with torch.no_grad():
        frames = encoder(padded, lengths)
        for row, length in enumerate(lengths.tolist()):
            alone = encoder(SOUND[row : row + 1, :length]).values[0]
            torch.testing.assert_close(frames.values[row, : len(alone)], alone, rtol=1e-5, atol=1e-5)


def test_group_norm_and_wavlm_want_batches_of_one_length() -> None:
    assert not built(factory(norm="group", first=False)).padding_invariant
    wavlm = built(factory(model="wavlm_model"))
    assert not wavlm.padding_invariant
    with pytest.raises(ModelUnfit, match="cannot be told where clips end, and these have different lengths"):
        wavlm(SOUND, torch.tensor([1600, 933, 700]))
    assert wavlm(SOUND, torch.tensor([1600] * 3)).values.shape == (3, 4, 16)


@pytest.mark.parametrize("model", ["wav2vec2_model", "wavlm_model"])
def test_recomputing_activations_changes_no_gradient(model: str) -> None:
    gradients = []
    for recompute in (False, True):
        options = factory(model=model, train="all", recompute=recompute)
        options["options"] = {**options["options"], **{name: 0.0 for name in TINY if name.endswith("dropout")}}
        encoder = built(options).train()
        encoder(SOUND).values.square().mean().backward()
        gradients.append([one.grad for one in encoder.parameters() if one.grad is not None])
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_freezing_holds_as_for_any_speech_model() -> None:
    frozen = built(factory(layers="weighted")).train()
    assert [name for name, one in frozen.named_parameters() if one.requires_grad] == ["layer_weights"]
    assert torch.equal(frozen(SOUND).values, frozen(SOUND).values)
    top = [name for name, one in built(factory(train=1)).named_parameters() if one.requires_grad]
    assert all(".layers.1." in name or ".transformer.layer_norm." in name for name in top)
    trained = built(factory(train="all", mask_share=0.5)).train()
    assert not torch.equal(trained(SOUND).values, trained(SOUND).values)


def test_bundles_and_factories_are_those_of_the_library() -> None:
    import torchaudio

    assert {name: getattr(torchaudio.pipelines, name)._path for name in BUNDLES} == BUNDLES
    for name in BUNDLES:
        bundle = getattr(torchaudio.pipelines, name)
        assert bundle._model_type == ("WavLM" if name.startswith("WAVLM") else "Wav2Vec2")
        assert isinstance(bundle._normalize_waveform, bool)
        assert {"encoder_num_layers", "aux_num_out", "encoder_layer_drop"} <= set(bundle._params)
    assert all(callable(getattr(torchaudio.models, name)) for name in FACTORIES)


def test_a_bundle_is_read_from_the_hub_s_cache_or_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torchaudio

    bundle = torchaudio.pipelines.WAV2VEC2_XLSR_300M
    monkeypatch.setattr(bundle, "_params", {**factory()["options"], "encoder_layer_drop": 0.0, "aux_num_out": 3})
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = tmp_path / "hub" / "checkpoints" / BUNDLES["WAV2VEC2_XLSR_300M"]
    file.parent.mkdir(parents=True)
    with seeded(5):
        model = torchaudio.models.wav2vec2_model(**bundle._params)
    torch.save(model.state_dict(), file)
    named = {"uses": "torchaudio_speech", "model": "WAV2VEC2_XLSR_300M"}
    cached = configure("encoder", named).build(INFO).eval()
    assert cached.loaded
    assert cached.body.normalises
    (tmp_path / "own.pth").write_bytes(file.read_bytes())
    file.unlink()
    own = configure("encoder", {**named, "checkpoint": str(tmp_path / "own.pth")}).build(INFO).eval()
    with torch.no_grad():
        assert torch.equal(own(SOUND).values, cached(SOUND).values)
    with pytest.raises(
        Exception, match=r"there is no checkpoint 'wav2vec2_xlsr_300m.pth' \(looked at .*hub/checkpoints"
    ):
        configure("encoder", named).build(INFO)


def test_drawn_weights_have_no_checkpoint_and_loaded_ones_are_keyed_by_content(tmp_path: Path) -> None:
    drawn = built(factory())
    assert not drawn.loaded
    assert isinstance(drawn.body, TorchaudioBody)
    torch.save(drawn.body.model.state_dict(), tmp_path / "w.pth")
    found = located_in(configure("encoder", factory(checkpoint=str(tmp_path / "w.pth"))), Places.here(tmp_path))
    again: Any = keyed(found)
    assert len(again["checkpoint"]["digest"]) == 64
    assert found.build(INFO).loaded
    assert not untrained(found).build(INFO).loaded


@pytest.mark.parametrize(
    ("described", "told"),
    [
        ({"model": "WAV2VEC2_BSAE"}, "is neither a bundle nor a factory that is supported. Did you mean 'WAV2VEC2_BASE'?"),
        ({"model": "wav2vec2_model"}, "needs extractor_mode, extractor_conv_layer_config"),
        ({"model": "hubert_base", "options": {"encoder_dropuot": 0}}, "has no option 'encoder_dropuot'. Did you mean 'encoder_dropout'"),
        ({"model": "hubert_base", "options": {"aux_num_out": 3}}, "has no option 'aux_num_out'"),
        ({**factory(), "options": {**TINY, "extractor_mode": "other", "encoder_layer_norm_first": True}}, "could not be built"),
        (factory(layers=3), "has 2 layers, and the state after 3 is asked for"),
    ],
)  # fmt: skip
def test_what_torchaudio_does_not_have_is_refused(described: dict[str, Any], told: str) -> None:
    with pytest.raises(ModelUnfit, match=told.replace("?", r"\?")):
        built({"uses": "torchaudio_speech", **described})


def test_weights_that_do_not_fit_or_hold_code_are_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "w.pth")
    with pytest.raises(ModelUnfit, match=r"do not fit: .* is missing; .* more"):
        built(factory(checkpoint=str(tmp_path / "w.pth")))
    torch.save({"weight": Path()}, tmp_path / "w.pth")
    with pytest.raises(ModelUnfit, match=r"w.pth could not be read \(UnpicklingError"):
        built(factory(checkpoint=str(tmp_path / "w.pth")))


def test_an_import_that_fails_is_explained_with_the_versions_that_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchaudio", None)
    with pytest.raises(
        PackageMissing, match=r"imports with torch 2.11 and 2.12 from PyPI; not with torch 2.14"
    ) as told:
        built(factory())
    assert f"here are torch {torch.__version__} and torchaudio" in str(told.value)
