"""What members of a sweep have in common is looked at once, and what they may not differ in is told before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.waves import PIPELINE, write_pipeline
from tswork.data.digests import source_digest
from tswork.data.places import Places
from tswork.errors import PipelineInvalid
from tswork.pipeline import checking, data_files
from tswork.pipeline.loading import load_pipeline
from tswork.pipeline.plan import Plan, make_plan
from tswork.pipeline.reporting import Unreported
from tswork.pipeline.runner import run_plan


def plan(folder: Path, sweep: str) -> Plan:
    return make_plan(load_pipeline(write_pipeline(folder, PIPELINE + sweep), places=Places.here(folder)))


def test_files_that_members_share_are_digested_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def count(spec: Any, places: Places, *, verify: bool = False) -> str:
        asked.append(spec)
        return source_digest(spec, places, verify=verify)

    monkeypatch.setattr(data_files, "source_digest", count)
    members = plan(tmp_path, "sweep: {seed: [1, 2, 3]}\n").members
    assert len(asked) == 1
    assert len({member.source_digest for member in members}) == 1
    asked.clear()
    plan(tmp_path, "sweep: {data.layout: [case channel time, case time channel], seed: [1, 2]}\n")
    assert len(asked) == 2, "another way of reading is looked at by itself"


def test_processes_that_train_together_have_one_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swept = plan(tmp_path, "sweep: {precision: [32-true, bf16-mixed]}\n")
    monkeypatch.setattr(checking, "process_count", lambda: 2)
    with pytest.raises(PipelineInvalid, match="Start one run for each precision"):
        run_plan(swept, reporter=Unreported())
