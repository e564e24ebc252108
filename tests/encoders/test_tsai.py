"""The adapter of tsai: its frames are the backbone's own, and what cannot serve is refused before training."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.encoders.blocks import TSAI, TSAI_OPTIONS, build
from tswork.encoders.tsai import PatchFrames, Tsai, tsai_models
from tswork.errors import ModelUnfit
from tswork.random import seeded


def tsai(model: str, *, length: int = 24, **options: Any) -> Tsai:
    block = {"uses": "tsai", "model": model, "options": {**TSAI_OPTIONS.get(model, {}), **options}}
    encoder = build(block, length=length)
    assert isinstance(encoder, Tsai)
    return encoder


def original(model: str, *, length: int = 24) -> Any:
    """tsai's own model with the weights that the adapter has."""
    made = getattr(importlib.import_module(f"tsai.models.{model}"), model)
    arguments = {"pred_dim": 1} if model == "PatchTST" else {}
    with seeded(0):
        return made(c_in=3, c_out=2, seq_len=length, **arguments, **TSAI_OPTIONS[model]).eval()


@pytest.mark.parametrize("model", ["InceptionTimePlus", "XceptionTimePlus", "ResNetPlus", "TSTPlus", "TSiTPlus"])
def test_frames_are_what_the_backbone_gives(model: str) -> None:
    x = torch.randn(2, 24, 3)
    with torch.no_grad():
        expected = original(model).backbone(x.transpose(1, 2)).transpose(1, 2)
        torch.testing.assert_close(tsai(model)(x).values, expected)


def test_frames_of_tcn_are_those_before_its_pooling() -> None:
    made = importlib.import_module("tsai.models.TCN").TCN
    with seeded(0):
        whole = made(c_in=3, c_out=2, **TSAI_OPTIONS["TCN"]).eval()
    x = torch.randn(2, 17, 3)
    with torch.no_grad():
        torch.testing.assert_close(tsai("TCN")(x).values, whole.tcn(x.transpose(1, 2)).transpose(1, 2))


@pytest.mark.parametrize(("length", "options"), [(24, {}), (32, {"revin": False}), (16, {"patch_len": 8, "stride": 4})])
def test_patchtst_gives_the_patches_that_its_own_head_sees(length: int, options: dict[str, Any]) -> None:
    """Lengths that patches fill to the last step, where the adapter does as tsai does."""
    encoder = tsai("PatchTST", length=length, **options)
    made = importlib.import_module("tsai.models.PatchTST").PatchTST
    with seeded(0):
        whole = made(c_in=3, c_out=2, seq_len=length, pred_dim=1, **TSAI_OPTIONS["PatchTST"], **options).eval()
    seen: list[Tensor] = []
    whole.model.head.register_forward_hook(lambda module, given, result: seen.append(given[0]))
    x = torch.randn(2, length, 3)
    with torch.no_grad():
        whole(x.transpose(1, 2))
        frames = encoder(x).values
    torch.testing.assert_close(frames, seen[0].flatten(1, 2).transpose(1, 2))
    assert frames.shape[2] == encoder.dim == 3 * 16


@pytest.mark.parametrize("time", [24, 23, 19, 17, 16, 9, 3, 1])
def test_the_last_patch_ends_with_the_last_step(time: int) -> None:
    """So the newest step is always seen; without normalisation and attention, one step moves its own patches alone."""
    encoder = tsai("PatchTST", revin=False)
    assert isinstance(encoder.body, PatchFrames)
    patches: list[Tensor] = []
    encoder.body.encode.register_forward_pre_hook(lambda module, given: patches.append(given[0]))
    x = torch.arange(1.0, time + 1).repeat(3, 1).T[None]
    encoder(x)
    (found,) = patches  # (batch, variable, step, patch)
    assert found[0, 0, -1, -1] == time
    # Every step is in some patch, in order, and in front stands the first value again.
    assert set(found[0, 0].flatten().tolist()) == set(range(1, time + 1))
    assert (found[0, 0].diff(dim=0) >= 0).all()
    assert torch.equal(found[0, 0, :, -1][-time:], x[0, -16:, 0])


@pytest.mark.parametrize("model", ["TSTPlus", "TSiTPlus"])
def test_positions_of_shorter_inputs_are_interpolated(model: str) -> None:
    encoder, whole = tsai(model), original(model)
    name = {"TSTPlus": "W_pos", "TSiTPlus": "pos_embed"}[model]
    learned = torch.randn(24, 16)
    x = torch.randn(2, 9, 3)
    stretched = torch.empty(9, 16)
    for frame in range(9):
        place = frame * 23 / 8
        before, share = int(place), place - int(place)
        stretched[frame] = learned[before] * (1 - share) + learned[min(before + 1, 23)] * share
    shape = getattr(whole.backbone, name).shape[:-2]
    with torch.no_grad():
        getattr(encoder.body.body, name).copy_(learned)
        setattr(whole.backbone, name, nn.Parameter(stretched.reshape(*shape, 9, 16)))
        expected = whole.backbone(x.transpose(1, 2)).transpose(1, 2)
        torch.testing.assert_close(encoder(x).values, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("model", ["TSTPlus", "TSiTPlus", "PatchTST"])
def test_interpolated_positions_are_learned(model: str) -> None:
    encoder = tsai(model).train()
    encoder(torch.randn(2, 17, 3)).values.square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in encoder.named_parameters() if "pos" in name}
    assert gradients
    for name, gradient in gradients.items():
        assert gradient is not None, name
        assert gradient.any(), name


@pytest.mark.parametrize("model", ["TSTPlus", "PatchTST", "TSiTPlus"])
def test_a_model_of_learned_positions_refuses_longer_input(model: str) -> None:
    encoder = tsai(model)
    assert encoder.max_length == 24
    with pytest.raises(ModelUnfit, match=rf"tsai {model}: takes at most 24 steps, and 30 were given\. Give `length:`"):
        encoder(torch.randn(1, 30, 3))


def test_its_longest_length_can_be_given() -> None:
    encoder = build({**TSAI["TSTPlus"], "length": 40})
    assert encoder.max_length == 40
    assert encoder(torch.randn(1, 40, 3)).values.shape == (1, 40, 16)


@pytest.mark.parametrize("model", ["InceptionTimePlus", "XceptionTimePlus", "ResNetPlus", "TCN"])
def test_convolutional_models_take_any_length(model: str) -> None:
    encoder = tsai(model)
    assert encoder.max_length is None
    assert encoder(torch.randn(1, 50, 3)).values.shape == (1, 50, encoder.dim)


def test_only_causal_frames_without_batch_norm_are_indifferent_to_padding() -> None:
    assert [model for model in TSAI if tsai(model).padding_invariant] == ["TCN"]


@pytest.mark.parametrize(
    ("model", "options", "stride", "lengths"),
    [
        ("TSTPlus", {"max_seq_len": 8}, 3, [8, 4, 1]),
        ("TSTPlus", {"kernel_size": 8, "stride": 4}, 4, [6, 3, 1]),
        ("PatchTST", {}, 8, [3, 2, 1]),
        ("RNN_FCNPlus", {}, 24, [1, 1, 1]),
    ],
)
def test_models_with_fewer_frames_than_steps_say_so(
    model: str, options: dict[str, Any], stride: int, lengths: list[int]
) -> None:
    encoder = tsai(model, **options)
    assert encoder.stride == stride
    frames = encoder(torch.randn(3, 24, 3), torch.tensor([24, 12, 1]))
    assert frames.values.shape[1] == lengths[0]
    assert frames.lengths.tolist() == lengths


def test_a_shortening_convolution_takes_inputs_shorter_than_its_kernel() -> None:
    encoder = tsai("TSTPlus", max_seq_len=4)
    assert encoder(torch.randn(1, 2, 3)).values.shape == (1, 1, 16)


def test_missing_values_are_zeros_and_the_input_keeps_them() -> None:
    x = torch.randn(2, 24, 3)
    x[0, 3:7] = torch.nan
    before = x.clone()
    for model in ("InceptionTimePlus", "TSTPlus", "PatchTST"):
        encoder = tsai(model)
        assert torch.equal(encoder(x).values, encoder(x.nan_to_num(0.0)).values)
    assert torch.equal(x.isnan(), before.isnan())


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("InceptionTimPlus", {}, r"tsai has no such model\. Did you mean 'InceptionTimePlus'\?"),
    ("ResNetPlus", {"nff": 3}, r"has no option 'nff'\. Did you mean 'nf'\?"),
    ("ResNetPlus", {"c_in": 3}, r"its option 'c_in' follows from the data\. For another length set `length:`"),
    (
        "TSTPlus",
        {"d_model": 15, "n_heads": 2},
        r"could not be built \(AssertionError: d_model \(15\) must be divisible",
    ),
    ("MLP", {}, r"has neither `\.backbone` nor `\.tcn` to take frames from\. Choose one of the Plus models"),
    ("ROCKET_Pytorch", {}, "is a file of tsai without a model of its name"),
    ("TabModel", {}, "could not be built"),
    ("HydraPlus", {}, "has no weights to train"),
    ("ConvTranPlus", {"d_model": 16, "n_heads": 2}, r"cannot encode 3 channels of 24 and of 13 steps \(RuntimeError: "),
    ("RNN_FCNPlus", {"shuffle": True}, "cannot encode 3 channels of 24 and of 13 steps"),
    ("TSiTPlus", {"use_token": True}, "gives 16 x 25 numbers for 24 steps, which are no frames"),
    ("PatchTST", {"decomposition": True}, "with `decomposition` has two backbones"),
]


@pytest.mark.parametrize(("model", "options", "said"), REFUSED, ids=[model for model, _, _ in REFUSED])
def test_a_model_that_cannot_serve_is_refused_with_the_reason(model: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelUnfit, match=rf"^tsai {model}: {said}"):
        tsai(model, **options)


def test_the_models_of_the_contract_are_known() -> None:
    assert set(TSAI) <= set(tsai_models())
