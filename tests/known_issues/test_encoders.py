"""Bugs of encoders and of what is made of them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.encoders.blocks import DILATED_CONV, PATCHES, TSAI, TSAI_OPTIONS, build
from tswork.encoders.causal_convolution import step_by_step
from tswork.errors import ModelUnfit
from tswork.methods.exporting import export_encoder


def test_tstplus_does_not_attend_to_zeros_behind_a_short_input() -> None:
    """Inputs shorter than the model's length were filled up with zeros that took part as keys."""
    encoder = build(TSAI["TSTPlus"])
    seen: list[Tensor] = []
    for name, module in encoder.named_modules():
        if name.endswith("self_attn"):
            module.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    encoder(torch.randn(2, 9, 3))
    assert [keys.shape[1] for keys in seen] == [9]


def test_patchtst_normalises_a_short_input_by_its_own_values() -> None:
    """It was filled with zeros first, which entered mean and deviation; now a shift of all values changes nothing."""
    encoder, x = build(TSAI["PatchTST"]), torch.randn(2, 17, 3)
    with torch.no_grad():
        torch.testing.assert_close(encoder(x + 5).values, encoder(x).values, rtol=1e-4, atol=1e-4)


def test_patchtst_sees_the_last_steps_of_a_length_that_patches_do_not_fill() -> None:
    """Up to `stride - 1` of the newest steps were in no patch."""
    block = {**TSAI["PatchTST"], "options": {**TSAI_OPTIONS["PatchTST"], "revin": False}}
    encoder, x = build(block, length=23), torch.randn(1, 23, 3)
    changed = x.clone()
    changed[:, -1] += 1
    with torch.no_grad():
        assert not torch.equal(encoder.last(x), encoder.last(changed))


def test_frames_of_a_shortening_tsai_model_are_not_counted_in_steps() -> None:
    """Lengths were those of the input, so poolings and `last` reached past the frames."""
    block = {**TSAI["TSTPlus"], "options": {**TSAI_OPTIONS["TSTPlus"], "max_seq_len": 8}}
    frames = build(block)(torch.randn(2, 24, 3), torch.tensor([24, 12]))
    assert frames.lengths.tolist() == [8, 4]


@pytest.mark.parametrize("model", ["ConvTranPlus", "TSSequencerPlus", "TransformerRNNPlus"])
def test_a_tsai_model_of_one_length_is_refused_before_training(model: str) -> None:
    """It was accepted, and failed inside torch at the first crop of another length."""
    with pytest.raises(ModelUnfit, match="cannot encode 3 channels of 24 and of 13 steps"):
        build({"uses": "tsai", "model": model, "options": {"d_model": 16} if model != "ConvTranPlus" else {}})


def test_a_class_token_is_not_taken_for_the_frame_of_a_step() -> None:
    """One frame more than steps was cut off at the end, so that every frame stood one step too late."""
    with pytest.raises(ModelUnfit, match="which are no frames"):
        build({"uses": "tsai", "model": "TSiTPlus", "options": {"d_model": 16, "n_heads": 2, "use_token": True}})


@pytest.mark.parametrize("model", ["MINIROCKET", "MultiInputNet", "HydraPlus"])
def test_a_tsai_file_without_a_usable_model_is_refused_by_name(model: str) -> None:
    """`AttributeError` and `IndexError` escaped; a model without weights failed in the optimiser."""
    with pytest.raises(ModelUnfit, match=f"^tsai {model}: "):
        build({"uses": "tsai", "model": model})


def test_a_transformer_of_patches_can_be_exported_as_it_declares() -> None:
    """Tracing made constants of batch and time."""
    encoder = build(PATCHES)
    program = export_encoder(encoder, channels=3).module()
    x = torch.randn(3, 30, 3)
    with torch.no_grad():
        torch.testing.assert_close(program(x), encoder(x).values, rtol=1e-4, atol=1e-5)


def test_exporting_leaves_an_encoder_in_training_mode() -> None:
    """It was put into evaluation mode for good."""
    encoder = build(DILATED_CONV).train()
    export_encoder(encoder, channels=3)
    assert encoder.training


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_many_taps_in_half_precision_are_summed_in_single_precision_on_a_cpu(half: torch.dtype) -> None:
    """oneDNN's bfloat16 kernels for processors with AMX gave sums that were wrong by their own size."""
    x, kernel = torch.randn(2, 40, 12), torch.randn(8, 12, 12) / 10
    exact = step_by_step(x, kernel)
    torch.testing.assert_close(step_by_step(x.to(half), kernel.to(half)).float(), exact, rtol=0.05, atol=0.05)
    with torch.autocast("cpu", dtype=half):
        torch.testing.assert_close(step_by_step(x, kernel), exact)
