"""The text decoder: padding, causality, kept keys and values, gradients, half precision."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tswork.encoders.base import Frames
from tswork.errors import ModelUnfit
from tswork.objectives.token_cross_entropy import token_cross_entropy
from tswork.random import seeded
from tswork.text.decoder import TextDecoder, TextDecoderConfig
from tswork.text.tokens import TokenTable

VOCABULARY = 11
LENGTHS = torch.tensor([6, 3, 1])


VECTORS = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
EITHER = pytest.mark.parametrize("vectors", [None, VECTORS], ids=["frames", "pooled"])
"""A decoder that reads frames alone, and one that reads a vector of each clip, too."""


def decoder_of(*, frame_dim: int = 5, dropout: float = 0.0, pooled: bool = False) -> TextDecoder:
    config = TextDecoderConfig(dim=8, layers=2, heads=2, widening=2, dropout=dropout, pooled=pooled)
    with seeded(0):
        return TextDecoder(config, vocabulary=VOCABULARY, frame_dim=frame_dim, vector_dim=4).double()


def frames_of(dim: int = 5) -> Frames:
    values = torch.randn(3, 6, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return Frames(values, LENGTHS)


TOKENS = TokenTable.of([[5, 6, 7, 8], [9], [4, 4]]).at(torch.arange(3))


@EITHER
def test_logits_of_a_clip_do_not_depend_on_padding_or_on_who_else_is_in_the_batch(vectors: Tensor | None) -> None:
    decoder, frames = decoder_of(pooled=vectors is not None), frames_of()
    together = decoder(TOKENS.inputs(), frames, vectors)
    garbled = torch.where((torch.arange(6) < LENGTHS[:, None])[..., None], frames.values, 1e3)
    torch.testing.assert_close(decoder(TOKENS.inputs(), Frames(garbled, LENGTHS), vectors), together)
    for row in range(3):
        length = int(TOKENS.lengths[row]) + 1
        own = Frames(frames.values[row : row + 1, : LENGTHS[row]], LENGTHS[row : row + 1])
        vector = None if vectors is None else vectors[row : row + 1]
        alone = decoder(TOKENS.inputs()[row : row + 1, :length], own, vector)
        torch.testing.assert_close(alone[0], together[row, :length], rtol=1e-10, atol=1e-10)


def test_the_loss_and_gradient_of_a_clip_are_the_same_alone_and_padded() -> None:
    decoder, frames = decoder_of(), frames_of()
    targets = TOKENS.targets()

    def gradient(loss: Tensor) -> list[Tensor]:
        return list(torch.autograd.grad(loss, list(decoder.parameters())))

    among = torch.tensor([False, True, False])
    padded = token_cross_entropy(decoder(TOKENS.inputs(), frames), targets.ids, targets.lengths, among=among)
    own = Frames(frames.values[1:2, :3], LENGTHS[1:2])
    alone = token_cross_entropy(decoder(TOKENS.inputs()[1:2, :2], own), targets.ids[1:2, :2], targets.lengths[1:2])
    torch.testing.assert_close(padded, alone, rtol=1e-10, atol=1e-10)
    for one, other in zip(gradient(padded), gradient(alone), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


def test_a_token_does_not_look_ahead() -> None:
    decoder, frames = decoder_of(), frames_of()
    inputs = TOKENS.inputs()
    changed = inputs.clone()
    changed[:, 3:] = 10
    before, after = decoder(inputs, frames), decoder(changed, frames)
    torch.testing.assert_close(before[:, :3], after[:, :3])
    assert not torch.allclose(before[:, 3:], after[:, 3:])


@EITHER
@pytest.mark.parametrize("frame_dim", [5, 8])
def test_step_by_step_with_kept_keys_and_values_it_says_what_it_says_at_once(
    frame_dim: int, vectors: Tensor | None
) -> None:
    decoder, frames = decoder_of(frame_dim=frame_dim, pooled=vectors is not None), frames_of(frame_dim)
    inputs = TOKENS.inputs()
    state = decoder.begin(frames, vectors)
    steps = [decoder.step(state, inputs[:, place, None])[:, 0] for place in range(inputs.shape[1])]
    torch.testing.assert_close(torch.stack(steps, dim=1), decoder(inputs, frames, vectors), rtol=1e-10, atol=1e-10)
    assert state.written == inputs.shape[1]


def test_hypotheses_go_on_from_those_they_were_made_of() -> None:
    """Two beams of each utterance, exchanged after two tokens."""
    decoder, frames = decoder_of(), frames_of()
    state = decoder.begin(frames)
    start = torch.full((3, 1), 2)
    decoder.step(state, start)
    state.select(torch.zeros(3, 2, dtype=torch.int64), 1)
    second = torch.tensor([[5, 6], [7, 8], [9, 10]])
    decoder.step(state, second)
    source = torch.tensor([[1, 0], [0, 0], [1, 1]])
    state.select(source, 2)
    third = torch.tensor([[4, 5], [6, 7], [8, 9]])
    found = decoder.step(state, third)
    for beam in range(2):
        prefix = torch.stack([start[:, 0], second.gather(1, source)[:, beam], third[:, beam]], dim=1)
        torch.testing.assert_close(found[:, beam], decoder(prefix, frames)[:, -1], rtol=1e-10, atol=1e-10)


def test_the_vector_is_one_more_frame_before_the_others_with_a_projection_of_its_own() -> None:
    decoder, frames = decoder_of(frame_dim=8, pooled=True), frames_of(8)
    assert decoder.lead is not None
    longer = Frames(torch.cat([decoder.lead(VECTORS)[:, None], frames.values], dim=1), LENGTHS + 1)
    plain = decoder_of(frame_dim=8)
    plain.load_state_dict({name: value for name, value in decoder.state_dict().items() if "lead" not in name})
    torch.testing.assert_close(decoder(TOKENS.inputs(), frames, VECTORS), plain(TOKENS.inputs(), longer))


def test_a_clip_without_frames_is_told_by_its_vector_alone() -> None:
    decoder, nobody = decoder_of(pooled=True), torch.zeros(3, dtype=torch.int64)
    frames = frames_of().values
    found = decoder(TOKENS.inputs(), Frames(frames, nobody), VECTORS)
    torch.testing.assert_close(decoder(TOKENS.inputs(), Frames(frames + 1, nobody), VECTORS), found)
    assert not torch.allclose(decoder(TOKENS.inputs(), Frames(frames, nobody), VECTORS + 1), found)


def test_without_the_option_it_has_no_further_weights_and_vectors_are_not_read() -> None:
    decoder, frames = decoder_of(), frames_of()
    assert not any(name.startswith("lead") for name in decoder.state_dict())
    unread = torch.full_like(VECTORS, torch.nan)
    assert torch.equal(decoder(TOKENS.inputs(), frames, unread), decoder(TOKENS.inputs(), frames))


def test_an_utterance_without_frames_gives_finite_logits() -> None:
    values = torch.zeros(2, 3, 5, dtype=torch.float64)
    logits = decoder_of()(TOKENS.inputs()[:2], Frames(values, torch.tensor([3, 0])))
    assert logits.isfinite().all()


def test_dropout_acts_in_training_alone() -> None:
    decoder, frames = decoder_of(dropout=0.5), frames_of()
    first, second = (decoder(TOKENS.inputs(), frames) for _ in range(2))
    assert not torch.equal(first, second)
    decoder.eval()
    first, second = (decoder(TOKENS.inputs(), frames) for _ in range(2))
    assert torch.equal(first, second)


def test_it_runs_under_autocast_and_learns_in_its_frames() -> None:
    decoder, frames = decoder_of().float(), frames_of()
    values = frames.values.float().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = decoder(TOKENS.inputs(), Frames(values, LENGTHS))
    targets = TOKENS.targets()
    loss = token_cross_entropy(logits, targets.ids, targets.lengths)
    (gradient,) = torch.autograd.grad(loss, values)
    assert loss.dtype == torch.float32
    real = torch.arange(6) < LENGTHS[:, None]
    assert gradient[real].any(dim=1).all()
    assert not gradient[~real].any()


def test_a_width_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ModelUnfit, match="a width of 8 does not fit 3 heads"):
        TextDecoder(TextDecoderConfig(dim=8, heads=3), vocabulary=9, frame_dim=4)
