"""Bugs of views."""

from __future__ import annotations

import torch

from tswork.augment.base import View
from tswork.config import configure


def test_cutting_out_a_stretch_keeps_missing_values_missing() -> None:
    """They became zeros, which are values."""
    x = torch.full((1, 10, 1), torch.nan)
    view = configure("view", {"uses": "cutout", "share": 1.0}).build()
    changed = view(View(x, torch.tensor([10])), generator=torch.Generator().manual_seed(0))
    assert changed.x.isnan().all()


def test_subsequences_of_equal_sequences_have_no_padding() -> None:
    """Zeros stayed behind them, which batch-norm encoders took for data."""
    view = configure("view", {"uses": "subsequence", "share": 0.5}).build()
    given = View(torch.randn(3, 10, 1), torch.full((3,), 10))
    assert view(given, generator=torch.Generator().manual_seed(0)).x.shape == (3, 5, 1)
