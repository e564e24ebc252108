"""Nobody changes what a component computes without raising its version."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from tests.golden.store import VALUES, entry, house, name_of
from tswork.errors import PackageMissing
from tswork.registry import Component

STORE = "python -m tests.golden.store"
STORED: dict[str, Any] = json.loads(VALUES.read_text())


def complaint(name: str, stored: dict[str, Any] | None, now: dict[str, Any]) -> str | None:
    """What is wrong between the stored entry of a component and its present one."""
    if stored is None:
        return f"{name} has no stored results: store them with `{STORE}`"
    before, after = stored["values"], now["values"]
    alike = before.keys() == after.keys() and all(
        math.isclose(before[key], value, rel_tol=2e-3, abs_tol=2e-4) for key, value in after.items()
    )
    if stored["version"] != now["version"]:
        return f"the version of {name} is {now['version']}, stored is {stored['version']}: store with `{STORE}`"
    if not alike:
        return f"results of {name} changed: bump its version (and then store the new values with `{STORE}`)"
    return None


@pytest.mark.parametrize("component", house(), ids=name_of)
def test_results_are_those_of_the_version(component: Component) -> None:
    try:
        now = entry(component)
    except PackageMissing as missing:
        pytest.skip(str(missing))
    said = complaint(name_of(component), STORED.get(name_of(component)), now)
    assert said is None, said


def test_nothing_is_stored_of_components_that_are_gone() -> None:
    assert set(STORED) <= {name_of(component) for component in house()}, f"store anew with `{STORE}`"


def test_a_change_without_a_new_version_is_noticed() -> None:
    known = {"version": 1, "values": {"mean": 0.5}}
    assert complaint("view x", known, {"version": 1, "values": {"mean": 0.5003}}) is None
    changed = complaint("view x", known, {"version": 1, "values": {"mean": 0.51}})
    assert changed is not None
    assert changed.startswith("results of view x changed: bump its version (and then store the new values with")
    assert "has no stored results" in (complaint("view x", None, known) or "")
    assert "is 2, stored is 1" in (complaint("view x", known, {"version": 2, "values": {"mean": 0.51}}) or "")
