"""`ecapa_small` and `conformer_small`: padding takes no part anywhere, lengths are exact, and sound trains them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.encoders.blocks import CONFORMER, DILATED_CONV, ECAPA, build
from tswork.config import configure
from tswork.data.collection import DataInfo
from tswork.encoders.attentive_statistics import AttentiveStatistics
from tswork.encoders.base import Encoder, Frames, full_lengths
from tswork.encoders.pooling import Pooling, pool, pool_by, pooled, pooled_dim
from tswork.errors import ModelUnfit
from tswork.methods.exporting import export_encoder
from tswork.methods.model import Model
from tswork.random import seeded

RATE = 8000.0
SOUND = DataInfo(("sound",), max_length=4000, rate=RATE)
BEHIND: dict[str, Any] = {"uses": "log_mel", "mels": 12}
SMALL = {"ecapa_small": {**ECAPA, "front_end": BEHIND}, "conformer_small": {**CONFORMER, "front_end": BEHIND}}


def encoder_of(block: str | dict[str, Any]) -> Encoder:
    with seeded(0):
        encoder: Encoder = configure("encoder", block).build(SOUND)
    return encoder.eval()


def clips(*lengths: int) -> tuple[Tensor, Tensor]:
    with seeded(1):
        x = 0.1 * torch.randn(len(lengths), max(lengths), 1)
    known = torch.tensor(lengths)
    return torch.where((torch.arange(x.shape[1]) < known[:, None])[..., None], x, 0.0), known


@pytest.mark.parametrize(("name", "stride", "dim"), [("ecapa_small", 80, 256), ("conformer_small", 320, 144)])
def test_as_they_come_they_read_sound_through_log_mel(name: str, stride: int, dim: int) -> None:
    encoder, (x, lengths) = encoder_of(name), clips(4000, 1237, 1)
    with torch.no_grad():
        batch = encoder(x, lengths)
    assert (encoder.stride, encoder.dim) == (stride, dim)
    assert batch.lengths.tolist() == [-(-length // stride) for length in lengths.tolist()]


@pytest.mark.parametrize("name", ["ecapa_small", "conformer_small"])
def test_a_clip_alone_gives_the_frames_it_gives_in_a_padded_batch(name: str) -> None:
    encoder, (x, lengths) = encoder_of(name), clips(4000, 1237, 1)
    with torch.no_grad():
        batch = encoder(x, lengths)
        for row, length in enumerate(lengths.tolist()):
            alone = encoder(x[row : row + 1, :length])
            count = int(batch.lengths[row])
            torch.testing.assert_close(batch.values[row, :count], alone.values[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "block", [{**ECAPA, "dropout": 0.0}, {**CONFORMER, "dropout": 0.0}], ids=["ecapa", "conformer"]
)
def test_padding_takes_no_part_in_training_either(block: dict[str, Any]) -> None:
    encoder = build(block).train()
    x, lengths = torch.randn(2, 24, 3), torch.tensor([24, 11])
    padded = encoder(x, lengths).values[1, : -(-11 // encoder.stride)]
    torch.testing.assert_close(padded, encoder(x[1:, :11]).values[0], rtol=1e-5, atol=1e-5)
    assert not any(isinstance(one, nn.modules.batchnorm._BatchNorm) for one in encoder.modules())


def test_subsampling_halves_frames_and_rounds_up() -> None:
    for subsampling, expected in ((1, [13, 5, 1]), (2, [7, 3, 1]), (4, [4, 2, 1]), (8, [2, 1, 1])):
        encoder = build({**CONFORMER, "subsampling": subsampling})
        frames = encoder(torch.randn(3, 13, 3), torch.tensor([13, 5, 1]))
        assert frames.values.shape[1] == expected[0]
        assert frames.lengths.tolist() == expected


def test_gates_of_ecapa_hear_the_whole_clip() -> None:
    encoder, x = build({**ECAPA, "dilations": [1]}), torch.randn(1, 200, 3)
    changed = x.clone()
    changed[0, 150:] += 3.0
    assert not torch.allclose(encoder(x).values[0, :100], encoder(changed).values[0, :100], atol=1e-6)


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({**ECAPA, "groups": 3}, "8 channels do not fall into 3 groups of one size"),
        ({**CONFORMER, "heads": 3}, "a width of 16 does not fit 3 heads"),
        ({**CONFORMER, "kernel": 4}, "a convolution of 4 taps has no middle"),
        ("ecapa_small", "the data have no rate"),
    ],
)
def test_what_does_not_fit_is_refused(block: Any, said: str) -> None:
    with pytest.raises(ModelUnfit, match=said):
        configure("encoder", block).build(DataInfo(("x", "y", "z")))


@pytest.mark.parametrize("block", SMALL.values(), ids=SMALL.keys())
def test_they_are_exported_with_their_front_end(block: dict[str, Any]) -> None:
    encoder = encoder_of(block)
    program = export_encoder(encoder, channels=1).module()
    x, _ = clips(3001, 3001)
    torch.testing.assert_close(program(x), encoder(x).values, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("block", SMALL.values(), ids=SMALL.keys())
def test_a_few_steps_tell_two_tones_apart(block: dict[str, Any]) -> None:
    encoder = encoder_of({**block, "dropout": 0.0}).train()
    pooling: Pooling = "own" if encoder.own_pooling is not None else "mean_std"
    with seeded(2):
        head = nn.Linear(pooled_dim(encoder, pooling), 2)
        time = torch.arange(1600) / RATE
        pitch = torch.where(torch.arange(16) < 8, 300.0, 1500.0)[:, None] * (1 + 0.1 * torch.rand(16, 1))
        x = (torch.sin(6.283 * pitch * time) + 0.3 * torch.randn(16, 1600))[..., None]
    lengths, labels = torch.tensor([1600, 1200] * 8), torch.arange(16) // 8
    optimiser = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=1e-2)
    for _ in range(40):
        loss = nn.functional.cross_entropy(head(pooled(encoder, x, lengths, pooling=pooling)), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.05


# Attentive statistics, an encoder's own pooling


def attentive(dim: int = 4, **options: Any) -> AttentiveStatistics:
    with seeded(3):
        return AttentiveStatistics(dim, attention=5, **options)


def test_attentive_statistics_are_weighted_means_and_deviations() -> None:
    pooling, values = attentive(), torch.randn(1, 6, 4)
    mean = values.mean(dim=1)
    beside = torch.cat([mean, values.std(dim=1, correction=0)], dim=1)[:, None].expand(-1, 6, -1)
    scores = pooling.weigh(torch.tanh(pooling.look(torch.cat([values, beside], dim=2))))
    weights = scores.softmax(dim=1)
    centre = (weights * values).sum(dim=1)
    deviation = (weights * (values - centre[:, None]) ** 2).sum(dim=1).sqrt()
    found = pooling(Frames(values, torch.tensor([6])))
    torch.testing.assert_close(found, torch.cat([centre, deviation], dim=1), rtol=1e-3, atol=1e-3)


def test_even_attention_gives_mean_and_deviation() -> None:
    pooling = attentive()
    nn.init.zeros_(pooling.weigh.weight)
    frames = Frames(torch.randn(2, 6, 4), torch.tensor([6, 3]))
    torch.testing.assert_close(pooling(frames), pool(frames, "mean_std"), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("out", [None, 3])
def test_padding_of_any_value_changes_no_statistic_and_receives_no_gradient(out: int | None) -> None:
    pooling, values, lengths = attentive(out=out).double(), torch.randn(3, 6, 4).double(), torch.tensor([6, 3, 1])
    padding = torch.arange(6) >= lengths[:, None]
    spoilt = torch.where(padding[..., None], 1e6, values).requires_grad_()
    found = pooling(Frames(spoilt, lengths))
    assert found.shape == (3, pooling.dim)
    for row, length in enumerate(lengths.tolist()):
        alone = pooling(Frames(values[row : row + 1, :length], torch.tensor([length])))
        torch.testing.assert_close(found[row : row + 1], alone)
    found.sum().backward()
    assert spoilt.grad is not None
    assert spoilt.grad.isfinite().all()
    assert not spoilt.grad[padding].any()


def test_a_sequence_without_frames_gives_zeros() -> None:
    found = attentive(out=3)(Frames(torch.randn(2, 4, 4), torch.tensor([0, 2])))
    assert not found[0].any()
    assert found[1].isfinite().all()


def test_statistics_of_half_precision_frames_are_nearly_those_of_single() -> None:
    pooling, frames = attentive(), Frames(torch.randn(2, 9, 4), torch.tensor([9, 4]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = pooling(Frames(frames.values.bfloat16(), frames.lengths)).float()
    torch.testing.assert_close(half, pooling(frames), rtol=0.05, atol=0.05)


def test_gradients_of_attentive_statistics_are_those_of_differences() -> None:
    pooling, values = attentive(2).double(), torch.randn(2, 4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda frames: pooling(Frames(frames, torch.tensor([4, 2]))), values)


def test_an_encoder_is_pooled_by_its_own_pooling_where_it_has_one() -> None:
    encoder, (x, lengths) = encoder_of(SMALL["ecapa_small"]), clips(4000, 1237)
    with torch.no_grad():
        found = pooled(encoder, x, lengths, pooling="own")
        assert found.shape == (2, pooled_dim(encoder, "own")) == (2, 6)
        assert torch.equal(found, pool_by(encoder, encoder(x, lengths), "own"))
        assert torch.equal(Model(encoder, SOUND, pooling="own").eval().embed(x, lengths), found)
        alone = pooled(encoder, x[1:, :1237], pooling="own")
    torch.testing.assert_close(found[1:], alone, rtol=1e-5, atol=1e-5)


def test_an_encoder_without_a_pooling_of_its_own_says_so() -> None:
    encoder, x = build(DILATED_CONV), torch.randn(2, 9, 3)
    said = "it has no pooling of its own, as `pooling: own` asks for. Use `ecapa_small`, or another pooling"
    for ask in (
        lambda: pooled_dim(encoder, "own"),
        lambda: pooled(encoder, x, pooling="own"),
        lambda: pool_by(encoder, Frames(x, full_lengths(x)), "own"),
        lambda: Model(encoder, DataInfo(("a", "b", "c")), pooling="own"),
    ):
        with pytest.raises(ModelUnfit, match=said):
            ask()
