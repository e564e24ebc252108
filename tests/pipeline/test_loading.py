"""Pipeline files: what is read, and that everything wrong is told at once, where it stands, with what was probably meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.waves import PIPELINE, write_pipeline
from tswork.data.places import Places
from tswork.errors import InvalidInput
from tswork.pipeline.loading import load_pipeline
from tswork.pipeline.spec import Pipeline


def load(folder: Path, text: str = PIPELINE, *overrides: str) -> Pipeline:
    path = write_pipeline(folder, text)
    return load_pipeline(path, places=Places.here(folder), overrides=overrides)


def faults(folder: Path, text: str, *overrides: str) -> list[str]:
    with pytest.raises(InvalidInput) as refused:
        load(folder, text, *overrides)
    return [str(problem).replace(str(folder) + "/", "") for problem in refused.value.problems]


def test_a_pipeline_is_read_with_its_defaults(tmp_path: Path) -> None:
    (member,) = load(tmp_path).members
    assert [stage.name for stage in member.stages] == ["ts2vec", "probe"]
    assert member.stage("probe").needs == ("ts2vec",)
    config = member.stage("ts2vec").component.config
    assert config.model_dump()["encoder"] == {
        "uses": "dilated_conv", "front_end": {"uses": "none"}, "dim": 8, "hidden": 4, "depth": 2, "dropout": 0.1,
    }  # fmt: skip


def test_all_faults_are_told_at_once_where_they_stand(tmp_path: Path) -> None:
    text = """\
version: 1
name: broken
seed: -1
data: {reader: array, path: waves.npz, split: {by: tim}}
encoder: {uses: dilated_conv, dimm: 3}
stages:
  ts2vec: {uses: ts2vec, epochs: many}
  probe: {uses: prob_classify, needs: ts2vek}
"""
    found = faults(tmp_path, text)
    assert found == [
        "waves.yaml:3:7  seed: should be greater than or equal to 0, not -1",
        "waves.yaml:4:16  data.reader: no reader is called 'array'. Did you mean 'arrays'?",
        "waves.yaml:4:52  data.split.by: should be 'time', 'official', 'groups' or 'sequences', not 'tim'",
        "waves.yaml:5:31  stages.ts2vec.encoder.dimm: unknown key. Did you mean 'dim'?",
        "waves.yaml:7:34  stages.ts2vec.epochs: should be a valid integer, not 'many'",
        "waves.yaml:8:17  stages.probe.uses: no method or protocol is called 'prob_classify'. Did you mean 'probe_classify'?",
        "waves.yaml:8:39  stages.probe.needs: there is no stage 'ts2vek'. Did you mean 'ts2vec'?",
    ]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("seed: 7", "seed: 7.5"), "waves.yaml:3:7  seed: should be a valid integer"),
        (("seed: 7", "sed: 7"), "waves.yaml:3:1  sed: unknown key. Did you mean 'seed'?"),
        (("name: waves\n", ""), "name: is missing"),
        (("version: 1", "version: 2"), "waves.yaml:1:10  version: should be 1"),
        (("iterations: 6", "iterations: 0"), "stages.ts2vec.iterations: should be greater than or equal to 1, not 0"),
        (("iterations: 6", "iterations: '6'"), "stages.ts2vec.iterations: should be a valid integer, not '6'"),
        (("iterations: 6", "iteration: 6"), "stages.ts2vec.iteration: unknown key. Did you mean 'iterations'?"),
        (("uses: dilated_conv", "uses: dilated_convv"), "no encoder is called 'dilated_convv'. Did you mean 'dilated_conv'?"),
        (("uses: ts2vec", "use: ts2vec"), "should be a block with 'uses: NAME'"),
        (("needs: ts2vec", "needs: []"), "a protocol needs at least one stage to judge"),
        (("needs: ts2vec", "needs: probe"), "need each other in a circle"),
        (("uses: ts2vec,", "uses: ts2vec, needs: probe,"), "a method trains from the data alone"),
        (("reader: arrays", "reader: arays"), "data.reader: no reader is called 'arays'. Did you mean 'arrays'?"),
        (("path: waves.npz", "pth: waves.npz"), "data.pth: unknown key. Did you mean 'path'?"),
        (("by: official", "by: oficial"), "data.split.by: should be 'time', 'official', 'groups' or 'sequences', not 'oficial'"),
        (("heads: [logistic]", "heads: [logistik]"), "stages.probe.heads"),
        (("reader: arrays", "card: nowhere"), "there is no card 'nowhere'"),
    ],
)  # fmt: skip
def test_each_fault_has_its_place_and_its_remedy(tmp_path: Path, change: tuple[str, str], fault: str) -> None:
    assert change[0] in PIPELINE
    found = "\n".join(faults(tmp_path, PIPELINE.replace(*change)))
    assert fault in found
    assert found.startswith("waves.yaml:")


def test_a_protocol_refuses_models_that_cannot_do_what_it_asks(tmp_path: Path) -> None:
    text = PIPELINE + "  again: {uses: probe_classify, needs: probe}\n"
    assert "'probe' is a protocol and has no model to judge" in faults(tmp_path, text)[0]


def test_overrides_change_values_and_their_faults_are_located(tmp_path: Path) -> None:
    (member,) = load(tmp_path, PIPELINE, "stages.ts2vec.iterations=9", "seed=3").members
    assert member.stage("ts2vec").component.config.model_dump()["iterations"] == 9
    assert member.header.seed == 3
    assert (
        "-s argument 1, column 26  stages.ts2vec.iterations: should be a valid integer"
        in faults(tmp_path, PIPELINE, "stages.ts2vec.iterations=x")[0]
    )
    assert (
        "-s argument 2, column 1  'seed' is not an override. Write key.key=value."
        in faults(tmp_path, PIPELINE, "seed=1", "seed")[0]
    )


def test_a_file_extends_another_and_faults_stay_with_the_file_they_are_in(tmp_path: Path) -> None:
    write_pipeline(tmp_path)
    child = tmp_path / "child.yaml"
    child.write_text("extends: waves.yaml\nname: child\nstages: {ts2vec: {iterations: 2}}\n")
    (member,) = load_pipeline(child, places=Places.here(tmp_path)).members
    assert member.header.name == "child"
    assert member.stage("ts2vec").component.config.model_dump()["batch_size"] == 8
    write_pipeline(tmp_path, PIPELINE.replace("batch_size: 8", "batch_size: no"))
    with pytest.raises(InvalidInput, match=r"waves\.yaml:10:53  stages\.ts2vec\.batch_size"):
        load_pipeline(child, places=Places.here(tmp_path))
    child.write_text("extends: child.yaml")
    with pytest.raises(InvalidInput, match="files extend each other in a circle"):
        load_pipeline(child, places=Places.here(tmp_path))


def test_a_sweep_makes_all_combinations(tmp_path: Path) -> None:
    sweep = "sweep:\n  seed: [1, 2]\n  encoder: [{uses: recurrent, dim: 4}, {depth: 3}]\n"
    members = load(tmp_path, PIPELINE + sweep).members
    assert [member.name for member in members][:2] == [
        "seed=1 encoder=recurrent(dim:4)",
        "seed=1 encoder=block(depth:3)",
    ]
    names = [member.stage("ts2vec").component.config.model_dump()["encoder"]["uses"] for member in members]
    assert names == ["recurrent", "dilated_conv"] * 2


def test_folds_are_an_axis_of_the_sweep(tmp_path: Path) -> None:
    members = load(tmp_path, PIPELINE.replace("{by: official}", "{by: groups, folds: 3}")).members
    assert [member.data.options.split.index for member in members if member.data.options.split] == [0, 1, 2]


def test_environment_variables_are_for_paths_only(tmp_path: Path) -> None:
    tsai = PIPELINE.replace(
        "{uses: dilated_conv, depth: 2, dim: 8, hidden: 4}", "{uses: tsai, model: TCN, options: {act: '${env:HOME}'}}"
    )
    assert faults(tmp_path, tsai) == [
        "waves.yaml:10:11  stages.ts2vec.encoder.options.act: environment variables are expanded in paths only"
    ]


def test_data_without_a_card_are_called_as_the_pipeline_is(tmp_path: Path) -> None:
    assert load(tmp_path).members[0].data.options.name == "waves"
    named = PIPELINE.replace("  reader: arrays", "  name: sines\n  reader: arrays")
    assert load(tmp_path, named).members[0].data.options.name == "sines"


SHARED = """\
version: 1
name: shared
data: {reader: arrays, path: waves.npz, label: label, split: {by: official}}
encoder: {uses: dilated_conv, dim: 8, hidden: 4, depth: 2}
training: {epochs: 3, learning_rate: 0.01, dropout: 0.2}
stages:
  ts2vec:     {uses: ts2vec}
  supervised: {uses: supervised, epochs: 5}
  probe:      {uses: probe_classify, needs: [ts2vec, supervised]}
"""


def test_shared_options_go_to_every_method_that_has_them_and_says_nothing_else(tmp_path: Path) -> None:
    (member,) = load(tmp_path, SHARED).members
    ts2vec, supervised = (member.stage(name).component.config.model_dump() for name in ("ts2vec", "supervised"))
    assert (ts2vec["epochs"], supervised["epochs"]) == (3, 5)
    assert ts2vec["learning_rate"] == supervised["learning_rate"] == 0.01
    assert supervised["dropout"] == 0.2
    (overridden,) = load(tmp_path, SHARED, "training.epochs=1").members
    assert overridden.stage("ts2vec").component.config.model_dump()["epochs"] == 1


def test_faults_of_shared_options_stand_where_they_are_written(tmp_path: Path) -> None:
    wrong = SHARED.replace("epochs: 3, learning_rate: 0.01", "epoch: 3, learning_rate: fast, encoder: lstm")
    assert faults(tmp_path, wrong) == [
        "waves.yaml:5:12  training.epoch: no method of this pipeline has such an option. Known: dropout, learning_rate.",
        "waves.yaml:5:37  stages.ts2vec.learning_rate: should be a valid number, not 'fast'",
        "waves.yaml:5:37  stages.supervised.learning_rate: should be a valid number, not 'fast'",
        "waves.yaml:5:43  training.encoder: no method of this pipeline has such an option. Give it as the pipeline's `encoder:`.",
    ]
