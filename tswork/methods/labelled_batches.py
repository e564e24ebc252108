"""What batches the method `supervised` draws, and what it says about training data before it does.

| data | what happens |
| --- | --- |
| sequences without a label | take no part |
| fewer than two classes in the training part | refused |
| classes of the data without a sequence in the training part | a warning that names them; `balanced` weighs them with 0 |
| batches by class: a class whose sequences are of one group | a warning that names it: drawn together, they may teach the group |
| a contrast: a class with one sequence that is seen once in a batch | a warning that names it |
| a column that is not there, seconds without a sample rate | refused |
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from tswork.context import Context
from tswork.data.batches import Batches, Crop
from tswork.data.collection import Part
from tswork.data.faults import refuse
from tswork.data.samplers import Buckets, ClassBalanced, Sampler
from tswork.encoders.base import Encoder
from tswork.errors import DataInvalid, Problem, TsworkWarning, did_you_mean
from tswork.methods.base import sequence_batches
from tswork.methods.supervised_config import SupervisedConfig
from tswork.wording import counted, worded

NAMED = 8
"""Classes that a warning names."""


def labelled_batches(
    part: Part, label: str, config: SupervisedConfig, *, encoder: Encoder, context: Context
) -> Batches:
    """The batches of a training part. Raises `ModelUnfit` or `DataInvalid` where encoder, data and options do not fit."""
    chosen = part.known(label)
    crop = _crop(chosen, config)
    return sequence_batches(
        chosen,
        encoder=encoder,
        context=context,
        batch_size=config.batch_size,
        columns=(label,),
        sampler=_sampler(chosen, label, config, crop, context),
        crop=crop,
    )


def _crop(part: Part, config: SupervisedConfig) -> Crop | None:
    if config.crop_seconds is not None:
        return Crop(max(1, round(config.crop_seconds * _rate(part))))
    return None if config.crop_steps is None else Crop(config.crop_steps)


def _sampler(part: Part, label: str, config: SupervisedConfig, crop: Crop | None, context: Context) -> Sampler | None:
    if config.drawn == "classes":
        return ClassBalanced(
            part.codes(label),
            _groups(part, config),
            classes=config.classes_per_batch,
            items=config.items_per_class,
            seed=context.seed,
            groups_per_class=config.groups_per_class,
        )
    if config.seconds is None:
        return None
    if context.world_size > 1:
        message = "batches of similar length cannot be shared evenly among several processes"
        raise DataInvalid([Problem(message, path="sampler", remedy="Train in one process, or use another sampler.")])
    lengths = part.lengths if crop is None else part.lengths.clamp(max=crop.length)
    steps = int(config.seconds * _rate(part))
    return Buckets(lengths, steps=steps, seed=context.seed, batch_size=config.batch_size)


def _groups(part: Part, config: SupervisedConfig) -> Int[Tensor, "span"] | None:
    column = _group(part, config)
    return None if column is None else part.codes(column)


def _group(part: Part, config: SupervisedConfig) -> str | None:
    return config.group or next(iter(part.collection.groups), None)


def _rate(part: Part) -> float:
    assert part.collection.rate is not None, "`check_labelled` refuses data without a rate"
    return part.collection.rate


# What is said before training


def check_labelled(part: Part, label: str, config: SupervisedConfig) -> None:
    """Refuse a training part that does not suit (`DataInvalid`), and warn of what would mislead (`TsworkWarning`)."""
    chosen = part.known(label)
    refuse(_faults(chosen, label, config))
    for text in _doubts(chosen, label, config):
        warnings.warn(text, TsworkWarning, stacklevel=3)


def _faults(part: Part, label: str, config: SupervisedConfig) -> Iterator[Problem]:
    found = torch.unique(part.codes(label))
    if len(found) < 2:
        named = f"{counted(len(part), 'labelled sequence')} of {counted(len(found), 'class', 'classes')}"
        message = f"it has {named} in the column {label!r}, and a classifier needs two classes"
        yield Problem(message, path="train", remedy="Change the split, or name another `label:`.")
    known = [str(name) for name in part.collection.table.columns]
    if config.group is not None and config.group not in known:
        message = f"the table has no column {config.group!r}"
        yield Problem(message, path="group", remedy=did_you_mean(config.group, known))
    if part.collection.rate is None:
        for option in ("crop_seconds", "seconds"):
            if getattr(config, option) is not None:
                message = "the data have no sample rate, so that seconds mean nothing"
                yield Problem(message, path=option, remedy="Give the data a `rate:`, or use steps.")


def _doubts(part: Part, label: str, config: SupervisedConfig) -> Iterator[str]:
    codes, names = part.codes(label), part.collection.classes
    counts = torch.bincount(codes, minlength=len(names))
    absent = _named(names, counts == 0)
    if absent:
        weighed = " (`balanced` weighs them with 0)" if config.balanced else ""
        yield f"the training part has no sequence of {absent}: no model of it can tell them{weighed}"
    if config.contrasts:
        alone = _named(names, counts * config.views_per_item == 1)
        if alone:
            yield f"one sequence alone is of {alone}: a contrast draws it to itself. Set `views_per_item: 2` with `views`"
    column = _group(part, config)
    if config.drawn == "classes" and column is not None:
        single = _named(names, _groups_of(codes, part.codes(column), len(names)) == 1)
        if single:
            yield (
                f"all sequences are of one {column} in {single}: what a batch draws together there may be the {column} as"
                " much as the class. Find more, or name another `group:`"
            )


def _groups_of(codes: Int[Tensor, "span"], groups: Int[Tensor, "span"], classes: int) -> Int[Tensor, "class"]:
    """How many groups each class has; an item whose group is not known is a group of its own."""
    own = torch.where(groups >= 0, groups, groups.max().clamp(min=0) + 1 + torch.arange(len(groups)))
    pairs = torch.unique(torch.stack([codes, own]), dim=1)
    return torch.bincount(pairs[0], minlength=classes)


def _named(names: Sequence[str], chosen: Tensor) -> str:
    """`the class a`, `the classes a, b`, or nothing."""
    found = [name for name, one in zip(names, chosen.tolist(), strict=True) if one]
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return f"the {worded(len(found), 'class', 'classes')} {', '.join(found[:NAMED])}{more}" if found else ""
