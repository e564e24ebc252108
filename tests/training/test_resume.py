"""Whatever happens to a training, going on gives the weights of a training to which nothing happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.killed import METHODS
from tests.training.tiny import TinyConfig, TinyContinual, TinyContrast, TinyValidated, bits, run, series
from tswork.config import Configured
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import Part
from tswork.errors import Interrupted, TsworkWarning
from tswork.methods.base import Update
from tswork.methods.model import Model
from tswork.methods.saving import save_model
from tswork.recorder import MemoryRecorder, Tee
from tswork.registry import find
from tswork.training.loop import Trained

KILLED: dict[str, int | None] = {
    "averaged-2": None,
    "averaged-6": 4,
    "averaged-29": 28,
    "alternating-13": 12,
    "continual-9": 8,
    "continual-22": 19,
    "averaged-writing": 8,
}
"""Where trainings were killed, and the step of the newest checkpoint then: one after every four steps and every task."""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of checkpoints for every moment at which a training was killed."""
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-m", "tests.training.killed", str(folder)]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, timeout=120, cwd=root, env=environment)
    return folder


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As many threads as the killed trainings had."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("moment", KILLED)
def test_after_a_kill_the_saved_weights_are_those_of_an_uninterrupted_training(
    killed: Path, tmp_path: Path, moment: str
) -> None:
    resumed = weights_are_those_of_an_uninterrupted_training(killed / moment, tmp_path)
    assert resumed.resumed_from == KILLED[moment]


@pytest.mark.usefixtures("one_thread")
def test_the_moment_of_the_kill_does_not_matter(killed: Path, tmp_path: Path) -> None:
    resumed = weights_are_those_of_an_uninterrupted_training(killed / "averaged-whenever", tmp_path)
    assert resumed.resumed


def weights_are_those_of_an_uninterrupted_training(folder: Path, tmp_path: Path) -> Trained:
    """Go on in a folder and compare the saved files, byte for byte."""
    method = METHODS[folder.name.partition("-")[0]]
    method.on_step = None
    resumed, uninterrupted = run(method, folder=folder), run(method)
    assert saved(resumed, tmp_path / "resumed") == saved(uninterrupted, tmp_path / "uninterrupted")
    assert resumed.steps == uninterrupted.steps == 30
    assert resumed.bit_identical
    return resumed


def saved(trained: Trained, folder: Path) -> list[bytes]:
    """The bytes of the saved models."""
    method = find("method", "tiny_contrast")
    for number, model in enumerate(trained.models):
        save_model(folder / str(number), model, Configured(method, TinyConfig()))
    return [(folder / str(number) / "weights.safetensors").read_bytes() for number in range(len(trained.models))]


class Stop(Exception):
    """Something unforeseen."""


def stopped(method: TinyContrast, folder: Path, *, after: int, **options: Any) -> None:
    """Run into an exception in a step."""
    steps = iter(range(1000))

    def on_step(context: Context) -> None:
        if next(steps) == after:
            raise Stop

    method.on_step = on_step
    with pytest.raises(Stop):
        run(method, folder=folder, **options)
    method.on_step = None


def test_a_continual_method_goes_on_inside_its_second_task_with_its_teacher_and_its_memory(tmp_path: Path) -> None:
    method = TinyContinual(TinyConfig(iterations=10, tasks=2))
    stopped(method, tmp_path, after=16)
    method.teacher = torch.zeros(0)
    resumed = run(method, folder=tmp_path)
    assert resumed.resumed_from == 14
    assert bits(resumed) == bits(run(method))
    assert (resumed.stopped_because, resumed.ends) == (("budget", "budget"), (10, 20))


def test_best_weights_and_patience_survive(tmp_path: Path) -> None:
    def method() -> TinyValidated:
        method = TinyValidated(TinyConfig(iterations=60, patience=2, averaging="mean"))
        method.scores = [0, 0, 0.5]
        return method

    stopped(method(), tmp_path, after=8, validation=series(4), every_steps=7)
    resumed = run(method(), folder=tmp_path, validation=series(4))
    uninterrupted = run(method(), validation=series(4))
    assert resumed.resumed_from == 7
    assert (resumed.steps, resumed.stopped_because) == (uninterrupted.steps, uninterrupted.stopped_because)
    assert uninterrupted.steps == 9
    assert bits(resumed) == bits(uninterrupted)


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    method = TinyContrast(TinyConfig(iterations=8))
    first = run(method, folder=tmp_path)
    method.on_step = lambda context: pytest.fail("a step was made")
    again = run(method, folder=tmp_path)
    assert again.resumed_from == 8
    assert bits(again) == bits(first)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_writes_a_checkpoint_and_ends_training(tmp_path: Path, number: signal.Signals) -> None:
    method = TinyContrast(TinyConfig(iterations=9))

    def on_step(context: Context) -> None:
        if (context.epoch, context.step) == (1, 2):
            os.kill(os.getpid(), number)

    method.on_step = on_step
    handler = signal.getsignal(number)
    with pytest.raises(Interrupted, match="tiny: interrupted after step 6; run it again") as interrupted:
        run(method, folder=tmp_path, every_steps=None)
    assert interrupted.value.exit_code == 130
    assert signal.getsignal(number) is handler
    method.on_step = None
    resumed = run(method, folder=tmp_path)
    assert resumed.resumed_from == 6
    assert bits(resumed) == bits(run(method))


def test_a_signal_after_the_last_step_is_not_lost() -> None:
    class Ending(TinyContrast):
        def finish(self, model: Model, task: int, part: Part, context: Context) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted, match="when the last step was made"):
        run(Ending(TinyConfig(iterations=5)))


def test_a_second_signal_ends_at_once() -> None:
    method = TinyContrast(TinyConfig(iterations=9))

    def on_step(context: Context) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    method.on_step = on_step
    with pytest.raises(KeyboardInterrupt):
        run(method)


def test_without_a_folder_an_interruption_says_that_nothing_was_kept() -> None:
    method = TinyContrast(TinyConfig(iterations=9))
    method.on_step = lambda context: os.kill(os.getpid(), signal.SIGINT) if context.step == 2 else None
    with pytest.raises(Interrupted, match="nothing was kept"):
        run(method)


def test_a_damaged_checkpoint_is_skipped_with_a_warning(tmp_path: Path) -> None:
    method = TinyContrast(TinyConfig(averaging="mean"))
    stopped(method, tmp_path, after=13)
    with (tmp_path / "step-000000012" / "mean.safetensors").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x7f")
    with pytest.warns(
        TsworkWarning, match=r"step-000000012 is damaged \(mean.safetensors was altered\) and is skipped"
    ):
        resumed = run(method, folder=tmp_path)
    assert resumed.resumed_from == 8
    assert bits(resumed) == bits(run(method))


def test_checkpoints_of_other_options_are_not_continued(tmp_path: Path) -> None:
    stopped(TinyContrast(TinyConfig()), tmp_path, after=13)
    other = TinyContrast(TinyConfig(learning_rate=0.01))
    with pytest.warns(TsworkWarning, match="belong to a training with other options"):
        anew = run(other, folder=tmp_path)
    assert not anew.resumed
    assert bits(anew) == bits(run(other))


def test_the_number_of_threads_is_taken_from_the_checkpoint_and_put_back(tmp_path: Path) -> None:
    method = TinyContrast(TinyConfig())
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    stopped(method, tmp_path, after=13)
    torch.set_num_threads(2)
    seen: set[int] = set()
    method.on_step = lambda context: seen.add(torch.get_num_threads())
    run(method, folder=tmp_path)
    assert seen == {3}
    assert torch.get_num_threads() == 2
    torch.set_num_threads(threads)


def test_another_machine_is_pointed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method = TinyContrast(TinyConfig())
    stopped(method, tmp_path, after=13)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "OTHER")
    with pytest.warns(TsworkWarning, match=r"processor was .*, is .*OTHER\): the result is not bit-identical"):
        assert not run(method, folder=tmp_path).bit_identical


class Journal(MemoryRecorder):
    """A recorder that outlives the process."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[int] = []
        self.resumed: list[int] = []

    def flush(self) -> None:
        self.written.append(len(self._points))

    def resume(self, *, before: int) -> None:
        self.resumed.append(before)
        self._points = [point for point in self._points if point[0] < before]


def test_a_recorder_that_outlives_the_process_has_every_point_once(tmp_path: Path) -> None:
    method = TinyContrast(TinyConfig(iterations=20))
    journal = Journal()
    stopped(method, tmp_path, after=13, recorder=Tee([journal, MemoryRecorder()]))
    assert len(journal.written) == 3
    run(method, folder=tmp_path, recorder=Tee([journal]))
    assert journal.resumed == [0, 12]
    assert [step for step, _ in journal.curves["loss"]] == list(range(20))
    whole = MemoryRecorder()
    run(method, recorder=whole)
    assert journal.curves["loss"] == whole.curves["loss"]


def test_a_method_may_keep_state_of_its_own(tmp_path: Path) -> None:
    class Counting(TinyContrast):
        count = 0

        def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
            for update in super().updates(model, batch, context):
                self.count += 1
                yield Update("model", {"scaled": update.loss * self.count})

        def state_dict(self) -> dict[str, Any]:
            return {"count": self.count}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            self.count = state["count"]

    stopped(Counting(TinyConfig()), tmp_path, after=13)
    resumed = run(Counting(TinyConfig()), folder=tmp_path)
    assert resumed.resumed_from == 12
    assert bits(resumed) == bits(run(Counting(TinyConfig())))


def test_mixed_precision_goes_on_with_the_same_bits_too(tmp_path: Path) -> None:
    method = TinyContrast(TinyConfig(iterations=12))
    stopped(method, tmp_path, after=9, precision="bf16-mixed")
    resumed = run(method, folder=tmp_path, precision="bf16-mixed")
    assert resumed.resumed_from == 8
    assert bits(resumed) == bits(run(method, precision="bf16-mixed"))
