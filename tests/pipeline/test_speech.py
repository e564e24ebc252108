"""The shipped pipelines on spoken digits: whole on generated sound that lies as the real set does, and briefly on the real one."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

import tswork
from tswork.pipeline.runner import RunReport

ROOT = Path(__file__).resolve().parents[2] / "pipelines"
RATE = 8000
BRIEF = ["stages.{}.iterations=2", "stages.{}.batch_size=8"]
TINY = ["encoder.dim=16", "encoder.hidden=8", "encoder.depth=2"]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four speakers say three words five times each, as tones of a pitch a word and a loudness a speaker."""
    root = tmp_path_factory.mktemp("data")
    folder = root / "fsdd" / "audio"
    folder.mkdir(parents=True)
    random, rows = np.random.default_rng(0), ["path,digit,transcript,speaker,index,seconds"]
    for number in range(60):
        speaker, word, take = "abcd"[number % 4], number // 4 % 3, number // 12
        clock = np.arange(int(random.integers(1600, 3200))) / RATE
        samples = 0.1 * (1 + number % 4) * np.sin(2 * np.pi * (300 + 400 * word) * clock) + 0.01 * random.normal(
            size=len(clock)
        )
        soundfile.write(folder / f"{speaker}_{word}_{take}.wav", samples, RATE)
        rows.append(f"audio/{speaker}_{word}_{take}.wav,{word},word {word},{speaker},{take},{len(clock) / RATE}")
    (root / "fsdd" / "manifest.csv").write_text("\n".join(rows) + "\n")
    return root


def brief(pipeline: str, stages: tuple[str, str], *, root: Path, data_root: Path) -> RunReport:
    """One member with two steps of each training."""
    overrides = [option.format(stage) for stage in stages for option in BRIEF]
    return tswork.run(
        ROOT / pipeline,
        overrides=[*overrides, *TINY, "sweep.seed=[0]"],
        root=root,
        data_root=data_root,
        record=False,
    )


@pytest.mark.parametrize(
    ("pipeline", "stages"),
    [("comet/fsdd.yaml", ("comet", "blind")), ("autotcl/fsdd_log_mel.yaml", ("autotcl", "fixed"))],
)
def test_a_shipped_pipeline_of_speech_runs_from_sound_files_to_a_probe_of_unseen_speakers(
    pipeline: str, stages: tuple[str, str], digits: Path, tmp_path: Path
) -> None:
    (member,) = brief(pipeline, stages, root=tmp_path, data_root=digits).members
    for row in ("majority", "random", *stages):
        assert 0 <= member.metrics[f"probe/{row}/accuracy"] <= 1
    assert member.metrics["probe/random/accuracy"] > 0.5  # tones of three pitches, which any frames tell apart


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("pipeline", "stages"),
    [("comet/fsdd.yaml", ("comet", "blind")), ("autotcl/fsdd_log_mel.yaml", ("autotcl", "fixed"))],
)
def test_it_runs_on_the_real_digits(pipeline: str, stages: tuple[str, str], tmp_path: Path) -> None:
    data = Path(os.environ.get("TSWORK_DATA", ""))
    if not (data / "fsdd" / "manifest.csv").is_file():
        pytest.skip("needs real data: set TSWORK_DATA to a folder of data sets")
    (member,) = brief(pipeline, stages, root=tmp_path, data_root=data).members
    assert member.metrics["probe/majority/accuracy"] == pytest.approx(0.1)
    assert member.metrics[f"probe/{stages[0]}/accuracy"] > 0.2
