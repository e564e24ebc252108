"""iCaRL: old classes are distilled, exemplars are kept, and the nearest mean of exemplars answers.

Rebuffi et al., "iCaRL: Incremental Classifier and Representation Learning", CVPR 2017. The encoder is trained by a layer of sigmoid
outputs, one a class, on new samples and the memory in one pool (`tswork.objectives.icarl`): classes of the task as the labels say,
classes that came before as the outputs of the frozen model at the end of the previous task. Outputs serve training alone; the model
classifies by means (`tswork.methods.nearest_mean`).

| | here | paper |
| --- | --- | --- |
| exemplars | herding on unit embeddings, as many a class as `growth: growing` gives | the same |
| outputs of classes that have not come | there, and left out of the loss | are added |
| loss | mean over samples of the sum over classes | sums |
| the teacher's outputs | made once a task, of the samples as they are, without the `views` | made once a task |
| optimiser | AdamW, `epochs` a task | SGD with a rate that falls in steps |
| mirrored images | nothing is mirrored: a series that runs backwards is another one | some libraries average their features in |

Its outputs are not a softmax, so it learns otherwise than `er` from the first task on.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn

from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import Part
from tswork.data.memory import Growth
from tswork.data.rehearsal import PART_ROW, RehearsalPart
from tswork.encoders.pooling import pooled_dim
from tswork.methods.answers import read
from tswork.methods.model import Model, label_column
from tswork.methods.nearest_mean import ByMeans, ByMeansConfig
from tswork.methods.teacher import looked_up
from tswork.objectives.icarl import yes_or_no
from tswork.registry import register
from tswork.training.distributed import of_all


class IcarlConfig(ByMeansConfig):
    growth: Growth = Field(
        default="growing",
        description="a class's share: among all classes there will be, or (growing) those seen so far",
    )


@register("method", "icarl", version=1, config=IcarlConfig)
class Icarl(ByMeans[IcarlConfig]):
    """Distilled sigmoid outputs, herded exemplars, and their nearest mean (iCaRL, CVPR 2017)."""

    _taught: Float[Tensor, "span class"] | None = None
    _learned: Bool[Tensor, "class"]
    _distilled: Bool[Tensor, "class"]

    def add_heads(self, model: Model) -> None:
        width = pooled_dim(model.encoder, self.config.pooling)
        output = nn.Linear(width, len(model.info.classes))
        model.heads["outputs"] = nn.Sequential(nn.Dropout(self.config.dropout), output)

    @property
    def wants_teacher(self) -> bool:
        return True

    def prepare(self, model: Model, rehearsed: Part, context: Context) -> None:
        """Tell classes that are learned from those that are distilled."""
        self._taught = None
        super().prepare(model, rehearsed, context)
        assert isinstance(rehearsed, RehearsalPart)
        codes = rehearsed.codes(label_column(model))
        classes = len(model.info.classes)
        new, old = (
            _present(of, classes).to(context.device) for of in codes.split([rehearsed.new, rehearsed.remembered])
        )
        self._learned, self._distilled = new, old & ~new

    def lesson(self, teacher: Model, rehearsed: RehearsalPart, context: Context) -> None:
        """Let the teacher hear everything once."""
        super().lesson(teacher, rehearsed, context)
        self._taught = looked_up(
            teacher, rehearsed, context, lambda x, lengths: teacher.heads["outputs"](teacher.embed(x, lengths))
        )

    def terms(self, model: Model, batch: Batch, context: Context) -> Mapping[str, Float[Tensor, ""]]:
        _, vectors = read(model, batch, self.view(batch, context))
        loss = yes_or_no(
            model.heads["outputs"](vectors),
            batch.codes[label_column(model)],
            None if self._taught is None else self._taught[batch.codes[PART_ROW]],
            learned=self._learned,
            distilled=self._distilled,
            divisor=of_all,
        )
        return {"loss": loss}


def _present(codes: Tensor, classes: int) -> Bool[Tensor, "class"]:
    """Which classes occur. The memory holds some of every class that came, so it knows which are old."""
    return torch.bincount(codes[codes >= 0], minlength=classes) > 0
