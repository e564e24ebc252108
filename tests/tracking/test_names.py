"""Names of ours as MLflow takes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils.validation import _validate_metric_name, _validate_param_name, _validate_tag_name

from tswork.tracking.names import MAX_NAME, artifact_name, first_line, folder_name, slug


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("forecast/ts2vec/mse@h24", "forecast/ts2vec/mse.h24"),
        ("forecast/ts2vec+lags/mse", "forecast/ts2vec_lags/mse"),
        ("probe/ts2vec/f1@Bären & Füchse", "probe/ts2vec/f1.Bären _ Füchse"),
        ("probe/ts2vec/f1@../..", "probe/ts2vec/f1.../_"),
        ("tune/comet/macro_f1@10%", "tune/comet/macro_f1.10percent"),
        ("a//b/", "a/_/b/_"),
        ("stages.ts2vec.encoder.dim", "stages.ts2vec.encoder.dim"),
    ],
)
def test_names_keep_what_mlflow_takes(name: str, taken: str) -> None:
    assert slug(name) == taken


@given(st.text(min_size=1, max_size=400))
def test_any_name_becomes_one_that_mlflow_takes(name: str) -> None:
    _validate_metric_name(slug(name))
    _validate_param_name(slug(name))
    _validate_tag_name(slug(name))
    assert slug(slug(name)) == slug(name)


def test_long_names_that_differ_stay_different() -> None:
    first, second = slug("x" * 300 + "1"), slug("x" * 300 + "2")
    assert first != second
    assert len(first) == len(second) == MAX_NAME


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/passwd", "~/x", "C:/x", "a\\..\\x", "\\x"])
def test_artifacts_outside_of_the_run_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a relative path inside the run's artifacts"):
        artifact_name(name)


@given(st.text(min_size=1))
def test_an_artifact_stays_inside_or_is_refused(name: str) -> None:
    try:
        path = artifact_name(name)
    except ValueError:
        return
    assert not path.startswith("/")
    assert ".." not in path.split("/")


@given(st.text())
def test_any_text_is_one_folder(name: str) -> None:
    assert folder_name(name) not in ("", ".", "..")
    assert "/" not in folder_name(name)


def test_of_a_database_what_it_refused_is_told_and_not_what_its_library_says_of_itself() -> None:
    text = "(raised as a result of autoflush; consider another)\n(sqlite3.OperationalError) attempt to write a readonly database\n[SQL: INSERT]"
    assert first_line(RuntimeError(text)) == "attempt to write a readonly database"
    assert first_line(RuntimeError("no such host\nmore")) == "no such host"
