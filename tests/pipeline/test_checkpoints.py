"""Checkpoints through a pipeline: their content is in the keys, they are judged as loaded, and saved models need them no more."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.encoders.speech_checkpoints import SHORT, write_checkpoint
from tests.pipeline.waves import write_waves
from tswork.config import Configured, keyed
from tswork.context import Context
from tswork.data.collection import DataInfo, Part
from tswork.data.places import Places
from tswork.encoders.base import is_loaded
from tswork.encoders.hf_speech import HfSpeech
from tswork.errors import DataInvalid, ModelUnfit
from tswork.methods.base import build_model
from tswork.methods.model import Model
from tswork.methods.weights import changing_weights_of, fixed_names, weights_of
from tswork.pipeline.checking import open_member
from tswork.pipeline.loading import load_pipeline
from tswork.pipeline.plan import Plan, make_plan
from tswork.pipeline.reporting import Unreported
from tswork.pipeline.runner import RunReport, run_plan
from tswork.pipeline.stages import load_models
from tswork.store import Store
from tswork.training.checkpoints import Checkpoints
from tswork.training.loop import train

PIPELINE = """\
version: 1
name: speech
seed: 7
data:
  reader: arrays
  path: waves.npz
  rate: 16
  split: {by: official}
encoder: {uses: hf_speech, checkpoint: models/tiny}
stages:
  ce:    {uses: supervised, epochs: 2, pooling: mean}
  probe: {uses: probe_classify, needs: ce, heads: [logistic]}
"""
TUNED = PIPELINE.replace("models/tiny}", "models/tiny, train: 1, layers: weighted}")


def project(folder: Path, text: str = PIPELINE) -> Plan:
    if not (folder / "waves.npz").exists():
        write_waves(folder)
        write_checkpoint(folder / "models" / "tiny", rate=16, **SHORT)
    (folder / "p.yaml").write_text(text)
    return make_plan(load_pipeline(folder / "p.yaml", places=Places.here(folder)))


def run(plan: Plan) -> RunReport:
    return run_plan(plan, reporter=Unreported())


def keys(plan: Plan) -> list[str]:
    return [stage.key for stage in plan.members[0].stages]


def stored(folder: Path, plan: Plan, stage: int) -> Path:
    found = Store(Places.here(folder).store).get(keys(plan)[stage])
    assert found is not None
    return found


def change_weights(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    save_file({name: value + 0.01 for name, value in tensors.items()}, folder / "model.safetensors", {"format": "pt"})


def test_a_key_follows_the_content_of_a_checkpoint_and_not_its_place(tmp_path: Path) -> None:
    before = keys(project(tmp_path))
    (tmp_path / "models").rename(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "tiny" / "README.md").write_text("What it is.")
    moved = PIPELINE.replace("models/tiny", str(tmp_path / "elsewhere" / "tiny"))
    assert keys(project(tmp_path, moved)) == before
    change_weights(tmp_path / "elsewhere" / "tiny")
    after = project(tmp_path, moved)
    assert not set(keys(after)) & set(before)


def test_checkpoints_lie_beside_the_pipeline_or_below_a_data_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = keys(project(tmp_path))
    for below in ("models", "checkpoints/models"):
        (tmp_path / "root" / below).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "models").rename(tmp_path / "root" / below)
        monkeypatch.setenv("TSWORK_DATA", str(tmp_path / "root"))
        assert keys(project(tmp_path)) == before
        (tmp_path / "root" / below).rename(tmp_path / "models")


def test_a_missing_checkpoint_is_told_at_its_place_with_the_layout_that_is_expected(tmp_path: Path) -> None:
    project(tmp_path)
    with pytest.raises(DataInvalid) as refused:
        project(tmp_path, PIPELINE.replace("models/tiny", "facebook/nothing"))
    (problem,) = refused.value.problems
    told = str(problem).replace(str(tmp_path), "")
    assert told.startswith("/p.yaml:9:40  encoder.checkpoint: there is no checkpoint 'facebook/nothing' (looked at /")
    assert "Put a folder with config.json, preprocessor_config.json and model.safetensors" in told
    assert "download: true" in told
    (tmp_path / "models" / "tiny" / "preprocessor_config.json").unlink()
    with pytest.raises(DataInvalid, match=r"models/tiny lacks preprocessor_config.json. A checkpoint is a folder with"):
        project(tmp_path)


def test_a_name_of_the_hub_is_found_in_its_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys(project(tmp_path))
    cache = tmp_path / "hub" / "models--some--tiny"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text("abc")
    shutil.copytree(tmp_path / "models" / "tiny", cache / "snapshots" / "abc")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert keys(project(tmp_path, PIPELINE.replace("models/tiny", "some/tiny"))) == before


def test_without_a_network_nothing_is_fetched_and_the_error_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    text = PIPELINE.replace("models/tiny", "{name: some/other, download: true}")
    with pytest.raises(
        DataInvalid, match=r"'some/other' could not be fetched from the hub .* Download it where there is"
    ):
        project(tmp_path, text)


def test_a_plan_reads_a_checkpoint_without_the_library_that_runs_it(tmp_path: Path) -> None:
    project(tmp_path)
    script = (
        "import sys; sys.argv = ['tswork', 'plan', 'p.yaml']\n"
        "from tswork.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as done: assert not done.code, done.code\n"
        "print([name for name in ('transformers', 'torchaudio', 'huggingface_hub') if name in sys.modules])"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip().endswith("[]"), done.stdout


def rows(report: RunReport) -> set[str]:
    return {name.split("/")[1] for name in report.members[0].metrics if name.count("/") == 2}


def test_a_pretrained_encoder_is_judged_as_loaded_beside_the_same_architecture_at_random(tmp_path: Path) -> None:
    report = run(project(tmp_path, TUNED))
    assert {"random", "as_loaded", "ce"} <= rows(report)
    figures = report.members[0].results["probe"].rows
    assert set(figures.loc[figures["row"].isin(["random", "as_loaded"]), "role"]) == {"control"}


def test_controls_of_stages_whose_encoders_differ_are_named_by_stage(tmp_path: Path) -> None:
    text = PIPELINE.replace(
        "  probe: {uses: probe_classify, needs: ce,",
        "  own: {uses: supervised, epochs: 1, encoder: {layers: 1}}\n  probe: {uses: probe_classify, needs: [ce, own],",
    )
    assert {"random.ce", "as_loaded.ce", "random.own", "as_loaded.own"} <= rows(run(project(tmp_path, text)))


def started(plan: Plan) -> tuple[Configured, DataInfo, Part, Part]:
    """The method of the first stage, and its data."""
    member = plan.members[0].member
    split = open_member(member, plan).splits[0]
    return member.stages[0].component, DataInfo.of(split.train), split.train, split.test


def test_a_saved_model_needs_neither_the_checkpoint_nor_its_library_s_files(tmp_path: Path) -> None:
    plan = project(tmp_path, TUNED)
    run(plan)
    *_, test = started(plan)
    folder = stored(tmp_path, plan, 0)
    x = torch.stack([test.collection.sequence(int(row)) for row in test.spans[:4, 0]])
    with torch.no_grad():
        expected = load_models(folder)[0].classify(x)
        shutil.rmtree(tmp_path / "models")
        model = load_models(folder)[0]
        assert torch.equal(model.classify(x), expected)
    assert not is_loaded(model)


def test_checkpoints_of_a_training_leave_out_what_is_frozen_and_resume_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    block, info, part, test = started(project(tmp_path, TUNED))
    folder = tmp_path / "checkpoints"

    def trained(checkpoints: Checkpoints | None) -> Model:
        return train(
            block.build(), train=part, validation=test, info=info, context=Context(seed=3), checkpoints=checkpoints
        ).models[0]

    whole = trained(Checkpoints(folder, every_steps=1))
    fixed = fixed_names(whole)
    assert len(fixed) > 20
    kept = load_file(sorted(folder.glob("step-*"))[-1] / "model.safetensors")
    assert set(kept) == set(weights_of(whole)) - fixed == set(changing_weights_of(whole))
    shutil.rmtree(sorted(folder.glob("step-*"))[-1])
    resumed = trained(Checkpoints(folder, every_steps=1))
    for model in (resumed, trained(None)):
        assert all(torch.equal(value, weights_of(model)[name]) for name, value in weights_of(whole).items())
    untouched = build_model(block.build(), info, seed=3)
    assert all(torch.equal(weights_of(whole)[name], weights_of(untouched)[name]) for name in fixed)


def test_the_encoder_can_learn_at_a_rate_of_its_own(tmp_path: Path) -> None:
    text = TUNED.replace("epochs: 2", "epochs: 2, learning_rate: 1e-3, encoder_learning_rate: 1e-5")
    block, info, *_ = started(project(tmp_path, text))
    method = block.build()
    model = build_model(method, info, seed=0)
    head, encoder = method.optimisers(model)["model"].param_groups
    assert (head["lr"], encoder["lr"]) == (1e-3, 1e-5)
    assert isinstance(model.encoder, HfSpeech)
    slow = {id(weight) for weight in encoder["params"]}
    assert slow == {id(weight) for weight in model.encoder.body.parameters() if weight.requires_grad}
    assert id(model.encoder.layer_weights) in {id(weight) for weight in head["params"]}
    assert len(head["params"]) + len(slow) == sum(weight.requires_grad for weight in model.parameters())


def test_a_rate_of_its_own_is_in_no_key_while_it_is_not_given(tmp_path: Path) -> None:
    plain: Any = keyed(started(project(tmp_path))[0])
    assert "encoder_learning_rate" not in plain


def test_crops_without_a_frame_are_refused(tmp_path: Path) -> None:
    text = PIPELINE.replace("epochs: 2,", "epochs: 2, crop_seconds: 0.3,")
    with pytest.raises(
        ModelUnfit, match=r"HfSpeech: needs 6 steps for one frame, and crops have 5. Crop longer pieces."
    ):
        run(project(tmp_path, text))


def test_clips_without_a_frame_are_refused_by_name_before_anything_trains(tmp_path: Path) -> None:
    project(tmp_path)
    write_checkpoint(tmp_path / "models" / "tiny", rate=16)
    with pytest.raises(
        Exception, match=r"stages.ce: HfSpeech: needs 400 steps for one frame, and 12 of 12 sequences"
    ) as told:
        run(project(tmp_path))
    assert "stages.probe: the encoder of ce needs 400 steps for one frame; 12 in test have fewer" in str(told.value)
