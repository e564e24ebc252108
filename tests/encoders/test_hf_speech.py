"""Speech models of transformers: real loading of tiny checkpoints, frames, padding, freezing, and what is refused."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.encoders.speech_checkpoints import KERNELS, SHORT, STRIDES, block, write_checkpoint
from tswork.config import configure, dump_configured
from tswork.data.collection import DataInfo
from tswork.data.places import Places
from tswork.encoders.checkpoints import located_in, untrained
from tswork.encoders.front_ends.base import normalised
from tswork.encoders.pooling import pooled
from tswork.encoders.speech import TINY, SpeechEncoder, frame_counts, hidden_spans, receptive_field
from tswork.errors import DataInvalid, ModelUnfit, PackageMissing, TsworkWarning
from tswork.random import seeded

INFO = DataInfo(("sound",), rate=16000.0)
KINDS = ("wav2vec2", "hubert", "wavlm")
SOUND = torch.randn(3, 1600, 1, generator=torch.Generator().manual_seed(0))


def built(folder: Path, **options: Any) -> SpeechEncoder:
    encoder: SpeechEncoder = configure("encoder", block(folder, **options)).build(INFO)
    return encoder


def weights(encoder: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in encoder.state_dict().items()}


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.mark.parametrize("kind", KINDS)
def test_frames_are_the_hidden_states_of_the_library(kind: str, tmp_path: Path) -> None:
    from transformers import AutoFeatureExtractor, AutoModel

    folder = write_checkpoint(tmp_path, kind)
    model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    preprocessor = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
    given = preprocessor(list(SOUND[..., 0].numpy()), sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        theirs = model(given.input_values, output_hidden_states=True)
        last, first = (built(folder, layers=layers).eval()(SOUND).values for layers in ("last", 1))
        mean = built(folder, layers="weighted").eval()(SOUND).values
    torch.testing.assert_close(last, theirs.last_hidden_state, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(first, theirs.hidden_states[1], rtol=1e-5, atol=1e-5)
    states = [*theirs.hidden_states[:-1], theirs.last_hidden_state]
    torch.testing.assert_close(mean, torch.stack(states).mean(dim=0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layers", ["last", "weighted", 1])
def test_with_layer_norm_a_clip_has_the_same_frames_alone_and_in_any_batch(
    kind: str, layers: str | int, tmp_path: Path
) -> None:
    encoder, lengths = built(write_checkpoint(tmp_path, kind), layers=layers).eval(), torch.tensor([1600, 933, 150])
    assert encoder.padding_invariant
    for filling in (0.0, 1e3, float("nan")):
        padded = torch.where((torch.arange(1600) < lengths[:, None])[..., None], SOUND, filling)
        with torch.no_grad():
            frames = encoder(padded, lengths)
            means = pooled(encoder, padded, lengths, pooling="mean")
            for row, length in enumerate(lengths.tolist()):
                alone = encoder(SOUND[row : row + 1, :length])
                count = int(alone.lengths[0])
                assert count == int(frames.lengths[row]) == max(0, (length - 400) // 320 + 1)
                torch.testing.assert_close(frames.values[row, :count], alone.values[0, :count], rtol=1e-5, atol=1e-5)
                mean = pooled(encoder, SOUND[row : row + 1, :length], pooling="mean")
                torch.testing.assert_close(means[row], mean[0], rtol=1e-5, atol=1e-5)


def test_with_group_norm_padding_changes_frames_and_the_encoder_says_so(tmp_path: Path) -> None:
    folder, lengths = write_checkpoint(tmp_path, norm="group", first=False), torch.tensor([1600, 933, 900])
    configured = configure("encoder", block(folder))
    with pytest.warns(TsworkWarning, match="padding would change its frames, so batches hold clips of one length only"):
        encoder = configured.build(DataInfo(("sound",), rate=16000.0, equal_lengths=False)).eval()
    assert not encoder.padding_invariant
    assert not built(folder).padding_invariant  # without a word, where all clips have one length
    with torch.no_grad():
        alone, padded = encoder(SOUND[1:2, :933]), encoder(SOUND, lengths)
    assert (padded.values[1, :2] - alone.values[0, :2]).abs().max() > 0.01


def test_frames_are_counted_as_published() -> None:
    samples = [399, 400, 719, 720, 16_000, 24_000, 32_000, 48_000, 160_000]
    assert frame_counts(torch.tensor(samples), KERNELS, STRIDES).tolist() == [0, 1, 1, 2, 49, 74, 99, 149, 499]
    assert receptive_field(KERNELS, STRIDES) == 400
    assert receptive_field((4, 2), (2, 2)) == 6


def test_a_clip_is_normalised_over_its_own_samples_as_the_preprocessor_does() -> None:
    from transformers import Wav2Vec2FeatureExtractor

    lengths = [1600, 700]
    x = 3 + 5 * torch.randn(2, 1600)
    seen = torch.arange(1600) < torch.tensor(lengths)[:, None]
    found = normalised(x[..., None], seen[..., None], floor=TINY)[..., 0]
    for row, length in enumerate(lengths):
        real = found[row, :length].double()
        assert abs(real.mean()) < 1e-6
        assert real.var(correction=0) == pytest.approx(1, abs=1e-4)
        assert (found[row, length:] == 0).all()
    preprocessor = Wav2Vec2FeatureExtractor(return_attention_mask=True)
    clips = [x[row, :length].numpy() for row, length in enumerate(lengths)]
    theirs = preprocessor(clips, sampling_rate=16000, padding=True, return_tensors="np").input_values
    np.testing.assert_allclose(found.numpy(), theirs, atol=1e-5)
    silence = normalised(torch.full((1, 50, 1), 0.3), torch.ones(1, 50, 1, dtype=torch.bool), floor=TINY)
    assert silence.abs().max() < 1e-3


def test_without_normalisation_loudness_counts_and_with_it_it_does_not(tmp_path: Path) -> None:
    plain, with_it = (write_checkpoint(tmp_path / str(asked), normalise=asked) for asked in (False, True))
    with torch.no_grad():
        for folder, alike in ((plain, False), (with_it, True)):
            encoder = built(folder).eval()
            quiet, loud = encoder(SOUND / 50).values, encoder(SOUND).values
            assert torch.allclose(quiet, loud, atol=1e-3) == alike


def test_hidden_and_missing_samples_are_not_seen(tmp_path: Path) -> None:
    encoder, keep = built(write_checkpoint(tmp_path)).eval(), torch.ones(3, 1600, dtype=torch.bool)
    keep[:, 500:900] = False
    other = torch.where(keep[..., None], SOUND, 100.0)
    with torch.no_grad():
        hidden = encoder(SOUND, keep=keep).values
        assert torch.equal(encoder(other, keep=keep).values, hidden)
        assert torch.equal(encoder(torch.where(keep[..., None], SOUND, torch.nan)).values, hidden)
        assert not torch.allclose(encoder(SOUND).values, hidden)
        assert torch.isfinite(encoder(torch.full_like(SOUND, torch.nan)).values).all()


def learnt(encoder: SpeechEncoder) -> set[str]:
    """Parts of the model that have a gradient."""
    return {name for name, weight in encoder.named_parameters() if weight.requires_grad}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_trained_is_what_was_asked_for(kind: str, tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, kind)
    assert learnt(built(folder)) == set()
    assert learnt(built(folder, layers="weighted")) == {"layer_weights"}
    top = learnt(built(folder, train=1))
    assert all(".encoder.layers.1." in name or ".encoder.layer_norm." in name for name in top)
    assert any(".layers.1." in name for name in top)
    whole, convolutions = learnt(built(folder, train="all")), built(folder, train="all", train_convolutions=True)
    assert not any("feature_extractor" in name for name in whole)
    assert learnt(convolutions) == {name for name, _ in convolutions.named_parameters()}
    assert top < whole < learnt(convolutions)


def test_frozen_stays_frozen_in_training_mode_and_trained_layers_drop(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, hidden_dropout=0.3, attention_dropout=0.3)
    frozen = built(folder).train()
    model = torch.nn.Sequential(frozen, torch.nn.Dropout(0.1)).train()
    assert model.training
    assert not any(module.training for module in frozen.body.modules())
    first, again = frozen(SOUND).values, frozen(SOUND).values
    assert torch.equal(first, again)
    assert not first.requires_grad
    for train in (1, "all"):
        trained = built(folder, train=train).train()
        first, again = trained(SOUND).values, trained(SOUND).values
        assert not torch.equal(first, again)
        assert first.requires_grad
    assert not trained.eval().body.training


@pytest.mark.parametrize("train", ["none", 1, "all"])
def test_steps_change_what_is_trained_and_nothing_else(train: str | int, tmp_path: Path) -> None:
    encoder = built(write_checkpoint(tmp_path), layers="weighted", train=train).train()
    before, trained = weights(encoder), [weight for weight in encoder.parameters() if weight.requires_grad]
    optimiser = torch.optim.SGD(trained, lr=0.1)
    for _ in range(2):
        encoder(SOUND).values.square().mean().backward()
        optimiser.step()
    after = weights(encoder)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed <= learnt(encoder)
    assert {name for name in learnt(encoder) if name.endswith("weight")} <= changed
    assert "layer_weights" in changed
    assert encoder.fixed_weights() == set(before) - learnt(encoder)


@pytest.mark.parametrize("kind", KINDS)
def test_recomputing_activations_changes_no_gradient(kind: str, tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, kind, hidden_dropout=0.0, attention_dropout=0.0, activation_dropout=0.0)
    gradients = []
    for recompute in (False, True):
        encoder = built(folder, train="all", layers="weighted", recompute=recompute).train()
        encoder(SOUND, torch.tensor([1600, 900, 700])).values.square().mean().backward()
        gradients.append({name: weight.grad for name, weight in encoder.named_parameters() if weight.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-4, atol=1e-6, msg=name)


def test_clips_of_less_than_ten_frames_train_with_hidden_frames(tmp_path: Path) -> None:
    short = SOUND[:, :800]
    encoder = built(write_checkpoint(tmp_path), train="all", mask_share=0.5).train()
    assert torch.isfinite(encoder(short).values).all()
    long = torch.randn(1, 16000, 1)
    with seeded(1):
        first = encoder(long).values
    with seeded(1):
        assert torch.equal(encoder(long).values, first)
    frames = encoder.eval()(long).values
    assert torch.equal(encoder(long).values, frames)


def test_spans_hide_the_share_that_is_asked_for_inside_each_clip() -> None:
    lengths = torch.tensor([400, 400, 9, 10] * 200)
    with seeded(0):
        hidden = hidden_spans(lengths, 400, share=0.3)
    assert hidden[:2].float().mean(dim=1).tolist() == pytest.approx([0.3, 0.3], abs=0.2)
    assert float(hidden[lengths == 400].float().mean()) == pytest.approx(0.3, abs=0.02)
    assert not hidden[lengths == 9].any()
    assert not (hidden & (torch.arange(400) >= lengths[:, None])).any()
    ten = hidden[lengths == 10][:, :10]
    assert (ten.all(dim=1) | ~ten.any(dim=1)).all()


def test_bfloat16_under_autocast_gives_nearly_the_same(tmp_path: Path) -> None:
    encoder = built(write_checkpoint(tmp_path)).eval()
    with torch.no_grad():
        exact = encoder(SOUND).values
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = encoder(SOUND).values.float()
    torch.testing.assert_close(half, exact, rtol=0.1, atol=0.1)


def test_an_encoder_can_be_copied(tmp_path: Path) -> None:
    encoder = built(write_checkpoint(tmp_path), train="all").eval()
    twin = copy.deepcopy(encoder)
    with torch.no_grad():
        assert torch.equal(twin(SOUND).values, encoder(SOUND).values)


def test_untrained_is_the_same_architecture_with_other_weights(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path)
    configured = located_in(configure("encoder", block(folder)), Places.here(tmp_path))
    loaded, again = configured.build(INFO), configured.build(INFO)
    with seeded(3):
        drawn = untrained(configured).build(INFO)
    assert (loaded.loaded, drawn.loaded) == (True, False)
    assert drawn.fixed_weights() == frozenset()
    ours, theirs = weights(loaded), weights(drawn)
    assert {name: value.shape for name, value in ours.items()} == {name: value.shape for name, value in theirs.items()}
    assert all(torch.equal(value, weights(again)[name]) for name, value in ours.items())
    assert not all(torch.equal(value, theirs[name]) for name, value in ours.items())


@pytest.mark.parametrize(
    ("info", "told"),
    [
        (DataInfo(("left", "right"), rate=16000.0), "takes one channel of sound, and the data have 2: left, right"),
        (DataInfo(("sound",), rate=8000.0), "trained on 16000 samples a second, and the data have 8000. Add `{uses: resample, rate: 16000}`"),
    ],
)  # fmt: skip
def test_other_sound_is_refused_with_the_remedy(info: DataInfo, told: str, tmp_path: Path) -> None:
    with pytest.raises(ModelUnfit, match=told):
        configure("encoder", block(write_checkpoint(tmp_path))).build(info)


def test_the_rate_is_the_checkpoint_s_own(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, rate=8000, **SHORT)
    encoder = configure("encoder", block(folder)).build(DataInfo(("sound",), rate=8000.0))
    assert (encoder.stride, encoder.min_length, encoder.dim) == (4, 6, 16)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"layers": 3}, "has 2 layers, and the state after 3 is asked for"),
        ({"train": 3}, "has 2 layers, and the 3 uppermost are to be trained"),
    ],
)
def test_layers_that_are_not_there_are_refused(options: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(ModelUnfit, match=told):
        built(write_checkpoint(tmp_path), **options)


def test_other_models_are_refused(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelUnfit, match="is of the type 'bert'; supported are wav2vec2, hubert, wavlm"):
        built(folder)


def test_weights_that_lack_something_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = write_checkpoint(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    some = {name: value for name, value in tensors.items() if "layers.1.attention" not in name}
    save_file(some, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelUnfit, match=r"its weights lack encoder.layers.1.attention.* and 3 more"):
        built(folder)
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelUnfit, match="its weights could not be read"):
        built(folder)


def test_weights_with_code_in_them_are_not_read(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "c")
    (folder / "model.safetensors").unlink()
    torch.save({"layer": Planted(tmp_path / "ran")}, folder / "pytorch_model.bin")
    with pytest.raises(ModelUnfit, match="its weights could not be read"):
        built(folder)
    assert not (tmp_path / "ran").exists()


class Planted:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_weights_of_torch_are_read_as_those_of_safetensors(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    folder = write_checkpoint(tmp_path)
    expected = built(folder).eval()
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with torch.no_grad():
        assert torch.equal(built(folder).eval()(SOUND).values, expected(SOUND).values)


def test_a_missing_library_is_named_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_checkpoint(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(PackageMissing, match=r"'hf_speech' needs the package transformers.* pip install transformers"):
        built(folder)


def test_nothing_is_printed_when_a_checkpoint_is_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = write_checkpoint(tmp_path)
    capfd.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        built(folder)
    assert capfd.readouterr() == ("", "")


def test_a_block_leads_back_to_itself_and_a_plain_text_is_a_name(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path)
    configured = located_in(configure("encoder", block(folder, train=1)), Places.here(tmp_path))
    dumped = dump_configured(configured)
    assert dumped["checkpoint"]["name"] == str(folder)
    again = located_in(configure("encoder", dumped), Places.here(tmp_path))
    assert dump_configured(again) == dumped
    other = configure("encoder", {**dumped, "checkpoint": {**dumped["checkpoint"], "digest": "0" * 64}})
    with pytest.raises(DataInvalid, match=r"the content of .* has the digest .*, and 0000"):
        located_in(other, Places.here(tmp_path))
