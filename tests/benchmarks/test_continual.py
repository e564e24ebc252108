"""The benchmark of continual methods makes steps of all of them, on the same batch."""

from __future__ import annotations

import sys

import pytest

from benchmarks import continual


@pytest.mark.parametrize("answer", ["class", "text"])
def test_all_methods_make_steps(
    answer: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--batch", "4", "--from-memory", "2", "--clips", "16", "--memory", "8", "--seconds", "0.3"]
    tiny = ["--dim", "16", "--layers", "1", "--least", "1"]
    monkeypatch.setattr(sys, "argv", ["continual", "--answer", answer, *small, *tiny])
    continual.main()
    shown = capsys.readouterr().out
    assert "4 clips" in shown
    assert "2 of them of the memory" in shown
    names = [line.split("  ")[0] for line in shown.splitlines() if "this / er" in line]
    wanted = [name for name in continual.RIVALS if answer == "text" or "sequence" not in name]
    assert names == wanted
