"""The schema of a data block's `tasks:`: which classes are learned when."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tswork.config import Config, Many

Count = Annotated[int, Field(ge=1)]


class TasksSpec(Config):
    """How the classes of a column are divided into tasks, which methods of continual learning meet one after another."""

    column: str | None = Field(
        default=None, description="column that is divided; none: the label. All samples of a value are in one task"
    )
    sizes: Many[Count] | None = Field(
        default=None, min_length=1, description="classes of each task; none: `first` and `step` say it"
    )
    first: Count | None = Field(default=None, description="classes of the first task; none: as many as `step`")
    step: Count = Field(default=1, description="classes of each further task")
    order: Many[str] | None = Field(
        default=None, description="all classes in the order in which they are learned; none: sorted, or shuffled"
    )
    order_seed: Annotated[int, Field(ge=0)] | Literal["seed"] | None = Field(
        default=None, description="shuffles the classes by this seed, or by that of the pipeline (`seed`); none: sorted"
    )

    @model_validator(mode="after")
    def _one_order(self) -> TasksSpec:
        if self.order is not None and self.order_seed is not None:
            raise ValueError("`order` and `order_seed` both say in which order classes are learned")
        return self

    def drawn(self, seed: int) -> TasksSpec:
        """The same for a pipeline of this seed."""
        return self.model_copy(update={"order_seed": seed}) if self.order_seed == "seed" else self
