"""Stored results whose files were altered afterwards: refused by name, and computed anew where that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pipeline.test_class_tasks import CONTINUAL
from tests.pipeline.waves import write_pipeline, write_waves
from tswork.data.places import Places
from tswork.errors import ModelUnfit, ResultAltered
from tswork.pipeline.finding import find_finished
from tswork.pipeline.loading import load_pipeline
from tswork.pipeline.plan import Plan, make_plan
from tswork.pipeline.predicting import embed_new
from tswork.pipeline.reporting import Unreported
from tswork.pipeline.runner import RunReport, run_plan
from tswork.store import Store

SHORT = CONTINUAL.replace("  finetune: {uses: finetune, iterations: 3, batch_size: 8}\n", "").replace(
    "  joint:    {uses: joint, iterations: 3, batch_size: 8}\n", ""
)
LEARN, JUDGE = SHORT.rsplit("  judge:", 1)[0], SHORT.replace("[finetune, er, joint]", "er")
MEMORY = "records/tables/memory.parquet"


def planned(folder: Path, text: str, *, verify: bool = False) -> Plan:
    return make_plan(load_pipeline(write_pipeline(folder, text), places=Places.here(folder)), verify=verify)


def run(folder: Path, text: str = JUDGE, *, verify: bool = False) -> RunReport:
    return run_plan(planned(folder, text, verify=verify), reporter=Unreported())


def result_of(folder: Path, stage: str) -> Path:
    entries = Store(Places.here(folder).store).entries()
    return next(entry.path for entry in entries if entry.about.get("stage") == stage)


def altered(path: Path) -> Path:
    """Another byte in the middle, and the same size."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return path


@pytest.fixture
def learned(tmp_path: Path) -> Path:
    write_waves(tmp_path, classes=4, cases=32)
    run(tmp_path, LEARN)
    return tmp_path


def test_a_later_stage_does_not_build_on_an_altered_table_of_the_memory(learned: Path) -> None:
    memory = altered(result_of(learned, "er") / MEMORY)
    with pytest.raises(ResultAltered) as refused:
        run(learned)
    assert str(refused.value) == (
        f"{memory}: it was altered after the result was written. Put back what was there, or run the pipeline with `--verify`,"
        " which computes such stages anew."
    )
    assert refused.value.exit_code == 2


def test_all_altered_files_are_told_at_once_and_before_anything_runs(learned: Path) -> None:
    run(learned)
    files = [altered(result_of(learned, "er") / MEMORY), altered(result_of(learned, "judge") / "units.parquet")]
    other = JUDGE + "  again: {uses: er, iterations: 3, batch_size: 8, memory: 8}\n"
    with pytest.raises(ResultAltered, match="they were altered") as refused:
        run(learned, other)
    assert set(refused.value.paths) == set(map(str, files))
    assert not any(entry.about.get("stage") == "again" for entry in Store(Places.here(learned).store).entries())


def test_new_data_are_not_read_by_an_altered_stage(learned: Path) -> None:
    altered(result_of(learned, "er") / MEMORY)
    with pytest.raises(ResultAltered, match=r"memory\.parquet: it was altered"):
        find_finished(learned / "waves.yaml", places=Places.here(learned))


def test_altered_weights_are_refused_where_they_are_loaded(learned: Path) -> None:
    weights = altered(result_of(learned, "er") / "model-1" / "weights.safetensors")
    for use in (run, embed):
        with pytest.raises(ModelUnfit, match=f"{weights}: .*altered after it was written"):
            use(learned)


def embed(folder: Path) -> object:
    finished = find_finished(write_pipeline(folder, LEARN), places=Places.here(folder))
    return embed_new(finished, folder / "waves.npz", stage="er")


@pytest.mark.parametrize("damage", [altered, Path.unlink])
def test_verified_it_is_computed_anew_with_the_same_result(learned: Path, damage: Callable[[Path], object]) -> None:
    first = run(learned)
    folder = result_of(learned, "er")
    before = (folder / "model-1" / "weights.safetensors").read_bytes()
    damage(folder / MEMORY)
    stages = planned(learned, JUDGE, verify=True).members[0].stages
    assert [(stage.status, stage.reason) for stage in stages] == [
        ("run", "its stored result is not as it was written"),
        ("cached", "nothing it depends on has changed"),
    ]
    second = run(learned, verify=True)
    assert [stage.status for stage in second.members[0].stages] == ["run", "cached"]
    assert second.members[0].metrics == first.members[0].metrics
    assert (folder / "model-1" / "weights.safetensors").read_bytes() == before
    run(learned)
