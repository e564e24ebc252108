"""SpeechBrain's ECAPA-TDNN: a checkpoint in its layout gives what plain sums give, alone and in a padded batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from tests.reference import ecapa as reference
from tswork.config import NestedInvalid, configure
from tswork.data.collection import DataInfo
from tswork.data.places import Places
from tswork.encoders.checkpoints import located_in, untrained
from tswork.encoders.decibel_mel import DecibelMel
from tswork.encoders.ecapa import Ecapa, EcapaConfig
from tswork.encoders.ecapa_network import Network, Pooling, published_names, reflected
from tswork.encoders.pooling import pooled, pooled_dim
from tswork.errors import DataInvalid, ModelUnfit
from tswork.random import seeded

INFO = DataInfo(("sound",), rate=16000.0)
TINY: dict[str, Any] = {
    "mels": 12,
    "channels": [16, 16, 24, 16, 32],
    "attention": 6,
    "embedding": 10,
    "squeeze": 4,
    "groups": 4,
}
SOUND = 0.1 * torch.randn(3, 4000, 1, generator=torch.Generator().manual_seed(0))


def write_checkpoint(folder: Path, *, seed: int = 0) -> dict[str, Tensor]:
    """`embedding_model.ckpt` of a tiny model as SpeechBrain lays it out."""
    config = EcapaConfig.model_validate({**TINY, "train": "all"})
    weights: dict[str, Tensor] = {}
    with seeded(seed):
        for module in (Network(config), Pooling(config)):
            for name, value in module.state_dict().items():
                drawn = torch.rand(value.shape) + 0.5 if name.endswith(("running_var", "norm.weight")) else value
                moved = 0.1 * torch.randn(value.shape) if name.endswith(("bias", "running_mean")) else drawn
                weights[published_names(module)[name]] = moved.to(value.dtype)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(weights, folder / "embedding_model.ckpt")
    return weights


def built(folder: Path | None = None, **options: Any) -> Ecapa:
    named = {"checkpoint": str(folder)} if folder is not None else {}
    with seeded(0):
        encoder: Ecapa = configure("encoder", {"uses": "ecapa", **TINY, **named, **options}).build(INFO)
    return encoder.eval()


def test_names_and_shapes_are_those_of_the_published_model() -> None:
    """As readers of speechbrain/spkrec-ecapa-voxceleb list them, with 60 bands and an embedding of 256."""
    config = EcapaConfig.model_validate({"train": "all"})
    shapes: dict[str, tuple[int, ...]] = {}
    with torch.device("meta"):
        for module in (Network(config), Pooling(config)):
            names = published_names(module)
            shapes |= {names[name]: tuple(value.shape) for name, value in module.state_dict().items()}
    told = {
        "blocks.0.conv.conv.weight": (1024, 60, 5),
        "blocks.0.norm.norm.running_mean": (1024,),
        "blocks.1.tdnn1.conv.conv.weight": (1024, 1024, 1),
        "blocks.1.res2net_block.blocks.0.conv.conv.weight": (128, 128, 3),
        "blocks.3.res2net_block.blocks.6.norm.norm.weight": (128,),
        "blocks.2.se_block.conv1.conv.weight": (128, 1024, 1),
        "blocks.2.se_block.conv2.conv.bias": (1024,),
        "mfa.conv.conv.weight": (3072, 3072, 1),
        "asp.tdnn.conv.conv.weight": (128, 9216, 1),
        "asp.conv.conv.weight": (3072, 128, 1),
        "asp_bn.norm.weight": (6144,),
        "fc.conv.weight": (256, 6144, 1),
    }
    assert {name: shapes[name] for name in told} == told
    assert sum(not name.endswith("num_batches_tracked") for name in shapes) == 200


def test_bands_are_those_of_plain_sums() -> None:
    for length in (4000, 3999, 160, 30):
        clip = SOUND[0, :length, 0]
        frames = DecibelMel(60)(clip[None])
        assert frames.values.shape == (1, length // 160 + 1, 60)
        np.testing.assert_allclose(frames.values[0].numpy(), reference.mel_decibels(clip.numpy(), 60), atol=2e-3)


def test_quiet_bands_are_cut_eighty_decibels_below_the_loudest() -> None:
    tone = torch.sin(2 * torch.pi * 1000 * torch.arange(4000) / 16000)
    bands = DecibelMel(20)(tone[None]).values[0]
    assert float((bands.amax(dim=0) - bands.amin(dim=0)).max()) <= 80
    assert bool(DecibelMel(20)(torch.zeros(1, 800)).values.isfinite().all())


@pytest.mark.parametrize("length", [4000, 3999, 1500])
def test_frames_and_embedding_are_those_of_plain_sums(tmp_path: Path, length: int) -> None:
    weights, clip = write_checkpoint(tmp_path), SOUND[:1, :length]
    encoder = built(tmp_path)
    bands = torch.from_numpy(reference.mel_decibels(clip[0, :, 0].numpy(), 12)).float().T
    frames, vector = reference.embedding(weights, bands, dilations=(1, 2, 3, 4, 1), groups=4)
    with torch.no_grad():
        torch.testing.assert_close(encoder(clip).values[0], frames.T, rtol=1e-3, atol=2e-3)
        torch.testing.assert_close(pooled(encoder, clip, pooling="own")[0], vector, rtol=1e-3, atol=2e-3)
    assert pooled_dim(encoder, "own") == 10
    assert (encoder.dim, encoder.stride, encoder.loaded) == (32, 160, True)


def test_a_clip_is_the_same_alone_and_in_any_batch(tmp_path: Path) -> None:
    write_checkpoint(tmp_path)
    encoder, lengths = built(tmp_path), torch.tensor([4000, 2777, 100])
    for filling in (0.0, 7.0, float("nan")):
        padded = torch.where((torch.arange(4000) < lengths[:, None])[..., None], SOUND, filling)
        with torch.no_grad():
            frames, vectors = encoder(padded, lengths), pooled(encoder, padded, lengths, pooling="own")
            for row, length in enumerate(lengths.tolist()):
                alone = encoder(SOUND[row : row + 1, :length])
                count = int(alone.lengths[0])
                assert count == int(frames.lengths[row]) == length // 160 + 1
                torch.testing.assert_close(frames.values[row, :count], alone.values[0], rtol=1e-5, atol=1e-5)
                vector = pooled(encoder, SOUND[row : row + 1, :length], pooling="own")[0]
                torch.testing.assert_close(vectors[row], vector, rtol=1e-5, atol=1e-5)


def test_in_training_padding_is_in_no_statistic_either() -> None:
    lengths, gradients, statistics = torch.tensor([4000, 2777, 1000]), [], []
    for filling in (0.0, 7.0):
        encoder = built(train="all").train()
        padded = torch.where((torch.arange(4000) < lengths[:, None])[..., None], SOUND, filling)
        pooled(encoder, padded, lengths, pooling="own").square().sum().backward()
        gradients.append([one.grad for one in encoder.parameters()])
        statistics.append([value for name, value in encoder.state_dict().items() if "running" in name])
    for ours, theirs in (*zip(*gradients, strict=True), *zip(*statistics, strict=True)):
        assert ours is not None
        assert theirs is not None
        assert torch.equal(ours, theirs)
    assert statistics[0][0].abs().max() > 0


def test_reflection_goes_on_where_a_clip_is_shorter_than_its_reach() -> None:
    places = reflected(torch.tensor([1, 2, 3, 6]), 6, 4)
    for row, length in enumerate((1, 2, 3, 6)):
        expected = np.pad(np.arange(length), 4, mode="reflect" if length > 1 else "edge")
        assert places[row, : length + 8].tolist() == expected.tolist()
        assert int(places[row].max()) < length


def test_hidden_and_missing_samples_are_silence(tmp_path: Path) -> None:
    write_checkpoint(tmp_path)
    encoder, keep = built(tmp_path), torch.ones(3, 4000, dtype=torch.bool)
    keep[:, 800:1600] = False
    with torch.no_grad():
        hidden = encoder(SOUND, keep=keep).values
        assert torch.equal(encoder(torch.where(keep[..., None], SOUND, 9.0), keep=keep).values, hidden)
        assert torch.equal(encoder(torch.where(keep[..., None], SOUND, torch.nan)).values, hidden)
        assert not torch.equal(encoder(SOUND).values, hidden)


def test_frozen_it_keeps_its_statistics_in_training_mode(tmp_path: Path) -> None:
    write_checkpoint(tmp_path)
    frozen = built(tmp_path).train()
    before = {name: value.clone() for name, value in frozen.state_dict().items()}
    first = pooled(frozen, SOUND, pooling="own")
    assert torch.equal(pooled(frozen, SOUND, pooling="own"), first)
    assert not first.requires_grad
    assert frozen.fixed_weights() == set(before)
    assert all(torch.equal(value, before[name]) for name, value in frozen.state_dict().items())
    trained = built(tmp_path, train="all").train()
    assert pooled(trained, SOUND, pooling="own").requires_grad
    assert trained.fixed_weights() == frozenset()


def test_a_folder_its_file_and_its_name_on_the_hub_are_one_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = tmp_path / "hub" / "models--speechbrain--lang-id-voxlingua107-ecapa"
    write_checkpoint(cached / "snapshots" / "abc")
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("abc")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    folder = cached / "snapshots" / "abc"
    names = ["speechbrain/lang-id-voxlingua107-ecapa", str(folder), str(folder / "embedding_model.ckpt")]
    blocks = [configure("encoder", {"uses": "ecapa", **TINY, "checkpoint": name}) for name in names]
    assert len({located_in(one, Places.here(tmp_path)).config.checkpoint.digest for one in blocks}) == 1  # type: ignore[attr-defined]
    assert "lang-id-voxlingua107-ecapa" in Ecapa.usable()
    drawn = untrained(located_in(blocks[0], Places.here(tmp_path))).build(INFO)
    assert not drawn.loaded
    assert drawn.fixed_weights() == frozenset()


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path)
    with pytest.raises(ModelUnfit, match=r"do not fit: blocks.0.conv.weight is \(16, 12, 5\), not \(16, 9, 5\)"):
        built(tmp_path, mels=9)
    with pytest.raises(
        DataInvalid, match=r"Put a folder with embedding_model.ckpt there. The published one is speechbrain"
    ):
        built(tmp_path / "nowhere")
    with pytest.raises(ModelUnfit, match="was trained on 16000 samples a second, and the data have 8000"):
        configure("encoder", {"uses": "ecapa", **TINY, "train": "all"}).build(DataInfo(("sound",), rate=8000.0))
    torch.save({"weight": Path()}, tmp_path / "embedding_model.ckpt")
    with pytest.raises(ModelUnfit, match="could not be read"):
        built(tmp_path)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "without a checkpoint there is something to train"),
        ({"train": "all", "kernels": [5, 3, 3]}, "need one entry a layer each"),
        ({"train": "all", "kernels": [4, 3, 3, 3, 1]}, "kernels should be odd"),
        ({"train": "all", "groups": 5}, "should be multiples of `groups`"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(NestedInvalid) as refused:
        configure("encoder", {"uses": "ecapa", **TINY, **options})
    assert isinstance(refused.value.errors, ValidationError)
    assert told in str(refused.value.errors)
