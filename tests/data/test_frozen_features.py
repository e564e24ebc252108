"""Features of a frozen encoder: those of the encoder itself, computed once, whoever reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.encoders.speech_checkpoints import SHORT, block, write_checkpoint
from tests.pipeline.test_checkpoints import PIPELINE, change_weights, project, rows, run
from tswork.config import configure
from tswork.data.collection import Collection, DataInfo, Part
from tswork.data.opening import open_new
from tswork.encoders.features import Features
from tswork.encoders.hf_speech import HfBody
from tswork.encoders.layers import feature_channels, layers_of
from tswork.encoders.pooling import pooled
from tswork.errors import DataInvalid, ModelUnfit
from tswork.methods.base import build_model
from tswork.pipeline.plan import make_plan
from tswork.store import Store

FROZEN = PIPELINE.replace(
    "  split: {by: official}\nencoder: {uses: hf_speech, checkpoint: models/tiny}",
    "  split: {by: official}\n"
    "  prepare: [{uses: frozen_features, encoder: {uses: hf_speech, checkpoint: models/tiny}}]\n"
    "encoder: features",
)


def sounds(lengths: tuple[int, ...] = (60, 17, 40, 6)) -> Collection:
    """Clips of unequal length as whole numbers, as sound is kept."""
    draw = np.random.default_rng(0)
    clips = [draw.integers(-9000, 9000, (length, 1)).astype(np.int16) for length in lengths]
    table = pd.DataFrame({"id": list("abcd"), "label": list("xyxy"), "speaker": list("sstt")})
    fields: dict[str, Any] = {"label": "label", "groups": ("speaker",), "rate": 16.0}
    return Collection.from_sequences(clips, table=table, channels=["sound"], **fields)


def prepared(encoder: dict[str, Any], collection: Collection, **options: Any) -> Collection:
    step = configure("preparation", {"uses": "frozen_features", "encoder": encoder, **options}).build()
    found: Collection = step.apply(collection)
    return found


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "tiny", rate=16, **SHORT)


@pytest.mark.parametrize("steps", [70, 10_000])
@pytest.mark.parametrize("norm", ["layer", "group"])
def test_features_are_the_frames_that_the_encoder_gives_each_clip_alone(tmp_path: Path, norm: str, steps: int) -> None:
    folder, collection = write_checkpoint(tmp_path, norm=norm, rate=16, **SHORT), sounds()
    encoder = configure("encoder", block(folder)).build(DataInfo(("sound",), rate=16.0)).eval()
    if norm == "group":
        with pytest.warns(match="padding would change its frames"):
            found = prepared(block(folder), collection, steps=steps)
    else:
        found = prepared(block(folder), collection, steps=steps)
    assert found.values.dtype == torch.float16
    assert (found.rate, found.label, found.groups) == (4.0, "label", ("speaker",))
    assert found.table.equals(collection.table)
    for row in range(len(collection)):
        with torch.no_grad():
            alone = encoder(collection.sequence(row)[None].float() / 32768).values[0]
        torch.testing.assert_close(found.sequence(row).float(), alone, rtol=1e-3, atol=1e-3)


def test_a_pooled_clip_is_one_step(checkpoint: Path) -> None:
    collection = sounds()
    encoder = configure("encoder", block(checkpoint)).build(DataInfo(("sound",), rate=16.0)).eval()
    for pooling in ("mean", "mean_std", "max"):
        found = prepared(block(checkpoint), collection, pooling=pooling, precision="float32")
        assert found.lengths.tolist() == [1] * 4
        assert found.rate is None
        for row in range(4):
            with torch.no_grad():
                alone = pooled(encoder, collection.sequence(row)[None].float() / 32768, pooling=pooling)
            torch.testing.assert_close(found.sequence(row), alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pooling", [None, "mean"])
def test_a_sum_of_layers_learnt_over_stored_features_is_the_one_over_sound(
    checkpoint: Path, pooling: str | None
) -> None:
    collection, weighted = sounds(), block(checkpoint, layers="weighted")
    found = prepared(weighted, collection, precision="float32", **({"pooling": pooling} if pooling else {}))
    assert layers_of(found.channels) == 3
    features = configure("encoder", "features").build(DataInfo.of(Part.whole(found)))
    encoder = configure("encoder", weighted).build(DataInfo(("sound",), rate=16.0)).eval()
    assert isinstance(features, Features)
    assert features.layer_weights is not None
    with torch.no_grad():
        for one in (features.layer_weights, encoder.layer_weights):
            one.copy_(torch.tensor([0.3, -1.0, 2.0]))
        for row in range(4):
            mine = pooled(features, found.sequence(row)[None], pooling="mean")
            theirs = pooled(encoder, collection.sequence(row)[None].float() / 32768, pooling="mean")
            torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)


def test_numbers_too_large_for_half_precision_stay_as_they_are(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = HfBody.states
    monkeypatch.setattr(HfBody, "states", lambda *given: [1e5 * state for state in states(*given)])
    found = prepared(block(checkpoint), sounds())
    assert found.values.dtype == torch.float32
    assert bool(found.values.isfinite().all())
    assert float(found.values.abs().max()) > 65504


def test_channels_tell_how_many_layers_stand_side_by_side() -> None:
    assert layers_of(feature_channels(5)) == 1
    assert layers_of(feature_channels(4, 3)) == 3
    assert layers_of(feature_channels(4, 3)[1:]) == 0
    assert layers_of(("sound",)) == 0
    assert layers_of(()) == 0
    with pytest.raises(
        ModelUnfit, match="takes what the preparation `frozen_features` gives, and the channels are sound"
    ):
        configure("encoder", "features").build(DataInfo(("sound",)))


def test_stored_features_hide_missing_and_padded_steps() -> None:
    encoder, x = configure("encoder", "features").build(DataInfo(feature_channels(4))), torch.randn(2, 5, 4)
    x[0, 1, 2] = torch.nan
    keep = torch.tensor([[True, True, False, True, True]] * 2)
    frames = encoder(x, torch.tensor([5, 3]), keep=keep)
    hidden = [[1, 2], [2, 3, 4]]
    for row, steps in enumerate(hidden):
        assert (frames.values[row, steps] == 0).all()
        rest = [step for step in range(5) if step not in steps]
        assert torch.equal(frames.values[row, rest], x[row, rest])
    assert frames.lengths.tolist() == [5, 3]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"encoder": {"uses": "dilated_conv"}}, "has no checkpoint, so its features would be those of random weights"),
        ({"pooling": "max", "layers": "weighted"}, "can follow the mean of frames, and not `pooling: max`"),
        ({"short": 5}, "needs 6 steps for one frame, and 1 of 4 sequences is shorter: d"),
    ],
)
def test_what_cannot_be_computed_is_refused(options: dict[str, Any], told: str, checkpoint: Path) -> None:
    encoder = options.get("encoder") or block(checkpoint, layers=options.get("layers", "last"))
    more = {"pooling": options["pooling"]} if "pooling" in options else {}
    with pytest.raises(ValueError if more else DataInvalid, match="faults" if more else told) as refused:
        prepared(encoder, sounds((60, 17, 40, options.get("short", 6))), **more)
    assert told in str(getattr(refused.value, "errors", refused.value))


@pytest.fixture
def forwards(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many clips each forward pass of a speech model had."""
    seen: list[int] = []
    states = HfBody.states

    def counted(body: HfBody, x: torch.Tensor, *rest: Any) -> Any:
        seen.append(len(x))
        return states(body, x, *rest)

    monkeypatch.setattr(HfBody, "states", counted)
    return seen


def test_every_clip_is_encoded_once_whatever_methods_and_seeds_read_it(tmp_path: Path, forwards: list[int]) -> None:
    text = FROZEN.replace(
        "  probe: {uses: probe_classify, needs: ce,",
        "  more: {uses: supervised, epochs: 1}\n  probe: {uses: probe_classify, needs: [ce, more],",
    )
    report = run(project(tmp_path, text + "sweep: {seed: [1, 2]}\n"))
    assert sum(forwards) == 24
    assert {"as_loaded", "ce", "more"} <= rows(report)
    assert "random" not in rows(report)
    forwards.clear()
    run(project(tmp_path, text + "sweep: {seed: [1, 2, 3]}\n"))
    assert forwards == []
    change_weights(tmp_path / "models" / "tiny")
    run(project(tmp_path, text))
    assert sum(forwards) == 24


def test_a_model_on_stored_features_reads_new_sound(tmp_path: Path) -> None:
    plan = project(tmp_path, FROZEN)
    member, places = plan.members[0].member, plan.pipeline.places
    new = open_new(member.data, tmp_path / "waves.npz", places, seed=7, store=Store(places.store))
    model = build_model(member.stages[0].component.build(), DataInfo.of(new), seed=0)
    assert new.collection.channels == feature_channels(16)
    assert model.embed(new.collection.sequence(0)[None].float()).shape == (1, 16)


def test_the_key_of_a_stage_follows_the_checkpoint_of_a_preparation(tmp_path: Path) -> None:
    before = [stage.key for stage in project(tmp_path, FROZEN).members[0].stages]
    change_weights(tmp_path / "models" / "tiny")
    after = [stage.key for stage in make_plan(project(tmp_path, FROZEN).pipeline).members[0].stages]
    assert not set(before) & set(after)
    with pytest.raises(
        DataInvalid, match=r"data.prepare\[0\].encoder.checkpoint: there is no checkpoint 'models/gone'"
    ):
        project(tmp_path, FROZEN.replace("models/tiny", "models/gone"))
