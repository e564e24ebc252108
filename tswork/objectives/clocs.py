"""CLOCS: vectors of one patient are drawn together, those of different patients are negatives.

Paper: Kiyasseh et al., "CLOCS: Contrastive Learning of Cardiac Signals Across Space, Time, and Patients", ICML 2021, section 3.
Written from the formula. With cosines over a temperature, s_ij of vector i of the first view and vector j of the second,

    own pairs (i, i):            mean over i of   log sum_m exp(s_im) - s_ii
    pairs of one patient (i, j): mean over i != j of the same patient of   log sum_m exp(s_im) - s_ij

each also with the views exchanged: four terms, whose mean is the loss. Without two sequences of one patient in a batch the two
terms of own pairs are left.

| | paper (`pairs: all`) | released code (`pairs: later`) |
| --- | --- | --- |
| pairs of one patient | all | those whose anchor comes earlier in the batch: the loss depends on its order |
| the four terms | added | averaged (here in both: a factor of the loss alone) |
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from tswork.precision import wide

Pairs = Literal["all", "later"]


def patient_contrast(
    z1: Float[Tensor, "batch dim"],
    z2: Float[Tensor, "batch dim"],
    patient: Int[Tensor, "batch"],
    *,
    temperature: float = 0.1,
    pairs: Pairs = "all",
) -> Float[Tensor, ""]:
    """The mean of the four terms, in float32 or wider, also under autocast; 0 for a batch of one.

    `patient` is a code a sequence; -1 (unknown) is nobody's patient, so that only its own pair remains.

    >>> z = torch.eye(4)
    >>> round(patient_contrast(z, z, torch.arange(4), temperature=1.0).item(), 6)  # log(1 + 3 / e)
    0.743668
    """
    with torch.autocast(z1.device.type, enabled=False):
        first, second = (functional.normalize(wide(z), dim=-1) for z in (z1, z2))
        similarities = first @ second.T / temperature
        others = _of_one_patient(patient)
        if pairs == "later":
            others = others.triu(diagonal=1)
        count = others.sum()
        own, together = [], []
        for anchored in (similarities, similarities.T):
            surprise = -anchored.log_softmax(dim=1)
            own.append(surprise.diagonal().mean())
            together.append(torch.where(others, surprise, 0.0).sum() / count.clamp(min=1))
        present = (count > 0).to(first.dtype)  # without a pair its terms are 0 and take no part in the mean
        return (torch.stack(own).sum() + torch.stack(together).sum()) / (2 + 2 * present)


def _of_one_patient(patient: Int[Tensor, "batch"]) -> Tensor:
    """Which two different sequences are known to be of one patient."""
    same = (patient[:, None] == patient) & (patient >= 0)
    return same & ~torch.eye(len(patient), dtype=torch.bool, device=patient.device)
