"""TS-TCC's temporal contrast: pick the future of a sequence among the futures of the batch.

Paper: Eldele et al., "Time-Series Representation Learning via Temporal and Contextual Contrasting", IJCAI 2021, equations 1 and 2.
A context of one view predicts frames of the other view, one linear map a step ahead; at each step the prediction is to be
told by its dot product with the true frame among the frames of the batch at that step.

| | paper (`among: futures`) | released code (`among: predictions`) |
| --- | --- | --- |
| the softmax runs over | the frames of the batch, for each prediction | the predictions of the batch, for each frame |
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tswork.precision import wide

Rivals = Literal["futures", "predictions"]


def future_contrast(
    predicted: Float[Tensor, "batch step dim"],
    actual: Float[Tensor, "batch step dim"],
    *,
    valid: Bool[Tensor, "batch step"] | None = None,
    among: Rivals = "futures",
) -> Float[Tensor, ""]:
    """Mean cross entropy over sequences and steps, in float32 or wider, also under autocast; 0 for a batch of one.

    A step that is not `valid` (None: all are) lies behind the end of its sequence: it is neither predicted nor a candidate. Without
    any valid step the loss is 0.

    >>> z = torch.eye(4)[:, None]
    >>> round(future_contrast(z, z).item(), 6)  # log(1 + 3 / e)
    0.743668
    """
    with torch.autocast(predicted.device.type, enabled=False):
        rows, columns = (wide(z).transpose(0, 1) for z in (predicted, actual))
        scores = torch.bmm(rows, columns.transpose(1, 2))
        if among == "predictions":
            scores = scores.transpose(1, 2)
        if valid is None:
            return -scores.log_softmax(dim=2).diagonal(dim1=1, dim2=2).mean()
        own = torch.eye(len(valid), dtype=torch.bool, device=valid.device)
        real = valid.T
        # The own candidate stays even in a row that does not count, so that no softmax is over nothing.
        scores = scores.masked_fill(~(real[:, None, :] | own), -torch.inf)
        surprise = -scores.log_softmax(dim=2).diagonal(dim1=1, dim2=2)
        return torch.where(real, surprise, 0.0).sum() / real.sum().clamp(min=1)
