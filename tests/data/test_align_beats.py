"""Heart beats: those of a synthetic electrocardiogram are all found where they are, aligned ones are equal, and trials are whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tswork.config import configure
from tswork.data.collection import Affine, Collection
from tswork.data.prepare.r_peaks import r_peaks
from tswork.errors import DataInvalid, TsworkWarning

RATE = 250.0
WAVES = ((-0.17, 0.12, 0.025), (0.0, 1.0, 0.011), (0.035, -0.25, 0.012), (0.25, 0.35, 0.05))
"""P, R, S and T wave: seconds from the R peak, height, and width."""


def heart(at: np.ndarray, steps: int, leads: np.ndarray, rate: float = RATE) -> np.ndarray:
    """An electrocardiogram with R peaks at these steps; each lead sees it with a height of its own."""
    time = (np.arange(steps)[:, None] - at) / rate
    beats = [height * np.exp(-((time - place) ** 2) / (2 * width**2)) for place, height, width in WAVES]
    found: np.ndarray = np.sum(beats, axis=0).sum(1)[:, None] * leads
    return found


def irregular(seed: int, seconds: float = 38.4, interval: float = 0.8, spread: float = 0.05) -> tuple[np.ndarray, int]:
    """Whole steps of beats whose intervals vary, and the length of the recording."""
    draw = np.random.default_rng(seed)
    gaps = np.maximum(interval * (1 + spread * draw.normal(size=200)), 0.3)
    at = np.rint((0.4 + gaps.cumsum()) * RATE).astype(int)
    steps = round(seconds * RATE)
    return at[at < steps - 60], steps


def align(collection: Collection, **options: Any) -> Collection:
    found: Collection = configure("preparation", {"uses": "align_beats", **options}).build().apply(collection)
    return found


def recordings(cases: list[np.ndarray], **fields: Any) -> Collection:
    table = pd.DataFrame(
        {"id": [f"r{row}" for row in range(len(cases))], "patient": [f"p{row}" for row in range(len(cases))]}
    )
    sequences = [case.astype(np.float32) for case in cases]
    return Collection.from_sequences(sequences, **{"rate": RATE, "table": table, **fields})


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000), interval=st.floats(0.45, 1.4), noise=st.sampled_from([0.0, 0.03, 0.06]),
    leads=st.integers(1, 15),
)  # fmt: skip
def test_all_beats_are_found_and_nothing_else(seed: int, interval: float, noise: float, leads: int) -> None:
    draw = np.random.default_rng(seed)
    at, steps = irregular(seed, 20.0, interval)
    heights = draw.uniform(0.3, 2, leads) * draw.choice([-1, 1], leads)
    x = heart(at, steps, heights)
    x += 0.5 * np.sin(2 * np.pi * 0.25 * np.arange(steps) / RATE)[:, None]  # breathing
    x += noise * draw.normal(size=x.shape) * np.abs(heights)
    found = r_peaks(x, rate=RATE)
    assert found.shape == (len(at), leads)
    assert np.abs(np.median(found, axis=1) - at).max() <= 2


def test_a_beat_that_one_lead_lacks_does_not_shift_the_others_and_flat_leads_take_no_part() -> None:
    at, steps = irregular(0)
    x = heart(at, steps, np.array([1.0, 0.7, -1.2, 0.0, 1.0]))
    x[at[7] - 20 : at[7] + 20, 0] = 0
    x[:, 4] = np.random.default_rng(0).normal(size=steps)  # a lead that fell off
    found = r_peaks(x, rate=RATE)
    assert len(found) == len(at)
    assert (found[:, 3] == -1).all()
    for lead in (1, 2):
        assert np.abs(found[:, lead] - at).max() <= 1
    assert np.abs(np.delete(found[:, 0], 7) - np.delete(at, 7)).max() <= 1


@pytest.mark.parametrize("steps", [0, 1, 20, 60, 500])
def test_what_is_too_short_or_flat_has_no_beats(steps: int) -> None:
    assert r_peaks(np.full((steps, 2), 5.0), rate=RATE).shape == (0, 2)
    if steps < 30:
        assert r_peaks(np.random.default_rng(0).normal(size=(steps, 2)), rate=RATE).shape == (0, 2)


@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_nothing_is_found_before_the_electrodes_are_connected(noise: float) -> None:
    at, steps = irregular(2)
    x = heart(at, steps, np.ones(1))
    x[:4000] = noise * np.random.default_rng(0).normal(size=(4000, 1))
    found = r_peaks(x, rate=RATE)[:, 0]
    assert np.abs(found - at[at > 4060]).max() <= 1


def test_an_artefact_hides_only_what_it_covers() -> None:
    at, steps = irregular(3)
    x = heart(at, steps, np.ones(3))
    x[3000:3050] += 100.0
    found = np.median(r_peaks(x, rate=RATE), axis=1)
    away = at[(at < 2900) | (at > 3150)]
    assert max(np.abs(found - one).min() for one in away) <= 1


def test_aligned_beats_of_a_regular_heart_are_equal_and_filled_up_on_both_sides() -> None:
    at = 150 + 200 * np.arange(25)
    x = heart(np.arange(-250, 5600, 200), 5200, np.array([1.0, -0.5, 2.0]))
    found = align(recordings([x]))
    assert found.lengths.tolist() == [3000, 3000]
    assert found.values.dtype == torch.float32
    beats = found.values.reshape(20, 300, 3)
    wanted = x[at[0] - 100 : at[0] + 100]
    np.testing.assert_array_equal(beats[0, 50:250].numpy(), wanted.astype(np.float32))
    torch.testing.assert_close(beats, beats[:1].expand_as(beats), atol=1e-6, rtol=0)
    assert not beats[:, :50].any()
    assert not beats[:, 250:].any()
    assert beats[0, :, 0].argmax() == 150, "the R peak stands in the middle"


def test_beats_have_the_width_of_the_median_interval_and_follow_each_other() -> None:
    at, steps = irregular(1)
    x = heart(at, steps, np.array([1.0, 0.8]))
    found = align(recordings([x]), beats=7)
    width = round(float(np.median(np.diff(at))))
    inside = at[(at >= width // 2) & (at - width // 2 + width <= steps)]
    beats = found.values.reshape(-1, 300, 2)
    assert len(beats) == len(inside) // 7 * 7
    left = 150 - width // 2
    for beat, centre in zip(beats, inside, strict=False):
        np.testing.assert_array_equal(
            beat[left : left + width].numpy(), x[centre - width // 2 :][:width].astype(np.float32)
        )


def test_trials_know_their_recording_and_beats_their_trial() -> None:
    cases = [heart(*irregular(seed), np.array([1.0])) for seed in (1, 2)]
    trials = align(recordings(cases, groups=("patient",)))
    assert trials.table["trial"].tolist() == trials.table["id"].tolist()
    assert trials.table["trial"].tolist()[:2] == ["r0/0", "r0/1"]
    assert set(trials.table["recording"]) == {"r0", "r1"}
    beats = configure("preparation", {"uses": "segment", "steps": 300}).build().apply(trials)
    assert beats.table["trial"].tolist() == [trial for trial in trials.table["trial"] for _ in range(10)]
    assert beats.table["recording"].nunique() == 2
    assert (beats.groups, beats.rate) == (("patient",), RATE)


def test_the_published_recipe_gives_trials_of_3000_steps_and_leaves_the_filling_at_zero() -> None:
    at, steps = irregular(4, 38.4)
    fine = np.repeat(heart(at, steps, np.linspace(0.5, 2, 15)), 4, axis=0)  # 1000 Hz
    collection = recordings([fine], rate=1000.0)
    for step in (
        {"uses": "resample", "rate": 250.0, "method": "linear"}, "standard_score", "align_beats",
        {"uses": "standard_score", "zeros": "leave"},
    ):  # fmt: skip
        collection = configure("preparation", step).build().apply(collection)
    assert collection.values.shape == (len(collection) * 3000, 15)
    first = collection.sequence(0)
    live = first.any(dim=1)
    width = round(float(np.median(np.diff(at))))
    assert int(live.sum()) == 10 * width
    torch.testing.assert_close(first[live].mean(0), torch.zeros(15), atol=1e-4, rtol=0)


def test_slow_hearts_and_recordings_with_too_few_beats_are_named_and_left_out() -> None:
    slow = heart(np.arange(200, 9000, 310), 9600, np.ones(1))
    few = heart(200 + 200 * np.arange(8), 2000, np.ones(1))
    good = heart(200 + 200 * np.arange(12), 2800, np.ones(1))
    with pytest.warns(TsworkWarning) as warned:
        found = align(recordings([slow, good, few], affine=Affine(torch.arange(3.0)[:, None], torch.zeros(3, 1))))
    assert str(warned[0].message) == (
        "align_beats leaves out 1 of 3 recordings with a median RR interval above 300 steps: r0; 1 of 3 recordings with fewer"
        " than 10 whole beats: r2"
    )
    assert found.table["recording"].tolist() == ["r1"]
    assert found.affine is not None
    assert found.affine.scale.tolist() == [[1.0]]
    with pytest.raises(DataInvalid) as refused:
        align(recordings([slow, few]))
    assert str(refused.value) == (
        "data.prepare: 'align_beats' leaves no recording: 1 of 2 recordings with a median RR interval above 300 steps: r0; 1 of"
        " 2 recordings with fewer than 10 whole beats: r1. Look at `rate`, or give other `steps` and `beats`."
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"rate": 49.0}, "data.rate: 'align_beats' needs 50 samples a second or more to find beats; there are 49"),
        ({"rate": None}, "data.rate: 'align_beats' needs to know how many samples a second there are. Give `rate:`, or name time stamps with `time:`."),
        ({"values": torch.full((2800, 1), torch.nan)}, "data.missing: 'align_beats' cannot go over missing values; there are some in r0. Give `missing: interpolate`."),
        ({"table": pd.DataFrame({"id": ["r0"], "trial": [1]})}, "data.prepare: 'align_beats' writes a column 'trial', and the table has one already. Name another one, or call that of the table otherwise with `columns: {NAME: trial}`."),
    ],
)  # fmt: skip
def test_what_cannot_be_aligned_is_refused(change: dict[str, Any], told: str) -> None:
    collection = recordings([heart(200 + 200 * np.arange(12), 2800, np.ones(1))]).replaced(**change)
    with pytest.raises(DataInvalid) as refused:
        align(collection)
    assert str(refused.value) == told


@pytest.mark.real_data
def test_beats_of_mit_bih_record_100_are_those_of_its_annotations(data_root: Path) -> None:
    wfdb = pytest.importorskip("wfdb")
    record = wfdb.rdrecord(str(data_root / "wfdb_samples" / "mitdb" / "100"))
    marks = wfdb.rdann(str(data_root / "wfdb_samples" / "mitdb" / "100"), "atr")
    at = marks.sample[[symbol in "NAV" for symbol in marks.symbol]]
    assert len(at) == 2273
    found = np.median(r_peaks(record.p_signal, rate=float(record.fs)), axis=1)
    near = 0.05 * record.fs
    assert np.mean([np.abs(found - one).min() <= near for one in at]) > 0.999
    assert np.mean([np.abs(at - one).min() <= near for one in found]) == 1.0


@pytest.mark.real_data
def test_a_record_of_ptb_gives_the_same_beats_at_1000_and_at_250_samples_a_second(data_root: Path) -> None:
    wfdb = pytest.importorskip("wfdb")
    record = wfdb.rdrecord(str(data_root / "wfdb_samples" / "ptbdb" / "s0010_re"))
    fine = np.median(r_peaks(record.p_signal, rate=1000.0), axis=1)
    coarse = np.median(r_peaks(record.p_signal[::4], rate=250.0), axis=1)
    assert len(fine) == len(coarse) == 52
    assert np.abs(coarse * 4 - fine).max() <= 8
    found = align(recordings([record.p_signal[::4]]))
    assert found.lengths.tolist() == [3000] * 5
