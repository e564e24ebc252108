"""The encoder that the tutorial writes in one file works, and the tutorial shows that file."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from tswork.config import configure
from tswork.encoders.checking import check_encoder

TUTORIALS = Path(__file__).parents[2] / "docs" / "tutorials"


def test_the_encoder_of_the_tutorial_passes_its_check() -> None:
    spec = importlib.util.spec_from_file_location("moving_average", TUTORIALS / "moving_average.py")
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    block = configure("encoder", {"uses": "moving_average", "window": 3})
    check_encoder(lambda info: block.build(info))


def test_the_tutorial_includes_the_file_itself() -> None:
    assert '--8<-- "docs/tutorials/moving_average.py"' in (TUTORIALS / "encoder.md").read_text()
