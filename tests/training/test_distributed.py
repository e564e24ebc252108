"""Two processes with half a batch each do what one does with the whole."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.ranks import (
    STRATEGIES,
    alternating,
    contrast,
    grouped,
    of_classes,
    of_patients,
    queued,
    task_by_task,
    trained,
)
from tswork.training.distributed import gather_with_gradient
from tswork.training.runtime import Runtime, open_runtime

SECONDS = 240


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes found."""
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = []
    for rank in range(2):
        variables = {
            "TORCHELASTIC_RUN_ID": "test",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "WORLD_SIZE": "2",
            "LOCAL_WORLD_SIZE": "2",
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "GROUP_RANK": "0",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        command = [sys.executable, "-m", "tests.training.ranks", str(folder)]
        started.append(subprocess.Popen(command, env={**os.environ, **variables}, cwd=Path(__file__).parents[2]))
    try:
        codes = [process.wait(timeout=SECONDS) for process in started]
    finally:
        for process in started:
            process.kill()
    assert codes == [0, 0]
    return [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in range(2)]


def test_gathering_in_a_single_process_is_the_identity() -> None:
    z = torch.randn(3, 2, requires_grad=True)
    assert gather_with_gradient(z) is z


def test_one_process_in_full_precision_does_without_fabric() -> None:
    code = "import torch, sys; from tswork.training.runtime import *; r = open_runtime(torch.device('cpu'))"
    code += "; import tswork.training.loop; print(type(r).__name__, 'lightning_fabric' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert printed.stdout.split() == ["Runtime", "False"]
    assert type(open_runtime(torch.device("cpu"))) is Runtime


@pytest.mark.parametrize("way", ["all rows", "own rows"])
def test_two_halves_give_the_loss_and_the_gradient_of_the_whole(ranks: list[dict[str, Any]], way: str) -> None:
    whole = contrast(1, 0)[way]
    for rank in ranks:
        half = rank["contrast"][way]
        assert half["loss"] == pytest.approx(whole["loss"], rel=1e-12)
        for found, expected in zip(half["gradients"], whole["gradients"], strict=True):
            assert found == pytest.approx(expected, rel=1e-10, abs=1e-13)


def test_rows_without_gradients_are_gathered_too(ranks: list[dict[str, Any]]) -> None:
    assert [rank["codes"] for rank in ranks] == [[[0, 7], [1, 7]]] * 2


def test_flags_of_any_and_values_of_the_first_process_reach_all(ranks: list[dict[str, Any]]) -> None:
    assert [rank["agree"] for rank in ranks] == [[True, False]] * 2
    assert [rank["broadcast"] for rank in ranks] == [{"score": 0}] * 2


def test_batch_normalisation_is_refused_on_cpus(ranks: list[dict[str, Any]]) -> None:
    for rank in ranks:
        assert rank["batch norm"].startswith(
            "TinyEncoder: it has batch normalisation, whose statistics several processes"
        )


def test_two_processes_train_the_weights_of_one(ranks: list[dict[str, Any]]) -> None:
    alone = trained(None)
    first, second = (rank["training"] for rank in ranks)
    assert first["weights"] == second["weights"]
    assert first["losses"] == pytest.approx(alone["losses"], rel=1e-4)
    for name, weights in alone["weights"].items():
        torch.testing.assert_close(torch.tensor(first["weights"][name]), torch.tensor(weights), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("found_as", "segments"), [("alternating", 1), ("segments", 8)])
def test_two_processes_take_the_turns_of_one(ranks: list[dict[str, Any]], found_as: str, segments: int) -> None:
    """Two optimisers: discrepancy and contrast are those of the windows of both processes, and so are the weights."""
    single = alternating(None, segments=segments)
    for step, loss in single["losses"]["augmenter/loss"] + single["losses"]["encoder/loss"]:
        assert loss > 0, step
    assert list(ranks[0][found_as]["losses"]) == list(single["losses"])
    for name, points in single["losses"].items():
        found = ranks[0][found_as]["losses"][name]
        torch.testing.assert_close(torch.tensor(found), torch.tensor(points), rtol=1e-4, atol=1e-5)
    for name, weight in single["weights"].items():
        for rank in ranks:
            found = torch.tensor(rank[found_as]["weights"][name])
            torch.testing.assert_close(found, torch.tensor(weight), rtol=1e-3, atol=1e-4)


def test_two_processes_fill_one_queue(ranks: list[dict[str, Any]]) -> None:
    """Both hold the features of the whole batch, contrast with them, and step as one process does."""
    single = queued(None)
    first, second = (rank["queued"] for rank in ranks)
    assert first["queue"] == second["queue"]
    assert first["weights"] == second["weights"]
    torch.testing.assert_close(torch.tensor(first["losses"]), torch.tensor(single["losses"]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(torch.tensor(first["queue"]), torch.tensor(single["queue"]), rtol=1e-3, atol=1e-4)
    for name, weight in single["weights"].items():
        found = torch.tensor(first["weights"][name])
        torch.testing.assert_close(found, torch.tensor(weight), rtol=1e-3, atol=1e-4)


def test_two_processes_bring_the_patients_of_a_batch_together(ranks: list[dict[str, Any]]) -> None:
    single = of_patients(None)
    torch.testing.assert_close(
        torch.tensor(ranks[0]["patients"]["losses"]), torch.tensor(single["losses"]), rtol=1e-4, atol=1e-5
    )
    for name, weight in single["weights"].items():
        for rank in ranks:
            found = torch.tensor(rank["patients"]["weights"][name])
            torch.testing.assert_close(found, torch.tensor(weight), rtol=1e-3, atol=1e-4)


def test_two_processes_bring_the_classes_of_a_batch_together(ranks: list[dict[str, Any]]) -> None:
    """Cross entropy, contrast, and the class weights that it trains."""
    single = of_classes(None)
    first, second = (rank["classes"] for rank in ranks)
    assert first["weights"] == second["weights"]
    for name, points in single["losses"].items():
        torch.testing.assert_close(torch.tensor(first["losses"][name]), torch.tensor(points), rtol=1e-4, atol=1e-5)
    for name, weight in single["weights"].items():
        torch.testing.assert_close(torch.tensor(first["weights"][name]), torch.tensor(weight), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", STRATEGIES)
def test_two_processes_learn_task_by_task_as_one_does(ranks: list[dict[str, Any]], name: str) -> None:
    single = task_by_task(None, name)
    first, second = (rank["task by task"][name] for rank in ranks)
    assert first["weights"] == second["weights"]
    assert first["conflicts"] == [list(point) for point in single["conflicts"]]
    assert (1.0 in {value for _, value in first["conflicts"]}) == (name == "agem"), "its gradient was held back"
    for key, weight in single["weights"].items():
        found = torch.tensor(first["weights"][key])
        torch.testing.assert_close(found, torch.tensor(weight), rtol=1e-4, atol=1e-5)


def test_processes_that_draw_for_themselves_keep_one_model(ranks: list[dict[str, Any]]) -> None:
    first, second = (rank["with draws"] for rank in ranks)
    assert set(first) == {"ts_tcc", "tf_c", "mixing_up"}
    assert first == second


def test_two_processes_contrast_patients_trials_and_samples_of_both(ranks: list[dict[str, Any]]) -> None:
    single = grouped(None)
    first, second = (rank["grouped"] for rank in ranks)
    assert first["weights"] == second["weights"]
    for level, points in single["losses"].items():
        torch.testing.assert_close(torch.tensor(first["losses"][level]), torch.tensor(points), rtol=1e-4, atol=1e-5)
    for name, weight in single["weights"].items():
        torch.testing.assert_close(torch.tensor(first["weights"][name]), torch.tensor(weight), rtol=1e-3, atol=1e-4)


def test_only_the_first_process_records_and_all_resume_alike(ranks: list[dict[str, Any]]) -> None:
    first, second = ranks
    assert second["training"]["losses"] == []
    for rank in ranks:
        assert rank["resumed training"]["resumed_from"] == 25
        assert rank["resumed training"]["weights"] == first["training"]["weights"]


def test_the_process_group_is_gone_at_the_end(ranks: list[dict[str, Any]]) -> None:
    assert [(rank["world_size"], rank["still open"]) for rank in ranks] == [(2, False)] * 2
