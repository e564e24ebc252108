"""The general contrastive method: each of its parts computes what a few plain lines compute."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from tests.methods.toys import BATCH_NORM, method_of, model_of, trained, waves
from tests.reference import info_nce as plain
from tests.reference import ts2vec as plain_ts2vec
from tswork.augment.base import View
from tswork.config import NoOptions, configure
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import DataInfo, Part
from tswork.data.samplers import Sampler, Uniform
from tswork.encoders.pooling import pool
from tswork.errors import DataInvalid, ModelUnfit
from tswork.methods.base import Method
from tswork.methods.model import Model
from tswork.objectives.base import Objective
from tswork.registry import register

JITTER = {"uses": "jitter", "sigma": 0.3}
SCALING = {"uses": "scaling", "sigma": 0.3}
HEAD = {"hidden": 7, "dim": 5}


def first_batch(method: Method[Any], part: Part, *, seed: int = 0) -> tuple[Model, Batch, Context]:
    model = model_of(method, part, seed=seed)
    context = Context(seed=seed)
    return model, method.batches(model, part, context).at(0, 0), context


def loss_of(method: Method[Any], model: Model, batch: Batch, context: Context) -> Tensor:
    (update,) = method.updates(model, batch, context)
    return update.loss


def views_of(batch: Batch, context: Context, *sides: list[dict[str, Any]]) -> list[View]:
    """The views of both sides, drawn one after another from the generator of the step."""
    generator = context.generator("views")
    found = []
    for side in sides:
        view = View(batch.x, batch.lengths)
        for block in side:
            view = configure("view", block).build()(view, generator=generator)
        found.append(view)
    return found


@pytest.mark.parametrize("lengths", [[20] * 4, [20, 9, 3, 14]])
@pytest.mark.parametrize("head", [None, HEAD])
def test_simclr_is_nt_xent_of_two_views_behind_a_head(lengths: list[int], head: dict[str, int] | None) -> None:
    method = method_of(
        "contrastive", views=[JITTER, SCALING], head=head, objective={"uses": "info_nce", "among": "both"}
    )
    model, batch, context = first_batch(method, waves(lengths))
    z = []
    for view in views_of(batch, context, [JITTER, SCALING], [JITTER, SCALING]):
        pooled = pool(model.encoder(view.x, view.lengths), "max")
        z.append(pooled if head is None else model.heads["project"](pooled))
    expected = plain.info_nce(z[0], z[1], among="both")
    torch.testing.assert_close(loss_of(method, model, batch, context), expected, rtol=1e-5, atol=1e-6)


def test_the_second_view_can_be_changed_in_its_own_way() -> None:
    method = method_of(
        "contrastive", views=["identity"], other_views=[{"uses": "subsequence", "share": 0.5}], pooling="mean"
    )
    model, batch, context = first_batch(method, waves([20] * 4))
    first, second = views_of(batch, context, [], [{"uses": "subsequence", "share": 0.5}])
    assert second.x.shape[1] == 10
    z1, z2 = (pool(model.encoder(view.x), "mean") for view in (first, second))
    torch.testing.assert_close(loss_of(method, model, batch, context), plain.info_nce(z1, z2), rtol=1e-5, atol=1e-6)


def test_masked_views_hide_steps_from_the_encoder() -> None:
    method = method_of("contrastive", views=["mask"], pooling="masked")
    model, batch, context = first_batch(method, waves([20] * 4))
    z = []
    for view in views_of(batch, context, ["mask"], ["mask"]):  # type: ignore[list-item]
        assert view.keep is not None
        frames = model.encoder(view.x, keep=view.keep).values
        z.append((frames * view.keep[..., None]).sum(dim=1) / view.keep.sum(dim=1, keepdim=True))
    torch.testing.assert_close(loss_of(method, model, batch, context), plain.info_nce(z[0], z[1]), rtol=1e-5, atol=1e-6)


def test_moco_contrasts_with_a_queue_and_a_slow_copy() -> None:
    """Three steps against plain lines: first views by the encoder, second ones by its copy, the queue of earlier second ones."""
    part = waves([20] * 4)
    objective = {"uses": "info_nce", "symmetric": False, "temperature": 0.2}
    method = method_of("contrastive", views=[JITTER], head=HEAD, queue=6, momentum=0.8, objective=objective)
    model, batch, _ = first_batch(method, part)
    fast = {"encoder": copy.deepcopy(model.encoder), "project": copy.deepcopy(model.heads["project"])}
    slow = copy.deepcopy(fast)
    queue: Any = model.heads["queue"]
    entries = queue.read()
    for step in range(3):
        context = Context().at(0, step)
        loss = loss_of(method, model, batch, context)
        for name, module in slow.items():
            for own, other in zip(module.parameters(), fast[name].parameters(), strict=True):
                own.data = 0.8 * own + 0.2 * other
        first, second = views_of(batch, context, [JITTER], [JITTER])
        z1 = fast["project"](pool(fast["encoder"](first.x, first.lengths), "max"))
        z2 = slow["project"](pool(slow["encoder"](second.x, second.lengths), "max")).detach()
        expected = plain.info_nce(z1, z2, temperature=0.2, symmetric=False, negatives=entries)
        torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
        for row, z in enumerate(z2):
            entries[(4 * step + row) % 6] = z
        torch.testing.assert_close(queue.read(), entries)
        with torch.no_grad():  # a step of any kind, made alike on both sides
            for module in (model.encoder, model.heads["project"], *fast.values()):
                for parameter in module.parameters():
                    parameter.add_(0.05)


def test_the_slow_copy_and_the_queue_are_saved_and_only_the_encoder_is_trained() -> None:
    method = method_of("contrastive", head=HEAD, queue=6, momentum=0.9, iterations=5)
    part = waves([20] * 4)
    random, (result, _) = model_of(method, part), trained(method, part)
    state, before = result.models[0].state_dict(), random.state_dict()
    assert {"heads.queue.entries", "heads.queue.written", "heads.momentum.copy.project.0.weight"} <= state.keys()
    assert state["heads.queue.written"] == 20
    trained_names = [name for group in method.optimisers(random)["model"].param_groups for name in group["params"]]
    assert len(trained_names) == len([*random.encoder.parameters(), *random.heads["project"].parameters()])
    assert not torch.equal(
        state["heads.momentum.copy.project.0.weight"], before["heads.momentum.copy.project.0.weight"]
    )


@pytest.mark.parametrize("lengths", [[20] * 3, [20, 9, 3]])
def test_an_objective_of_frames_sees_every_real_step(lengths: list[int]) -> None:
    method = method_of("contrastive", views=["mask"], head=HEAD, objective={"uses": "ts2vec", "alpha": 0.3})
    model, batch, context = first_batch(method, waves(lengths))
    z = [
        model.heads["project"](model.encoder(view.x, view.lengths, keep=view.keep).values)
        for view in views_of(batch, context, ["mask"], ["mask"])  # type: ignore[list-item]
    ]
    expected = plain_ts2vec.hierarchical_contrast(z[0], z[1], alpha=0.3, lengths=batch.lengths.tolist())
    torch.testing.assert_close(loss_of(method, model, batch, context), expected, rtol=1e-5, atol=1e-6)
    assert method.views(model, batch, context) is None


def test_a_window_makes_many_sequences_of_a_long_one() -> None:
    part = waves([103])
    method = method_of("contrastive", window=20, batch_size=16)
    batches = method.batches(model_of(method, part), part, Context())
    assert len(batches.part) == 5
    batch = batches.at(0, 0)
    assert batch.x.shape == (5, 20, 2)
    for (_, start, stop), x in zip(batch.span.tolist(), batch.x, strict=True):
        assert torch.equal(x, part.collection.sequence(0)[start:stop])
    assert not torch.equal(batches.at(1, 0).span.sort(dim=0).values, batch.span.sort(dim=0).values)
    assert trained(method_of("contrastive", window=20, iterations=3), part)[0].steps == 3


def test_a_subsequence_among_zeros_can_be_compared_step_by_step() -> None:
    view = {"uses": "subsequence", "elsewhere": "zero"}
    method = method_of("contrastive", objective="ts2vec", views=[view], iterations=2)
    assert trained(method, waves([20] * 4))[0].steps == 2


def test_views_that_keep_every_length_bring_no_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    method = method_of("contrastive", views=["time_warp", "permutation"])
    model, batch, context = first_batch(method, waves([20] * 4))
    seen: list[Any] = []
    forward = model.encoder.forward

    def watched(x: Tensor, lengths: Tensor | None = None, *, keep: Tensor | None = None) -> Any:
        seen.append(lengths)
        return forward(x, lengths, keep=keep)

    monkeypatch.setattr(model.encoder, "forward", watched)
    loss_of(method, model, batch, context)
    assert seen == [None, None]


class LabelledConfig(NoOptions):
    pass


@register("objective", "tiny_labelled", version=1, config=LabelledConfig)
class TinyLabelled(Objective[LabelledConfig]):
    """Pulls sequences of one class together, and asks for batches of two that follow each other."""

    needs_labels = True

    def __call__(
        self,
        z1: Float[Tensor, "batch *frame_dim"],
        z2: Float[Tensor, "batch *frame_dim"],
        *,
        lengths: Int[Tensor, "batch"] | None = None,
        labels: Int[Tensor, "batch"] | None = None,
        negatives: Float[Tensor, "queue dim"] | None = None,
    ) -> Float[Tensor, ""]:
        assert labels is not None
        alike = labels[:, None] == labels
        return -(normalize(z1, dim=1) @ normalize(z2, dim=1).T)[alike].mean()

    def sampler(self, part: Part, *, label: str | None, batch_size: int, seed: int) -> Sampler:
        assert label == "label"
        assert batch_size == 8
        return Uniform(len(part), batch_size=2, seed=seed, shuffle=False)


def test_an_objective_can_ask_for_labels_and_for_batches_of_its_own() -> None:
    part = waves([20, 9, 20, 9], classes=3)
    method = method_of("contrastive", objective="tiny_labelled", batch_size=8, iterations=3)
    model = model_of(method, part)
    batches = method.batches(model, part, Context())
    assert [batches.at(0, step).span[:, 0].tolist() for step in (0, 1)] == [[0, 1], [2, 3]]
    assert batches.at(0, 1).codes["label"].tolist() == [2, 0]
    assert trained(method, part)[0].steps == 3


def without_label(part: Part) -> Part:
    return Part(part.collection.replaced(label=None), part.spans)


REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"objective": "ts2vec", "views": ["mask"], "queue": 8},
        r"contrastive: the objective 'ts2vec' takes no queue\. Set `queue: 0`",
    ),
    ({"objective": "tiny_labelled"}, r"the objective 'tiny_labelled' needs labels\. Name a column with `label:`"),
    (
        {"objective": "ts2vec", "views": ["jitter", "subsequence"]},
        r"'ts2vec' compares step by step, and the view 'subsequence' moves steps\. Use views that leave every step",
    ),
    ({"objective": "ts2vec", "views": ["mask"], "other_views": ["subsequence"]}, "the view 'subsequence' moves steps"),
]


@pytest.mark.parametrize(("options", "said"), REFUSED)
def test_what_does_not_fit_together_is_refused_before_training(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelUnfit, match=said):
        model_of(method_of("contrastive", **options), without_label(waves([20] * 4)))


@pytest.mark.parametrize(
    ("lengths", "encoder", "batch_size"), [([50], None, 8), ([9] * 4, None, 1), ([9, 5, 7], BATCH_NORM, 8)]
)
def test_batches_without_two_sequences_are_refused(lengths: list[int], encoder: Any, batch_size: int) -> None:
    options = {"encoder": encoder} if encoder else {}
    part = waves(lengths)
    method = method_of("contrastive", batch_size=batch_size, **options)
    with pytest.raises(DataInvalid, match=r"train: no batch has two sequences.*Set `window:`"):
        method.batches(model_of(method, part), part, Context())


def test_a_queue_or_an_objective_of_frames_gives_a_single_sequence_company() -> None:
    part = waves([50])
    for options in ({"queue": 8}, {"objective": "ts2vec", "views": ["mask"]}):
        assert trained(method_of("contrastive", iterations=2, **options), part)[0].steps == 2


def test_a_subsequence_brings_no_padding_to_an_encoder_that_it_would_change() -> None:
    """Batch norm in training mode: the loss is that of the stretches alone."""
    method = method_of("contrastive", encoder=BATCH_NORM, views=[{"uses": "subsequence", "share": 0.6}])
    model, batch, context = first_batch(method, waves([20] * 4))
    first, second = views_of(batch, context, *[[{"uses": "subsequence", "share": 0.6}]] * 2)
    z1, z2 = (pool(model.encoder(view.x), "max") for view in (first, second))
    torch.testing.assert_close(loss_of(method, model, batch, context), plain.info_nce(z1, z2), rtol=1e-4, atol=1e-5)


def test_training_pulls_views_of_a_sequence_together() -> None:
    method = method_of("contrastive", views=[JITTER, SCALING], iterations=60, learning_rate=0.01)
    _, recorder = trained(method, waves([40] * 12))
    losses = [loss for _, loss in recorder.curves["loss"]]
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])
    assert "health/uniformity" in recorder.curves


def test_moco_trains_to_the_end_with_finite_losses() -> None:
    objective = {"uses": "info_nce", "symmetric": False}
    method = method_of(
        "contrastive", head=HEAD, queue=32, momentum=0.99, objective=objective, iterations=30, learning_rate=0.01
    )
    _, recorder = trained(method, waves([20, 9, 14, 20, 11]))
    assert all(loss == loss for _, loss in recorder.curves["loss"])


def test_views_for_the_panel_leave_the_model_as_it_is() -> None:
    method = method_of("contrastive", head=HEAD, queue=8, momentum=0.9)
    model, batch, context = first_batch(method, waves([20] * 4))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    views = method.views(model, batch, context)
    assert views is not None
    assert [view.shape for view in views] == [(4, 5), (4, 5)]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_data_info_is_all_a_model_needs_to_be_built() -> None:
    info = DataInfo(("a", "b", "c"), max_length=16)
    model = method_of("contrastive").build(info, generator=torch.Generator().manual_seed(0))
    assert model.info == info
    assert model.provides == {"embed"}
