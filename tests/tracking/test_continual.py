"""What continual learning leaves in MLflow: the memory, what tasks cost, accuracy matrices, and what was written."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.tracking.projects import artifacts, run

CONTINUAL = """\
version: 1
name: waves
seed: 7
data: {reader: arrays, path: waves.npz, tasks: {step: 1}, text: {vocabulary: 20}, split: {by: official}}
encoder: {uses: dilated_conv, depth: 2, dim: 8, hidden: 4}
stages:
  coconut: {uses: coconut, answer: text, decoder: {dim: 8, layers: 1, heads: 2}, iterations: 3, memory: 4}
  judge:   {uses: continual, needs: coconut, beams: 2}
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Artifacts of a run, and of the same again, whose stages were found in the store."""
    folder, found = tmp_path_factory.mktemp("project"), []
    for name in ("first", "again"):
        recorded = run(folder, CONTINUAL)
        found.append(artifacts(recorded, recorded.children[0].info.run_id, tmp_path_factory.mktemp(name)))
    return found


@pytest.mark.parametrize("which", [0, 1])
def test_memory_costs_matrices_and_texts_are_artifacts(runs: list[Path], which: int) -> None:
    files = runs[which]
    memory = pd.read_parquet(files / "coconut/tables/memory.parquet")
    assert memory.groupby(["after", "class"]).size().to_dict() == {(1, "0"): 2, (2, "0"): 2, (2, "1"): 2}
    cost = pd.read_parquet(files / "coconut/tables/cost.parquet")
    assert cost[["task", "steps", "new_samples", "old_samples"]].to_numpy().tolist() == [[1, 3, 6, 0], [2, 3, 6, 2]]
    assert len(pd.read_parquet(files / "judge/tables/accuracy_matrix.parquet")) == 3 * 3  # with two controls
    assert (files / "judge/figures/accuracy_matrix/coconut.png").read_bytes().startswith(b"\x89PNG")
    predicted = pd.read_parquet(files / "judge/predictions.parquet")
    assert set(predicted.query("row == 'coconut'")["text"]) == {"0 _SEP", "1 _SEP"}
    assert "string_wer" in pd.read_parquet(files / "judge/tables/understanding_matrix.parquet")


def test_what_is_found_in_the_store_is_reported_alike(runs: list[Path]) -> None:
    for name in ("coconut/tables/memory.parquet", "coconut/tables/cost.parquet", "judge/rows.parquet"):
        first, again = (pd.read_parquet(files / name) for files in runs)
        pd.testing.assert_frame_equal(first, again)
