"""The modes of `supervised` that contrast: what each stage computes and trains, its batches, and what it says before."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn.functional import cross_entropy

from tests.methods.speakers import of_speakers, spoken
from tests.methods.toys import method_of, model_of, trained, waves
from tests.reference import supervised as plain
from tests.training.tiny import bits
from tswork.augment.base import View
from tswork.config import NestedInvalid, configure, keyed
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import DataInfo, Part
from tswork.data.samplers import Buckets, ClassBalanced
from tswork.encoders.pooling import pool
from tswork.errors import DataInvalid, TsworkWarning
from tswork.methods.base import Method
from tswork.methods.model import Model
from tswork.recorder import MemoryRecorder
from tswork.training.checkpoints import Checkpoints
from tswork.training.loop import train

JITTER = {"uses": "jitter", "sigma": 0.3}
TWO_STAGES = pytest.mark.parametrize("mode", ["contrast_then_probe", "contrast_then_ce"])


def words() -> Part:
    """Three classes and four speakers, two waves of each pair."""
    return spoken([f"c{one % 3}" for one in range(24)], [f"s{one // 3 % 4}" for one in range(24)])


def first_batch(method: Method[Any], part: Part, *, task: int = 0) -> tuple[Model, Batch, Context]:
    model, context = model_of(method, part), Context()
    method.begin(model, task, part, context)
    return model, method.batches(model, part, context).at(0, 0), context


def terms_of(method: Method[Any], model: Model, batch: Batch, context: Context) -> Mapping[str, Tensor]:
    (update,) = method.updates(model, batch, context)
    return update.terms


def weights(model: Model) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    """The parts of a model whose weights are others: encoder, classify, project, objective."""
    moved = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    return {name.split(".")[1] if name.startswith("heads") else name.split(".")[0] for name in moved}


# Losses


@pytest.mark.parametrize("head", [{"hidden": 7, "dim": 5}, None])
def test_both_losses_are_of_the_same_embeddings_and_only_one_is_projected(head: dict[str, int] | None) -> None:
    method = method_of("supervised", mode="ce_plus_contrast", weight=0.3, dropout=0.0, head=head, pooling="mean")
    model, batch, context = first_batch(method, words())
    embedded = pool(model.encoder(batch.x), "mean")
    labels = batch.codes["label"]
    z = embedded if head is None else model.heads["project"](embedded)
    terms = terms_of(method, model, batch, context)
    torch.testing.assert_close(terms["cross_entropy"], cross_entropy(model.heads["classify"](embedded), labels))
    expected = 0.3 * plain.supervised_contrast(z, labels.tolist())
    torch.testing.assert_close(terms["contrast"], expected, rtol=1e-4, atol=1e-5)


def test_two_views_of_each_sequence_are_in_one_batch_with_its_class() -> None:
    options: dict[str, Any] = {"views": [JITTER], "views_per_item": 2, "dropout": 0.0, "head": None}
    method = method_of("supervised", mode="ce_plus_contrast", weight=1.0, **options)
    model, batch, context = first_batch(method, words())
    generator, change = context.generator("views"), configure("view", JITTER).build()
    views = [change(View(batch.x, batch.lengths), generator=generator) for _ in range(2)]
    embedded = torch.cat([pool(model.encoder(view.x), "max") for view in views])
    labels = batch.codes["label"].repeat(2)
    terms = terms_of(method, model, batch, context)
    expected = plain.supervised_contrast(embedded, labels.tolist())
    torch.testing.assert_close(terms["contrast"], expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(terms["cross_entropy"], cross_entropy(model.heads["classify"](embedded), labels))
    panel = method.views(model, batch, context)
    assert panel is not None
    assert [view.shape for view in panel] == [(12, 8)] * 2
    assert method_of("supervised", mode="ce_plus_contrast").views(model, batch, context) is None


def test_the_weight_of_the_contrast_rises_over_the_ramp() -> None:
    method: Any = method_of("supervised", mode="ce_plus_contrast", weight=0.8, ramp=2.0)
    first_batch(method, words())
    assert method._batches.steps(0) == 2
    found = [method.contrast_weight(Context().at(epoch, step)) for epoch in range(3) for step in range(2)]
    assert found == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 0.8])


def test_what_the_objective_observes_is_recorded() -> None:
    _, recorder = trained(method_of("supervised", mode="ce_plus_contrast", iterations=2, items_per_class=2), words())
    assert {"terms/cross_entropy", "terms/contrast", "contrast/anchors"} <= recorder.curves.keys()
    assert [share for _, share in recorder.curves["contrast/anchors"]] == [1.0, 1.0]


def test_class_weights_of_an_objective_are_saved_and_trained() -> None:
    method = method_of("supervised", mode="ce_plus_contrast", objective="arc_face", head={"dim": 5}, iterations=3)
    part = words()
    before = weights(model_of(method, part))
    assert before["heads.objective.vectors"].shape == (3, 5)
    result, _ = trained(method, part)
    assert changed(before, weights(result.models[0])) == {"encoder", "classify", "project", "objective"}


@pytest.mark.parametrize("objective", ["triplet", "multi_similarity", "circle", "n_pairs", "proxy_anchor", "cos_face"])
def test_every_objective_trains(objective: str) -> None:
    result, recorder = trained(
        method_of("supervised", mode="contrast_then_ce", objective=objective, iterations=3, items_per_class=2), words()
    )
    assert result.steps == 6
    assert all(loss == loss for _, loss in recorder.curves["loss"])


# Stages


@TWO_STAGES
def test_the_first_stage_contrasts_and_the_second_classifies(mode: str) -> None:
    method = method_of("supervised", mode=mode, dropout=0.0, head={"hidden": 7, "dim": 5})
    part = words()
    model, batch, context = first_batch(method, part)
    z = model.heads["project"](model.embed(batch.x))
    expected = plain.supervised_contrast(z, batch.codes["label"].tolist())
    torch.testing.assert_close(terms_of(method, model, batch, context)["loss"], expected, rtol=1e-4, atol=1e-5)
    method.begin(model, 1, part, context)
    expected = cross_entropy(model.classify(batch.x), batch.codes["label"])
    torch.testing.assert_close(terms_of(method, model, batch, context)["loss"], expected)


@pytest.mark.parametrize(
    ("mode", "second"), [("contrast_then_probe", {"classify"}), ("contrast_then_ce", {"encoder", "classify"})]
)
def test_each_stage_trains_its_own_weights(mode: str, second: set[str]) -> None:
    method = method_of("supervised", mode=mode, epochs=2, contrast_epochs=3)
    part = words()
    untrained = weights(model_of(method, part))
    result, recorder = trained(method, part)
    contrasted, last = (weights(model) for model in result.models)
    assert changed(untrained, contrasted) == {"encoder", "project"}
    assert changed(contrasted, last) == second
    steps = -(-24 // 12)
    assert result.steps == (3 + 2) * steps
    assert len(recorder.curves["contrast/anchors"]) == 3 * steps


def test_a_frozen_encoder_is_embedded_without_dropout_and_keeps_its_statistics() -> None:
    encoder = {"uses": "dilated_conv", "depth": 2, "dim": 8, "hidden": 6, "dropout": 0.5}
    part = words()
    for options, task in (({"mode": "contrast_then_probe"}, 1), ({"encoder_learning_rate": 0.0}, 0)):
        method = method_of("supervised", encoder=encoder, dropout=0.0, **options)
        model, batch, context = first_batch(method, part, task=task)
        model.train()
        first, second = (terms_of(method, model, batch, context)["loss"] for _ in range(2))
        assert torch.equal(first, second)
        assert model.encoder.training
        first.backward()
        assert all(parameter.grad is None for parameter in model.encoder.parameters())
    before = weights(model_of(method, part))
    assert changed(before, weights(trained(method, part)[0].models[0])) == {"classify"}


@TWO_STAGES
def test_weights_are_selected_within_the_last_stage(mode: str) -> None:
    part = words()
    method = method_of("supervised", mode=mode, epochs=3, contrast_epochs=2, learning_rate=0.3, patience=3)
    result, recorder = trained(method, part, validation=Part(part.collection, part.spans))
    curve = recorder.curves["validation/macro_f1"]
    assert len(curve) == 3
    assert min(step for step, _ in curve) >= 2 * 2, "the stage of contrast is not validated, and no patience ends it"
    assert result.stopped_because[0] == "budget"
    best = method.validate(result.models[1], part, Context())
    assert best["macro_f1"] == pytest.approx(max(score for _, score in curve))


@pytest.mark.parametrize("mode", ["ce_plus_contrast", "contrast_then_probe", "contrast_then_ce"])
@pytest.mark.parametrize("after", [3, 9])
def test_a_resumed_training_has_the_same_bits(mode: str, after: int, tmp_path: Any) -> None:
    """Stopped in either stage; with views, a ramp and a schedule."""
    options: dict[str, Any] = {
        "views": [JITTER],
        "schedule": "cosine",
        "warm_up": 0.25,
        "ramp": 2.0,
        "objective": "arc_face",
    }
    part = words()

    def run(folder: Any = None, *, stop: int | None = None) -> Any:
        method = method_of("supervised", mode=mode, iterations=6 if "then" in mode else 12, epochs=None, **options)
        made, updates = iter(range(1000)), method.updates

        def watched(*given: Any) -> Any:
            if next(made) == stop:
                raise KeyError("stopped")
            return updates(*given)

        method.updates = watched  # type: ignore[method-assign,assignment]
        return train(
            method,
            train=part,
            validation=part,
            info=DataInfo.of(part),
            context=Context(recorder=MemoryRecorder()),
            checkpoints=Checkpoints(folder, every_steps=2) if folder else None,
        )

    with pytest.raises(KeyError, match="stopped"):
        run(tmp_path, stop=after)
    resumed = run(tmp_path)
    assert resumed.resumed_from == after // 2 * 2
    assert bits(resumed) == bits(run())


def test_rates_of_encoder_and_head_differ_and_follow_one_schedule() -> None:
    method = method_of("supervised", learning_rate=0.01, encoder_learning_rate=0.001, schedule="linear", warm_up=0.5)
    model = model_of(method, words())
    optimisers = method.optimisers(model)
    (heads, encoder) = optimisers["model"].param_groups
    assert {id(one) for one in encoder["params"]} == {id(one) for one in model.encoder.parameters()}
    schedule = method.schedulers(optimisers, 4)["model"]
    rates = []
    for _ in range(4):
        rates.append((heads["lr"], encoder["lr"]))
        optimisers["model"].step()
        schedule.step()
    assert rates == [pytest.approx((one, one / 10)) for one in (0.005, 0.01, 0.01, 0.005)]
    assert method_of("supervised").schedulers(optimisers, 4) == {}


# Batches


def test_batches_hold_classes_with_sequences_of_several_speakers() -> None:
    part = words()
    method = method_of("supervised", mode="ce_plus_contrast", classes_per_batch=2, items_per_class=3)
    batches = method.batches(model_of(method, part), part, Context())
    assert isinstance(batches.sampler, ClassBalanced)
    for step in range(batches.steps(0)):
        table = part.table.iloc[batches.at(0, step).span[:, 0].numpy()]
        assert sorted(table["label"].value_counts()) == [3, 3]
        assert (table.groupby("label")["speaker"].nunique() == 3).all()


def test_another_column_can_be_the_group() -> None:
    part = words()
    table = part.collection.table.assign(place=["a", "b"] * 12)
    part = Part.whole(part.collection.replaced(table=table))
    method = method_of("supervised", sampler="classes", items_per_class=2, group="place")
    batches = method.batches(model_of(method, part), part, Context())
    drawn = table.iloc[batches.at(0, 0).span[:, 0].numpy()]
    assert (drawn.groupby("label")["place"].nunique() == 2).all()


def test_cross_entropy_alone_takes_any_batches_unless_told_otherwise() -> None:
    part = words()
    for options, kind in (({}, "Uniform"), ({"sampler": "classes"}, "ClassBalanced")):
        method = method_of("supervised", **options)
        assert type(method.batches(model_of(method, part), part, Context()).sampler).__name__ == kind


def test_batches_of_similar_length_hold_so_many_seconds_and_little_padding() -> None:
    lengths = torch.randint(10, 200, (300,), generator=torch.Generator().manual_seed(0)).tolist()
    part = waves(lengths)
    part = Part.whole(part.collection.replaced(rate=10.0))
    method = method_of("supervised", sampler="lengths", seconds=120.0, batch_size=64)
    batches = method.batches(model_of(method, part), part, Context())
    assert isinstance(batches.sampler, Buckets)
    shapes = [batches.at(0, step).x.shape for step in range(batches.steps(0))]
    assert max(rows * time for rows, time, _ in shapes) <= 1200
    assert sum(rows * time for rows, time, _ in shapes) <= 1.10 * sum(lengths)


@pytest.mark.parametrize("options", [{"crop_steps": 8}, {"crop_seconds": 0.8}])
def test_longer_sequences_are_cropped(options: dict[str, Any]) -> None:
    part = spoken(["a", "b"] * 6, ["s", "t", "u"] * 4, length=30)
    method = method_of("supervised", **options)
    batches = method.batches(model_of(method, part), part, Context())
    batch = batches.at(0, 0)
    assert batch.x.shape[1] == 8
    assert len(set(batch.span[:, 1].tolist())) > 1


# What is said before training


def said_of(part: Part, **options: Any) -> str:
    with pytest.warns(TsworkWarning) as caught:
        method_of("supervised", **options).check(part)
    return "\n".join(str(one.message) for one in caught)


def test_classes_without_training_data_are_named() -> None:
    part = spoken(["a", "b", "c", "d"] * 2, ["s", "s", "t", "t", "u", "u", "v", "v"])
    fewer = Part(part.collection, part.spans[[0, 1, 4, 5]])
    said = said_of(fewer, balanced=True)
    assert said == (
        "the training part has no sequence of the classes c, d: no model of it can tell them (`balanced` weighs them with 0)"
    )


def test_classes_of_one_group_are_named_where_batches_are_by_class() -> None:
    part = spoken(["a", "a", "b", "b", "c", "c"], ["s", "s", "t", "t", "u", "v"])
    said = said_of(part, mode="ce_plus_contrast")
    assert said.startswith(
        "all sequences are of one speaker in the classes a, b: what a batch draws together there may be"
    )
    method_of("supervised").check(part)


def test_a_class_with_one_sequence_is_named_unless_it_is_seen_twice() -> None:
    part = spoken(["a", "a", "b"], ["s", "t", "u"])
    said = said_of(part, mode="contrast_then_ce", sampler="uniform")
    assert said.startswith(
        "one sequence alone is of the class b: a contrast draws it to itself. Set `views_per_item: 2`"
    )
    method_of("supervised", mode="contrast_then_ce", sampler="uniform", views_per_item=2, views=[JITTER]).check(part)


def test_all_faults_of_the_data_are_told_at_once() -> None:
    part = spoken(["a", "a"], ["s", "t"], rate=None)
    method = method_of("supervised", mode="ce_plus_contrast", group="speker", crop_seconds=1.0)
    with pytest.raises(DataInvalid) as refused:
        method.check(part)
    assert [problem.path for problem in refused.value.problems] == ["train", "group", "crop_seconds"]
    assert "group: the table has no column 'speker'. Did you mean 'speaker'?" in str(refused.value)
    assert "crop_seconds: the data have no sample rate, so that seconds mean nothing. Give the data a `rate:`" in str(
        refused.value
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"crop_steps": 3, "crop_seconds": 1.0}, "give `crop_steps` or `crop_seconds`, not both"),
        ({"sampler": "lengths"}, "`sampler: lengths` and `seconds` belong together"),
        ({"seconds": 3.0}, "`sampler: lengths` and `seconds` belong together"),
        ({"sampler": "lengths", "seconds": 3.0, "mode": "ce_plus_contrast"}, "is for `mode: ce`: sequences of similar"),
        (
            {"mode": "ce_plus_contrast", "items_per_class": 1},
            "leaves nothing to draw together: raise `items_per_class`",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(NestedInvalid) as refused:
        method_of("supervised", **options)
    assert said in str(refused.value.errors)


def test_objectives_of_views_and_of_labels_are_told_apart() -> None:
    for name, other, method in (
        ("labelled_objective", "info_nce", "supervised"),
        ("objective", "triplet", "contrastive"),
    ):
        with pytest.raises((ValidationError, NestedInvalid)) as refused:
            method_of(method, objective=other)
        fault = refused.value.errors if isinstance(refused.value, NestedInvalid) else refused.value
        kinds = {"labelled_objective": "objective", "objective": "labelled_objective"}
        assert f"no {name} is called '{other}' (it is a {kinds[name]})" in str(fault)


def test_options_that_came_later_leave_the_keys_of_cross_entropy_as_they_were() -> None:
    found = keyed(configure("method", "supervised"))
    assert found["version"] == 1
    assert set(found) - {"uses", "version"} == {
        "encoder", "batch_size", "epochs", "iterations", "learning_rate", "weight_decay", "clip_gradient", "averaging",
        "validate_every", "patience", "mode", "dropout", "balanced", "pooling",
    }  # fmt: skip


# Sanity


def test_a_small_encoder_learns_its_training_data_by_heart_and_puts_its_classes_apart() -> None:
    part = waves([40] * 16, noise=0.3)
    method = method_of("supervised", mode="ce_plus_contrast", iterations=120, epochs=None, learning_rate=0.01)
    model = trained(method, part)[0].models[0].eval()
    assert method.validate(model, part, Context())["accuracy"] == 1
    x, labels = part.collection.values.view(16, 40, 2), part.codes("label")
    z = torch.nn.functional.normalize(model.heads["project"](model.embed(x)), dim=1)
    first, second = (z[labels == code].mean(dim=0) for code in (0, 1))
    assert torch.cosine_similarity(first, second, dim=0) < 0


def test_labels_that_mean_nothing_are_not_learned_for_others() -> None:
    """Within three standard deviations of chance on speakers that were left out."""
    part = spoken(["a", "b"] * 60, [f"s{one // 20}" for one in range(120)], offset=0.0)
    order = torch.randperm(120, generator=torch.Generator().manual_seed(3)).tolist()
    table = part.collection.table
    shuffled = part.collection.replaced(table=table.assign(label=table["label"].to_numpy()[order]))
    part = Part(shuffled, part.spans)
    seen, unseen = of_speakers(part, ["s0", "s1", "s2"]), of_speakers(part, ["s3", "s4", "s5"])
    method = method_of("supervised", mode="ce_plus_contrast", iterations=60, epochs=None, learning_rate=0.01)
    model = trained(method, seen)[0].models[0].eval()
    found = method.validate(model, unseen, Context())["macro_f1"]
    assert abs(found - 0.5) < 3 * (0.25 / 60) ** 0.5


def test_a_copy_of_the_method_trains_alike() -> None:
    """Nothing of one training is left in the method for the next."""
    part = words()
    method = method_of("supervised", mode="contrast_then_probe", iterations=3)
    again = copy.deepcopy(method)
    trained(method, part)
    assert bits(trained(method, part)[0]) == bits(trained(again, part)[0])
