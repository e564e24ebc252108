"""Weights as safetensors: the tensors of a module, a file of them, and the way back.

safetensors refuses tensors that share memory and those that are not contiguous; here tied tensors are stored once under
their first name, and the others are listed as its aliases.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from tswork.disk import disk_errors
from tswork.encoders.base import Encoder
from tswork.errors import ModelUnfit

ALIASES = "aliases"


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers by name, without a copy and without gradients."""
    return {name: tensor.detach() for name, tensor in module.state_dict().items()}


def fixed_names(module: nn.Module) -> frozenset[str]:
    """Names of the tensors that building the module gives and training never changes: frozen weights of checkpoints."""
    encoders = [(name, one) for name, one in module.named_modules() if isinstance(one, Encoder)]
    return frozenset(f"{place}.{name}" if place else name for place, one in encoders for name in one.fixed_weights())


def changing_weights_of(module: nn.Module) -> dict[str, Tensor]:
    """What a checkpoint of a training has to hold: `weights_of` without the fixed ones."""
    fixed = fixed_names(module)
    return {name: tensor for name, tensor in weights_of(module).items() if name not in fixed}


def copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies that later training steps do not change."""
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def load_changing_weights(module: nn.Module, tensors: Mapping[str, Tensor], *, source: str) -> None:
    """Put back what `changing_weights_of` gave; fixed weights stay as the module was built. Raises `ModelUnfit`."""
    load_weights(module, tensors, source=source, absent=fixed_names(module))


def load_weights(
    module: nn.Module, tensors: Mapping[str, Tensor], *, source: str, absent: Collection[str] = ()
) -> None:
    """Put every tensor in its place. Buffers take the stored shape, because queues and memories grow.

    Names that are `absent` may be missing.

    Raises `ModelUnfit` that names every missing, unknown or differently shaped tensor; the module is then unchanged.
    """
    own = module.state_dict()
    parameters = dict(module.named_parameters())
    faults = [f"{name} is missing" for name in own if name not in tensors and name not in absent]
    faults += [f"{name} is unknown to the model" for name in tensors if name not in own]
    faults += [
        f"{name} has shape {tuple(tensors[name].shape)}, the model's has {tuple(parameter.shape)}"
        for name, parameter in parameters.items()
        if name in tensors and tensors[name].shape != parameter.shape
    ]
    if faults:
        raise ModelUnfit(source, "its weights do not fit the model: " + "; ".join(faults))
    for name, tensor in tensors.items():
        if own[name].shape != tensor.shape:
            path, _, buffer = name.rpartition(".")
            setattr(module.get_submodule(path), buffer, torch.empty_like(tensor, device=own[name].device))
    module.load_state_dict(dict(tensors), strict=not absent)


def write_weights(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file; equal tensors give an equal file, byte for byte. Raises `OSError` when the disk refuses."""
    from safetensors.torch import save_file

    stored: dict[str, Tensor] = {}
    aliases: dict[str, str] = {}
    first: dict[tuple[object, ...], str] = {}
    for name in sorted(tensors):
        tensor = tensors[name]
        place = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype, tensor.device)
        if tensor.numel() and place in first:
            aliases[name] = first[place]
        else:
            first[place] = name
            # Partly overlapping tensors share storage too; a fresh copy never does.
            stored[name] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    # One metadata entry only: safetensors does not keep the order of several.
    with disk_errors(path):
        save_file(stored, path, metadata={ALIASES: json.dumps(aliases, sort_keys=True)})


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by `write_weights`; aliases are the very tensor they stand for."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        aliases: dict[str, str] = json.loads((file.metadata() or {}).get(ALIASES, "{}"))
    return {**tensors, **{name: tensors[first] for name, first in aliases.items()}}
