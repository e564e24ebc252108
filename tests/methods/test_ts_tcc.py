"""TS-TCC: its terms in plain lines, where sequences are cut, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from tests.methods.patients import recordings
from tests.methods.toys import method_of, model_of, trained
from tests.reference import info_nce as plain_info_nce
from tests.reference import ts_tcc as plain
from tswork.augment.base import View, changed_by
from tswork.config import configure, dump
from tswork.context import Context
from tswork.encoders.base import Frames
from tswork.errors import DataInvalid, ModelUnfit
from tswork.methods.ts_tcc import TSTCC, ContextEncoder, max_pooled

PLAIN = {"weak_views": [{"uses": "jitter", "sigma": 0.1}], "strong_views": ["permutation"]}
SMALL = {"context_dim": 12, "context_layers": 2, "context_heads": 3, "dropout": 0.0, "batch_size": 6}


def ts_tcc(**options: Any) -> TSTCC:
    method = method_of("ts_tcc", **{"frame_steps": 4, **SMALL, **options})
    assert isinstance(method, TSTCC)
    return method


def test_the_published_settings_are_the_defaults() -> None:
    published = {
        "temporal_weight": 1.0,
        "contextual_weight": 0.7,
        "temperature": 0.2,
        "horizon": 0.4,
        "context_dim": 100,
        "context_layers": 4,
        "context_heads": 4,
        "epochs": 40,
        "batch_size": 128,
        "learning_rate": 3e-4,
        "weight_decay": 3e-4,
        "among": "futures",
        "normalise": False,
    }
    config = dump(configure("method", "ts_tcc").config)
    assert {name: config[name] for name in published} == published
    assert [view["uses"] for view in config["weak_views"]] == ["scaling", "jitter"]
    assert [view["uses"] for view in config["strong_views"]] == ["permutation", "jitter"]
    released = dump(configure("method", {"uses": "ts_tcc", "variant": "reference"}).config)
    assert [view["uses"] for view in released["weak_views"]] == ["scaling"]
    assert (released["among"], released["normalise"]) == ("predictions", True)
    (group,) = ts_tcc().optimisers(model_of(ts_tcc(), recordings()))["model"].param_groups
    assert group["betas"] == (0.9, 0.99)


@pytest.mark.parametrize("lengths", [(32,), (32, 21, 4)])
@pytest.mark.parametrize("variant", ["paper", "reference"])
def test_its_terms_equal_plain_lines(lengths: tuple[int, ...], variant: str) -> None:
    part = recordings(lengths=lengths)
    method = ts_tcc(variant=variant, **PLAIN, contextual_weight=0.3, temporal_weight=0.9)
    model, context = model_of(method, part), Context()
    batch = method.batches(model, part, context).at(0, 0)
    generator, frames = context.generator("views"), []
    for blocks in (dump(method.config)["weak_views"], dump(method.config)["strong_views"]):
        changes = [configure("view", block).build() for block in blocks]
        view = changed_by(changes, View(batch.x, batch.lengths), generator=generator)
        rows = [
            plain.max_pooled(model.encoder(x[None, :length]).values[0], length, 4)
            for x, length in zip(view.x, batch.lengths.tolist(), strict=True)
        ]
        frames.append([normalize(row, dim=1) if variant == "reference" else row for row in rows])
    steps, dim = int(0.4 * 8), model.encoder.dim
    draw = float(torch.rand((), generator=context.generator("time"), dtype=torch.float64))
    cuts = [int(draw * max(1, len(row) - steps)) for row in frames[0]]
    contexts: list[Tensor] = []
    for side in frames:
        alone = [
            model.heads["context"](row[None, : cut + 1], torch.ones(1, cut + 1, dtype=torch.bool))
            for row, cut in zip(side, cuts, strict=True)
        ]
        contexts.append(torch.cat(alone))
    valid = [[cut + 1 + k < len(row) for k in range(steps)] for row, cut in zip(frames[0], cuts, strict=True)]
    expected = {}
    among = "futures" if variant == "paper" else "predictions"
    for name, own, other in (("weak", 0, 1), ("strong", 1, 0)):
        predicted = model.heads["predict"].maps(contexts[own]).view(-1, steps, dim)  # type: ignore[operator]
        actual = torch.zeros(len(cuts), steps, dim)
        for i, (row, cut) in enumerate(zip(frames[other], cuts, strict=True)):
            future = row[cut + 1 : cut + 1 + steps]
            actual[i, : len(future)] = future
        expected[name] = 0.9 * plain.future_contrast(predicted, actual, valid, among=among)
    z1, z2 = (model.heads["project"](one) for one in contexts)
    expected["contextual"] = 0.3 * plain_info_nce.info_nce(z1, z2, temperature=0.2, among="both")
    (update,) = method.updates(model, batch, context)
    assert update.terms.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(update.terms[name], value, rtol=1e-4, atol=1e-5)


def test_every_weight_is_trained() -> None:
    part = recordings()
    method = ts_tcc()
    model = model_of(method, part)
    (update,) = method.updates(model, method.batches(model, part, Context()).at(0, 0), Context())
    update.loss.backward()
    assert all(weight.grad is not None for weight in model.parameters())


def test_a_context_sees_only_the_past_and_no_order_in_it() -> None:
    part = recordings()
    context = model_of(ts_tcc(), part).heads["context"]
    assert isinstance(context, ContextEncoder)
    frames, seen = torch.randn(2, 7, 8), torch.tensor([[True] * 4 + [False] * 3] * 2)
    found = context(frames, seen)
    torch.testing.assert_close(context(torch.where(seen[..., None], frames, 1e3), seen), found)
    torch.testing.assert_close(context(frames[:, [2, 0, 3, 1, 4, 5, 6]], seen), found)
    assert not torch.allclose(context(frames * 1.5, seen), found)


def test_cuts_leave_a_past_and_the_whole_future() -> None:
    part = recordings(lengths=(32, 12, 4))
    method = ts_tcc()
    model = model_of(method, part)
    values, lengths = torch.zeros(3, 8, model.encoder.dim), torch.tensor([8, 3, 1])
    cuts = set()
    for step in range(40):
        place = method._place(model, Frames(values, lengths), Context().at(0, step).generator("time"))
        assert (place.past.sum(dim=1) >= 1).all()
        assert place.valid[0].all()
        assert place.valid[1].sum() == 2  # three frames: one is the past
        assert not place.valid[2].any()
        cuts.add(int(place.past[0].sum()))
    assert cuts == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("size", [1, 3, 4, 8])
def test_frames_are_pooled_by_themselves(size: int) -> None:
    values, lengths = -torch.rand(3, 9, 4), torch.tensor([9, 5, 1])
    found = max_pooled(Frames(values, lengths), size)
    for row, count in enumerate(lengths.tolist()):
        expected = plain.max_pooled(values[row], count, size)
        assert int(found.lengths[row]) == len(expected)
        torch.testing.assert_close(found.values[row, : len(expected)], expected)
    assert torch.isfinite(found.values).all()


def test_an_encoder_of_wider_frames_is_taken_as_it_is() -> None:
    patches = {"uses": "transformer", "dim": 8, "layers": 1, "patch": 4}
    for frame_steps, pool in ((2, 1), (4, 1), (8, 2)):
        method = ts_tcc(encoder=patches, frame_steps=frame_steps)
        assert method._pool(4) == pool
        assert trained(ts_tcc(encoder=patches, frame_steps=frame_steps, iterations=2), recordings())[0].steps == 2


REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"frame_steps": 32},
        r"ts_tcc: sequences of 32 steps hold no two frames of 32 steps, so there is no future to predict\. Lower `frame_steps`",
    ),
    ({"window": 4}, r"sequences of 4 steps hold no two frames of 4 steps"),
    ({"context_dim": 10}, r"a context of width 10 does not fit 3 heads\. Make `context_dim` a multiple of"),
    (
        {"strong_views": ["subsequence"]},
        r"one view predicts frames of the other, and the view 'subsequence' changes its length\. Use views that keep",
    ),
]


@pytest.mark.parametrize(("options", "said"), REFUSED)
def test_what_has_no_future_or_does_not_fit_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelUnfit, match=said):
        model_of(ts_tcc(**options), recordings())


def test_a_batch_of_one_is_refused() -> None:
    with pytest.raises(DataInvalid, match="no batch has two sequences"):
        trained(ts_tcc(batch_size=1), recordings())


def test_it_trains_on_windows_of_long_recordings_and_shows_its_two_views() -> None:
    views = {name: [{"uses": "jitter", "sigma": 0.1}] for name in ("weak_views", "strong_views")}
    method = ts_tcc(window=24, iterations=40, epochs=None, learning_rate=3e-3, **views)
    _, recorder = trained(method, recordings(lengths=(100, 61)))
    losses = [loss for _, loss in recorder.curves["loss"]]
    assert sum(losses[-5:]) < 0.95 * sum(losses[:5])
    assert {"health/alignment", "terms/weak"} <= recorder.curves.keys()
