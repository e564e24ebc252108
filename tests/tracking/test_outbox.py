"""Letters to a store of runs: in order, never lost while it is away, and told by name when they could not be sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from tswork.tracking import outbox as module
from tswork.tracking.client import Tracking
from tswork.tracking.outbox import Outbox, Recipient
from tswork.tracking.recorder import RunRecorder


def away() -> MlflowException:
    """What MLflow's client raises when nobody answers."""
    return MlflowException("API request to http://127.0.0.1:9/api failed with exception ConnectionRefusedError")


def refusal() -> MlflowException:
    return MlflowException("the run is deleted", error_code=INVALID_PARAMETER_VALUE)


class FakeClient:
    """Keeps the points it is sent, or raises `fault` while there is one."""

    def __init__(self) -> None:
        self.fault: Callable[[], Exception] | None = None
        self.points: list[tuple[str, int, float]] = []
        self.files: dict[str, str] = {}

    def log_artifact(self, run_id: str, local_path: str, artifact_path: str | None = None) -> None:
        self.files[f"{artifact_path}/{Path(local_path).name}"] = Path(local_path).read_text(encoding="utf-8")

    def log_batch(self, run_id: str, metrics: list[Metric]) -> None:
        if self.fault is not None:
            raise self.fault()
        assert len(metrics) <= 1000
        self.points += [(metric.key, metric.step, metric.value) for metric in metrics]


class FakeTracking(Tracking):
    """A store of runs whose server can be switched off."""

    client: FakeClient  # type: ignore[assignment]
    tags: list[tuple[str, Mapping[str, Any]]]

    def __init__(self) -> None:
        for name, value in (("client", FakeClient()), ("uri", "http://127.0.0.1:9"), ("tags", [])):
            object.__setattr__(self, name, value)

    def answers(self) -> bool:
        return self.client.fault is None

    def tag(self, run_id: str, tags: Mapping[str, Any]) -> None:
        self.tags.append((run_id, tags))


@pytest.fixture
def tracking() -> FakeTracking:
    return FakeTracking()


@pytest.fixture
def outbox(tracking: FakeTracking, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outbox]:
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.01)
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.6)
    yield Outbox(tracking)
    assert not [thread for thread in threading.enumerate() if thread.name == "outbox"]


RUN = "run-1"


def recipient() -> Recipient:
    return Recipient("seed=1", RUN)


def curve(tracking: FakeTracking, name: str) -> list[tuple[int, float]]:
    return [(step, value) for key, step, value in tracking.client.points if key == name]


def test_letters_arrive_in_their_order(tracking: FakeTracking, outbox: Outbox) -> None:
    seen: list[object] = []
    to = recipient()
    outbox.post(to, "a", lambda run: seen.append(("a", run)))
    outbox.points(to, {"loss": 1.0}, step=0)
    outbox.post(to, "b", lambda run: seen.append(("b", len(tracking.client.points))))
    assert outbox.close() is None
    assert seen == [("a", RUN), ("b", 1)]


def test_points_of_tensors_and_numbers_are_sent_with_their_steps(tracking: FakeTracking, outbox: Outbox) -> None:
    to = recipient()
    outbox.points(to, {"loss": torch.tensor(0.5), "rate": 2}, step=3)
    outbox.points(to, {"loss": torch.tensor(0.25, dtype=torch.bfloat16)}, step=4)
    assert outbox.close() is None
    assert tracking.client.points == [("loss", 3, 0.5), ("rate", 3, 2.0), ("loss", 4, 0.25)]


def test_points_that_are_not_finite_are_left_out(tracking: FakeTracking, outbox: Outbox) -> None:
    outbox.points(recipient(), {"a": float("nan"), "b": torch.tensor(float("inf")), "c": 1.0}, step=0)
    assert outbox.close() is None
    assert [key for key, _, _ in tracking.client.points] == ["c"]


@pytest.mark.parametrize("points", [999, 1000, 5000, 40_000])
def test_a_curve_has_about_a_thousand_points_however_long_it_gets(
    tracking: FakeTracking, outbox: Outbox, points: int
) -> None:
    to = recipient()
    for step in range(points):
        outbox.points(to, {"loss": float(step)}, step=step)
    assert outbox.close() is None
    steps = [step for step, _ in curve(tracking, "loss")]
    assert min(points, 1000) <= len(steps) < 2000
    assert steps[0] == 0
    assert steps == sorted(steps)
    assert steps[-1] > 0.8 * (points - 1)


def test_a_server_that_comes_back_gets_every_point_and_every_letter_once(
    tracking: FakeTracking, outbox: Outbox
) -> None:
    tracking.client.fault = away
    to, sent = recipient(), list[str]()
    for step in range(2500):
        outbox.points(to, {"loss": float(step % 7)}, step=step)
        if step == 1200:
            outbox.post(to, "figure.png", lambda run: sent.append(run))
    assert outbox.flush() is False
    time.sleep(0.1)
    assert sent == []
    tracking.client.fault = None
    assert outbox.close() is None
    assert sent == [RUN]
    steps = [step for step, _ in curve(tracking, "loss")]
    assert steps[:1000] == list(range(1000))
    assert len(steps) == len(set(steps))


def test_a_server_that_goes_away_between_two_batches_gets_no_point_twice(
    tracking: FakeTracking, outbox: Outbox
) -> None:
    to, send = recipient(), tracking.client.log_batch
    calls: list[int] = []

    def break_off(run_id: str, metrics: list[Metric]) -> None:
        calls.append(len(metrics))
        if len(calls) == 2:
            raise away()
        send(run_id, metrics)

    tracking.client.log_batch = break_off  # type: ignore[method-assign]
    with outbox._sending:  # so that the thread takes all of them together
        for name in ("a", "b", "c"):
            for step in range(900):
                outbox.points(to, {name: 1.0}, step=step)
    assert outbox.close() is None
    assert len(tracking.client.points) == len(set(tracking.client.points)) == 2700


def test_what_could_not_be_sent_is_told_by_name(tracking: FakeTracking, outbox: Outbox) -> None:
    tracking.client.fault = away
    to = recipient()
    outbox.points(to, {"loss": 1.0}, step=0)
    outbox.post(to, "probe/rows.parquet", lambda run: None)
    incomplete = outbox.close()
    assert incomplete is not None
    assert incomplete.missing == ["points of curves of seed=1", "probe/rows.parquet of seed=1"]
    assert incomplete.exit_code == 1
    for part in (
        "http://127.0.0.1:9",
        "ConnectionRefusedError",
        "probe/rows.parquet of seed=1",
        "run the same command again",
    ):
        assert part in str(incomplete)


def test_of_much_that_is_missing_the_first_is_named_and_the_rest_counted(
    tracking: FakeTracking, outbox: Outbox
) -> None:
    tracking.client.fault = away
    outbox.points(recipient(), {"loss": 1.0}, step=0)
    for number in range(9):
        outbox.post(recipient(), f"file {number}", lambda run: None)
    incomplete = outbox.close()
    assert incomplete is not None
    assert len(incomplete.missing) == 10
    assert "file 4 of seed=1 and 4 more." in str(incomplete)


def test_a_letter_that_is_refused_does_not_hold_up_the_others(tracking: FakeTracking, outbox: Outbox) -> None:
    def refuse(run: str) -> None:
        raise refusal()

    to, sent = recipient(), list[str]()
    outbox.post(to, "model ts2vec", refuse)
    outbox.post(to, "status FINISHED", sent.append)
    incomplete = outbox.close()
    assert sent == [RUN]
    assert incomplete is not None
    assert incomplete.missing == ["model ts2vec of seed=1"]
    assert incomplete.reason == "the run is deleted"


def test_a_letter_that_fails_although_the_server_answers_is_given_up(tracking: FakeTracking, outbox: Outbox) -> None:
    tries: list[str] = []

    def fail(run: str) -> None:
        tries.append(run)
        raise OSError(28, "No space left on device")

    to, sent = recipient(), list[str]()
    outbox.post(to, "figure.png", fail)
    outbox.post(to, "status FINISHED", sent.append)
    incomplete = outbox.close()
    assert len(tries) == 3
    assert sent == [RUN]
    assert incomplete is not None
    assert "No space left on device" in str(incomplete)


def test_a_run_that_cannot_be_created_yet_gets_its_letters_later(tracking: FakeTracking, outbox: Outbox) -> None:
    tracking.client.fault = away
    to, sent = Recipient("seed=2"), list[str]()

    def create(_: str) -> None:
        if tracking.client.fault is not None:
            raise tracking.client.fault()
        to.run_id = "run-2"

    outbox.post(to, "the run", create, creates=True)
    outbox.post(to, "a", sent.append)
    assert not outbox.flush()
    tracking.client.fault = None
    assert outbox.close() is None
    assert sent == ["run-2"]


def test_letters_to_a_run_that_was_refused_are_told_and_those_to_others_are_sent(
    tracking: FakeTracking, outbox: Outbox
) -> None:
    def create(_: str) -> None:
        raise refusal()

    lost, fine, sent = Recipient("seed=2"), recipient(), list[str]()
    outbox.post(lost, "the run", create, creates=True)
    outbox.post(lost, "a", sent.append)
    outbox.post(fine, "b", sent.append)
    incomplete = outbox.close()
    assert sent == [RUN]
    assert incomplete is not None
    assert incomplete.missing == ["the run of seed=2", "a of seed=2"]


def test_a_bug_of_ours_is_not_swallowed(tracking: FakeTracking, outbox: Outbox) -> None:
    def fail(run: str) -> None:
        raise TypeError("a bug")

    outbox.post(recipient(), "a", fail)
    with pytest.raises(TypeError, match="a bug"):
        outbox.close()


def test_reporting_does_not_wait_for_a_slow_server(tracking: FakeTracking, outbox: Outbox) -> None:
    release = threading.Event()
    outbox.post(recipient(), "slow", lambda run: release.wait(10))
    started = time.perf_counter()
    for step in range(1000):
        outbox.points(recipient(), {"loss": 1.0}, step=step)
    assert time.perf_counter() - started < 1
    release.set()
    assert outbox.close() is None


def test_points_a_reopened_run_already_has_are_not_sent_again(tracking: FakeTracking, outbox: Outbox) -> None:
    to = Recipient("seed=1", RUN, reached={"loss": 4, "mse.h24": 4})
    for step in range(7):
        outbox.points(to, {"loss": float(step), "mse@h24": float(step), "new": float(step)}, step=step)
    assert outbox.close() is None
    assert curve(tracking, "loss") == curve(tracking, "mse.h24") == [(5, 5.0), (6, 6.0)]
    assert len(curve(tracking, "new")) == 7


def test_runs_that_are_accompanied_get_heartbeats_and_measurements(
    tracking: FakeTracking, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.02)
    to = Recipient("seed=1", RUN, reached={"system/memory": 1})
    outbox.accompany(to, lambda: {"system/memory": 7.0})
    for _ in range(300):
        if len(tracking.tags) >= 2:
            break
        time.sleep(0.01)
    outbox.leave(to)
    assert outbox.close() is None
    assert {run for run, _ in tracking.tags} == {RUN}
    assert all(float(tags["tswork.heartbeat"]) > 0 for _, tags in tracking.tags)
    steps = [step for step, _ in curve(tracking, "system/memory")]
    assert steps == list(range(2, 2 + len(steps)))
    assert len(steps) >= 3


def test_a_page_is_an_artifact_of_its_stage(tracking: FakeTracking, outbox: Outbox) -> None:
    RunRecorder(outbox, tracking, Recipient("run", "1"), "analysis").page("space/ours", "<!doctype html><p>città</p>")
    assert outbox.close() is None
    assert tracking.client.files == {"analysis/pages/space/ours.html": "<!doctype html><p>città</p>"}
