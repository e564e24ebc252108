"""A saved model comes back as it was, or says why it cannot."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.training.tiny import TinyConfig, TinyContrast, run, series, weight_of
from tswork.config import Configured, Uses, configure
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import DataInfo
from tswork.errors import ModelUnfit, TsworkWarning
from tswork.methods.base import Method, MethodConfig, Update, build_encoder, build_model
from tswork.methods.model import Model
from tswork.methods.saving import load_model, save_model
from tswork.methods.weights import load_weights, read_weights, weights_of, write_weights
from tswork.registry import register

from typing import Annotated  # isort: skip


class NestedConfig(MethodConfig):
    encoder: Annotated[Configured, Uses("encoder")]


@register("method", "tiny_nested", version=3, config=NestedConfig)
class TinyNested(Method[NestedConfig]):
    """A method whose encoder is chosen by its config, with a tied and a transposed weight."""

    def build(self, info: DataInfo, *, generator: torch.Generator) -> Model:
        encoder = build_encoder(self.config.encoder, info, generator=generator)
        head, tied = nn.Linear(encoder.dim, 2), nn.Linear(encoder.dim, 2)
        tied.weight = head.weight
        turned = nn.Linear(2, encoder.dim)
        turned.weight = nn.Parameter(turned.weight.detach().T.contiguous().T)
        heads: dict[str, nn.Module] = {"classify": head, "tied": tied, "turned": turned}
        return Model(encoder, info, heads=heads, provides=frozenset({"classify"}))

    def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        yield Update("model", {"size": model.classify(batch.x, batch.lengths).square().mean()})


def block() -> Configured:
    return configure("method", {"uses": "tiny_nested", "encoder": {"uses": "tiny_linear", "dim": 6}})


@cache
def trained() -> Model:
    (model,) = run(block().build(), validation=series(2)).models
    return model


def saved(folder: Path) -> Model:
    save_model(folder, trained(), block())
    return trained()


def test_a_loaded_model_computes_the_same(tmp_path: Path) -> None:
    model = saved(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    x = torch.randn(3, 16, 2)
    assert torch.equal(loaded.classify(x), model.classify(x))
    assert loaded.provides == model.provides == {"embed", "classify"}
    assert loaded.info == model.info
    assert not loaded.training
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["model.json", "weights.safetensors"]


def test_the_description_is_a_pipeline_block_and_the_facts_of_the_data(tmp_path: Path) -> None:
    saved(tmp_path)
    description = json.loads((tmp_path / "model.json").read_text())
    assert description["method"]["uses"] == "tiny_nested"
    assert description["method"]["encoder"]["dim"] == 6
    assert description["info"]["classes"] == ["a", "b"]
    assert description["method_version"] == 3


def test_tied_weights_are_stored_once_and_stay_tied(tmp_path: Path) -> None:
    saved(tmp_path)
    from safetensors import safe_open

    with safe_open(tmp_path / "weights.safetensors", framework="pt") as file:
        stored = set(file.keys())
    assert "heads.classify.weight" in stored
    assert "heads.tied.weight" not in stored
    loaded = load_model(tmp_path)
    assert loaded.get_parameter("heads.tied.weight") is loaded.get_parameter("heads.classify.weight")


def test_equal_models_give_equal_files(tmp_path: Path) -> None:
    saved(tmp_path / "first")
    trained.cache_clear()
    saved(tmp_path / "second")
    for name in ("weights.safetensors", "model.json"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def alter(folder: Path) -> None:
    content = bytearray((folder / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "weights.safetensors").write_bytes(content)


def change(folder: Path, **entries: Any) -> None:
    description = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**description, **entries}))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no description": (
        lambda folder: (folder / "model.json").unlink(),
        "there is no model.json, so this is not a saved",
    ),
    "torn description": (lambda folder: (folder / "model.json").write_text("{"), "it is not JSON"),
    "empty description": (lambda folder: (folder / "model.json").write_text("{}"), "it lacks format, info, method"),
    "list": (lambda folder: (folder / "model.json").write_text("[]"), "it lacks format"),
    "later format": (lambda folder: change(folder, format=2), "it has format 2, this version reads 1. Use a newer"),
    "no weights": (lambda folder: (folder / "weights.safetensors").unlink(), "there is no weights.safetensors"),
    "torn weights": (lambda folder: os.truncate(folder / "weights.safetensors", 50), "it has 50 bytes and was written"),
    "altered weights": (alter, "its content was altered after it was written. Copy the whole folder again"),
    "unknown method": (lambda folder: change(folder, method={"uses": "tiny_nestde"}), "Did you mean 'tiny_nested'"),
    "unknown option": (lambda folder: change(folder, method={"uses": "tiny_contrast", "a": 1}), "options do not fit"),
    "unknown fact": (lambda folder: change(folder, info={"colour": 1}), "what it knew of its data does not fit"),
    "other method": (
        lambda folder: change(folder, method={"uses": "tiny_contrast"}, method_version=1),
        "its weights do not fit the model: heads.projection.weight is missing",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_model_is_refused_with_the_reason(tmp_path: Path, kind: str) -> None:
    damage, reason = DAMAGE[kind]
    saved(tmp_path)
    damage(tmp_path)
    with pytest.raises(ModelUnfit, match=reason):
        load_model(tmp_path)


def test_a_model_of_another_version_of_its_method_is_pointed_out(tmp_path: Path) -> None:
    saved(tmp_path)
    change(tmp_path, method_version=2)
    with pytest.warns(TsworkWarning, match="trained by version 2 of tiny_nested, rebuilt by version 3"):
        load_model(tmp_path)


def test_buffers_take_the_stored_shape_and_parameters_must_fit() -> None:
    grown, fresh = nn.Module(), nn.Module()
    for module, size in ((grown, 3), (fresh, 0)):
        module.register_buffer("queue", torch.arange(float(size)))
        module.linear = nn.Linear(2, 2)
    load_weights(fresh, weights_of(grown), source="test")
    assert fresh.get_buffer("queue").tolist() == [0, 1, 2]
    before = fresh.get_parameter("linear.weight").detach().clone()
    grown.linear = nn.Linear(2, 3)
    with pytest.raises(
        ModelUnfit, match=r"linear.weight has shape \(3, 2\), the model's has \(2, 2\); linear.bias has"
    ):
        load_weights(fresh, weights_of(grown), source="test")
    assert torch.equal(fresh.get_parameter("linear.weight"), before)


def test_overlapping_empty_and_zero_dimensional_tensors_are_kept(tmp_path: Path) -> None:
    base = torch.arange(6.0)
    tensors = {
        "rows": base[:4],
        "overlap": base[2:],
        "turned": base.view(2, 3).T,
        "empty": torch.zeros(0, 4),
        "also_empty": torch.zeros(0, 2, dtype=torch.int64),
        "count": torch.tensor(5),
        "flag": torch.tensor([True, False]),
        "half": torch.ones(2, dtype=torch.bfloat16),
    }
    write_weights(tmp_path / "file", tensors)
    read = read_weights(tmp_path / "file")
    assert set(read) == set(tensors)
    for name, tensor in tensors.items():
        assert torch.equal(read[name], tensor), name
        assert read[name].dtype == tensor.dtype


def test_a_built_model_follows_from_the_seed_alone() -> None:
    method = TinyContrast(TinyConfig())
    info = DataInfo.of(series())
    first, second, other = (build_model(method, info, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(weight_of(first), weight_of(second))
    assert not torch.equal(weight_of(first), weight_of(other))
