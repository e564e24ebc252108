"""Views that leave covariates alone."""

from __future__ import annotations

import pytest
import torch

from tswork.augment.base import View
from tswork.augment.channels import ChangedChannels
from tswork.data.collection import DataInfo

GIVEN = View(torch.zeros(3, 5, 3), torch.full((3,), 5))
CHANGED = View(torch.ones(3, 5, 3), GIVEN.lengths, torch.ones(3, 5, dtype=torch.bool))


def test_covariates_are_put_back() -> None:
    restore = ChangedChannels(DataInfo(("hour", "load", "price"), targets=("load",)), covariates=False)
    found = restore(CHANGED, GIVEN)
    assert found.x[0, 0].tolist() == [0.0, 1.0, 0.0]
    assert found.keep is CHANGED.keep
    assert list(restore.state_dict()) == []


@pytest.mark.parametrize(
    ("targets", "covariates"), [((), False), (("load",), True), (("hour", "load", "price"), False)]
)
def test_all_channels_change_when_asked_to_or_when_all_are_targets(targets: tuple[str, ...], covariates: bool) -> None:
    restore = ChangedChannels(DataInfo(("hour", "load", "price"), targets=targets), covariates=covariates)
    assert restore(CHANGED, GIVEN) is CHANGED


def test_where_steps_are_gone_nothing_can_be_put_back() -> None:
    shorter = View(torch.ones(3, 2, 3), torch.full((3,), 2))
    assert (
        ChangedChannels(DataInfo(("hour", "load", "price"), targets=("load",)), covariates=False)(shorter, GIVEN)
        is shorter
    )
