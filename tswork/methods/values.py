"""Whether there is anything to learn of a training part's values."""

from __future__ import annotations

import torch

from tswork.data.collection import Part
from tswork.data.faults import refuse
from tswork.errors import Problem


def check_values(windows: Part) -> None:
    """Refuse training windows in which no target has a value, or none ever changes. Raises `DataInvalid`."""
    refuse(value_faults(windows))


def value_faults(windows: Part) -> list[Problem]:
    """What forbids to learn of these windows; reads no more of them than it takes to see a change."""
    collection = windows.collection
    targets = list(collection.target_index)
    low, high = torch.full((len(targets),), torch.inf), torch.full((len(targets),), -torch.inf)
    for sequence, start, stop in windows.spans[windows.lengths > 0].tolist():
        values = collection.sequence(sequence)[start:stop, targets].float().cpu()
        missing = values.isnan()
        low = torch.minimum(low, torch.where(missing, torch.inf, values).amin(dim=0))
        high = torch.maximum(high, torch.where(missing, -torch.inf, values).amax(dim=0))
        if bool((high > low).any()):
            return []
    names = ", ".join(collection.channels[index] for index in targets[:5]) + (" ..." if len(targets) > 5 else "")
    if len(windows) == 0:
        message = "no step of it has a value"
    elif bool((high < low).all()):
        message = f"no step of it has a value of a target ({names}), so that only covariates would be seen"
    else:
        message = f"every target ({names}) is constant, so that there is nothing to learn of them"
    return [Problem(message, path="train", remedy="Look at the data with `tswork data check`.")]
