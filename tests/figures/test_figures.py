"""Figures are pure functions: they draw what the tables hold and leave no state behind."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from tswork.figures.accuracy_matrix import accuracy_map
from tswork.figures.confusion import confusion_matrix
from tswork.figures.curves import training_curves
from tswork.figures.files import write_figure
from tswork.figures.forecasts import example_forecasts
from tswork.figures.learned_view import learned_view


def drawn(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=50, metadata={"Software": None})
    return file.getvalue()


def predictions(
    origins: int = 5, horizons: tuple[int, ...] = (4, 8), targets: tuple[str, ...] = ("y",)
) -> pd.DataFrame:
    lines = [
        (row, horizon, 0, 10 * origin, step, target, float(step), float(step + shift))
        for shift, row in enumerate(("ours", "persistence"))
        for horizon in horizons
        for origin in range(origins)
        for step in range(1, horizon + 1)
        for target in targets
    ]
    names = ["row", "horizon", "sequence", "origin", "step", "target", "truth", "prediction"]
    return pd.DataFrame(lines, columns=names)


def test_forecasts_are_shown_from_evenly_spread_origins() -> None:
    figure = example_forecasts(predictions(), examples=3)
    assert [panel.get_title(loc="right") for panel in figure.axes] == [
        "from step 0",
        "from step 20",
        "from step 40",
    ]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["truth", "persistence", "ours"]
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert np.asarray(lines["ours"].get_ydata()).tolist() == [1, 2, 3, 4]


def test_a_control_beside_persistence_is_grey_as_that_is_and_dotted() -> None:
    table = predictions()
    best = table[table["row"] == "persistence"].assign(row="ridge")
    figure = example_forecasts(pd.concat([table, best]), control="ridge")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["truth", "persistence", "ridge", "ours"]
    looks = {line.get_label(): line for line in figure.axes[0].lines}
    assert looks["ridge"].get_color() == looks["persistence"].get_color() != looks["ours"].get_color()
    assert [looks[row].is_dashed() for row in ("ridge", "persistence", "ours")] == [True, True, False]


def test_history_stands_before_the_forecast() -> None:
    past = pd.DataFrame({"sequence": 0, "origin": 20, "step": range(-8, 1), "target": "y", "value": 7.0})
    figure = example_forecasts(predictions(), past, horizon=8)
    assert len(figure.axes) == 1
    truth = next(line for line in figure.axes[0].lines if line.get_label() == "truth")
    assert np.asarray(truth.get_xdata()).tolist() == list(range(-7, 9))


def test_a_horizon_without_forecasts_is_refused() -> None:
    with pytest.raises(ValueError, match="no forecasts with horizon 5; there are 4, 8"):
        example_forecasts(predictions(), horizon=5)


@pytest.mark.parametrize("classes", [2, 8, 45])
def test_confusion_matrices_of_any_size_are_drawn(classes: int) -> None:
    names = [f"class {index}" for index in range(classes)]
    counts = np.random.default_rng(0).integers(0, 9, size=classes * classes)
    table = pd.DataFrame({"truth": np.repeat(names, classes), "predicted": np.tile(names, classes), "count": counts})
    figure = confusion_matrix(table, title="ours")
    assert len(figure.axes[0].texts) == (int((counts > 0).sum()) if classes <= 20 else 0)
    assert drawn(figure) == drawn(confusion_matrix(table, title="ours"))


@pytest.mark.parametrize("tasks", [1, 3, 31])
def test_accuracy_matrices_show_what_was_seen_so_far(tasks: int) -> None:
    matrix = np.random.default_rng(0).random((tasks, tasks))
    figure = accuracy_map(matrix, title="er")
    texts = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
    seen = {(task, time): f"{100 * matrix[time, task]:.0f}" for time in range(tasks) for task in range(time + 1)}
    assert texts == (seen if tasks <= 20 else {})
    above = np.triu(np.full_like(matrix, np.nan), 1)
    assert drawn(figure) == drawn(accuracy_map(matrix + above, title="er")), (
        "what is above the diagonal does not matter"
    )


@pytest.mark.parametrize("points", [1, 3, 400])
def test_curves_of_any_length_are_drawn(points: int) -> None:
    figure = training_curves({"loss": [(step, 1 / (step + 1)) for step in range(points)]})
    assert drawn(figure)


def test_no_global_figures_are_left() -> None:
    import matplotlib.pyplot as plt

    example_forecasts(predictions())
    assert plt.get_fignums() == []


def test_a_learned_view_shows_series_and_view_mask_and_transform_of_the_last_channels() -> None:
    x = np.arange(20.0)[:, None] * np.ones((1, 6))
    h, g = (x % 2 == 0).astype(float), np.full_like(x, 1.5)
    figure = learned_view(x, g * h * x, h, g, [f"c{number}" for number in range(6)])
    top = figure.axes[:4]
    assert [panel.get_title() for panel in top] == ["c2", "c3", "c4", "c5"]
    lines = {line.get_label(): np.asarray(line.get_ydata()) for line in top[0].lines}
    assert lines["series x"].tolist() == x[:, 0].tolist()
    assert lines["view g h x"].tolist() == (1.5 * h * x)[:, 0].tolist()
    assert [panel.get_ylabel() for panel in figure.axes[::4]] == ["value", "mask h", "transform g"]
    assert drawn(figure) == drawn(learned_view(x, g * h * x, h, g, [f"c{number}" for number in range(6)]))


def test_a_single_point_of_a_curve_is_seen() -> None:
    (line,) = training_curves({"encoder": [(0, 1.0)]}, title="Training of autotcl").axes[0].lines
    assert line.get_marker() == "o"
    (line,) = training_curves({"encoder": [(step, 1.0) for step in range(100)]}).axes[0].lines[1:]
    assert line.get_marker() == ""


def test_what_the_two_lines_of_a_curve_are_is_said_where_there_are_two() -> None:
    points = [(step, 1.0) for step in range(100)]
    notes = [training_curves({"loss": points[:count]}).axes[0].get_xlabel() for count in (3, 100)]
    assert notes == ["step", "step; thin: as recorded; thick: running median"]


def test_the_running_median_of_a_falling_curve_begins_and_ends_where_the_curve_does() -> None:
    points = [(step, 1 / (step + 1)) for step in range(400)]
    _, smooth = training_curves({"loss": points}).axes[0].lines
    height = np.asarray(smooth.get_ydata())
    np.testing.assert_allclose(height, [value for _, value in points])  # the median of what falls is its middle
    assert (np.diff(height) < 0).all()


def test_new_tasks_are_marked_on_the_curves() -> None:
    figure = training_curves({"loss": [(step, 1.0) for step in range(30)]}, borders=(10, 20))
    places = [np.asarray(line.get_xdata())[0] for line in figure.axes[0].lines if line.get_linestyle() != "-"]
    assert places == [10, 20]
    assert figure.axes[0].get_xlabel().endswith("dotted: a new task")


def test_forecasts_of_times_say_when_they_start_and_of_many_targets_that_there_are_more() -> None:
    table = predictions(origins=1, horizons=(4,), targets=("a", "b", "c", "d"))
    table["time"] = pd.Timestamp("2024-05-01 06:00") + pd.to_timedelta(table["step"], unit="h")
    figure = example_forecasts(table)
    assert [panel.get_title() for panel in figure.axes] == ["a", "b", "c"]
    assert figure.axes[0].get_title(loc="right") == "from 2024-05-01 07:00"
    assert figure.legends[0].get_title().get_text() == "Forecasts of 4 steps, 3 of 4 targets"


def test_a_class_called_by_a_sign_that_the_font_lacks_is_drawn_without_a_remark(tmp_path: Path) -> None:
    pairs = pd.DataFrame({"truth": ["\N{PARTY POPPER}"], "predicted": ["\N{PARTY POPPER}"], "count": [1]})
    write_figure(confusion_matrix(pairs, title="ours"), tmp_path / "confusion.png")
    assert (tmp_path / "confusion.png").stat().st_size > 0
