"""Finished trainings as MLflow models: weights as safetensors, a config, and a loader of ours; no pickle and no code inside.

`mlflow.pyfunc.load_model("models:/m-...")` gives embeddings for `(batch, time, channel)` arrays of any length. Where the encoder
is exportable, an exported program (`encoder.pt2`) with free batch and time lies beside the weights; where it is not, or where
the export does not agree with the encoder, `export.json` says why. A training is one model, however many runs replay it.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tswork.config import dump_configured
from tswork.pipeline.plan import PlannedStage
from tswork.pipeline.spec import Gate, Member
from tswork.tracking import names
from tswork.tracking.client import Tracking
from tswork.tracking.inputs import DIGEST_DIGITS
from tswork.tracking.resolved import flat

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel

LOADER = "tswork.tracking.serving"
DATA = "data"


class Models:
    """The models of one member. Every call may be repeated: what is there already is not made again."""

    def __init__(self, tracking: Tracking) -> None:
        self._tracking = tracking
        self._client = tracking.client
        self._begun: dict[str, LoggedModel] = {}
        self._ids: dict[str, str] = {}

    def log(self, run_id: str, stage: PlannedStage, model: Path, program: Path, *, cached: bool) -> None:
        """Log the model of a method stage: an output of the run that trained it, an input of one that replays it.

        `model` is its folder in the store, `program` that of its export.
        """
        from mlflow.entities import LoggedModelInput, LoggedModelOutput

        known = self._known(stage.key) or self._log(run_id, stage, model, program)
        self._ids[stage.spec.name] = known.model_id
        if known.model_id in self._linked(run_id):
            return
        if cached and known.source_run_id != run_id:
            self._client.log_inputs(run_id, models=[LoggedModelInput(known.model_id)])
        else:
            self._client.log_outputs(run_id, [LoggedModelOutput(known.model_id, step=0)])

    def log_metrics(self, run_id: str, member: Member, metrics: Mapping[str, float], data: Mapping[str, Any]) -> None:
        """Log the results of the protocols; those of a trained row belong to its model, too."""
        from mlflow.entities import Metric

        stamp = int(time.time() * 1000)
        dataset = {"dataset_name": str(data["name"])[:500], "dataset_digest": str(data["digest"])[:DIGEST_DIGITS]}
        entities = [
            Metric(names.slug(name), value, stamp, 0, **({"model_id": model, **dataset} if model else {}))
            for name, value in metrics.items()
            if math.isfinite(value)
            for model in [self._ids.get(_row(name, member))]
        ]
        for start in range(0, len(entities), 1000):
            self._client.log_batch(run_id, metrics=entities[start : start + 1000])

    def register(self, member: Member, run_id: str, metrics: Mapping[str, float]) -> None:
        """Register the gate's model and move its alias when the gate passes; the run's tag says what came of it."""
        gate = member.header.gate
        assert gate is not None
        passed, outcome = judge(gate, metrics)
        model = self._ids.get(gate.stage)
        if passed and model is None:
            outcome += f", but the model of {gate.stage} was not recorded"
        elif passed and model is not None:
            name = gate.name or member.header.name
            version = self._version(name, run_id, model)
            self._client.set_registered_model_alias(name, gate.alias, version)
            outcome = f"{outcome}: {name} version {version} is {gate.alias}"
        self._tracking.tag(run_id, {names.GATE: outcome})

    def _linked(self, run_id: str) -> set[str]:
        run = self._client.get_run(run_id)
        inputs = {one.model_id for one in run.inputs.model_inputs} if run.inputs else set()
        outputs = {one.model_id for one in run.outputs.model_outputs} if run.outputs else set()
        return inputs | outputs

    def _known(self, key: str) -> LoggedModel | None:
        """The model of a training, from whichever run."""
        found = self._client.search_logged_models(
            [self._tracking.experiment_id], filter_string=f"tags.`{names.STAGE_KEY}` = '{key}'"
        )
        return next((model for model in found if str(model.status) == "READY"), None)

    def _log(self, run_id: str, stage: PlannedStage, model: Path, program: Path) -> LoggedModel:
        if stage.key not in self._begun:
            options = flat(dump_configured(stage.spec.component))
            self._begun[stage.key] = self._client.create_logged_model(
                self._tracking.experiment_id,
                name=stage.spec.name,
                source_run_id=run_id,
                tags={names.STAGE_KEY: stage.key},
                params={names.slug(key): str(value)[:500] for key, value in options},
                model_type=stage.spec.component.name,
            )
        logged = self._begun[stage.key]
        with tempfile.TemporaryDirectory(prefix="tswork-") as temporary:
            packed = Path(temporary) / "model"
            pack(model, packed, program=program, run_id=run_id, model_id=logged.model_id)
            self._client.log_model_artifacts(logged.model_id, str(packed))
        return self._client.finalize_logged_model(logged.model_id, "READY")

    def _version(self, name: str, run_id: str, model_id: str) -> str:
        """The version of a registered model that holds a logged model; made when there is none."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        source = f"models:/{model_id}"
        for version in self._client.search_model_versions(f"name = '{name}'"):
            if version.source == source:
                return str(version.version)
        made = self._client.create_model_version(name, source, run_id=run_id, model_id=model_id)
        self._tell_model(model_id, {"name": name, "version": made.version})
        return str(made.version)

    def _tell_model(self, model_id: str, version: dict[str, Any]) -> None:
        """A server notes at a model in which versions it is registered; without one it has to be done here."""
        known = json.loads(self._client.get_logged_model(model_id).tags.get(names.MODEL_VERSIONS, "[]"))
        if version not in known:
            self._client.set_logged_model_tags(model_id, {names.MODEL_VERSIONS: json.dumps([*known, version])})


def pack(
    source: Path, target: Path, *, program: Path | None = None, run_id: str | None = None, model_id: str | None = None
) -> None:
    """A model folder of the store as a folder in MLflow's layout, with the files of `program` beside the weights."""
    import numpy as np
    from mlflow.models import Model
    from mlflow.models.signature import ModelSignature
    from mlflow.pyfunc import add_to_model
    from mlflow.types.schema import Schema, TensorSpec

    shutil.copytree(source, target / DATA)
    for file in sorted(program.iterdir()) if program else ():
        if file.name.startswith(("encoder.", "export.")):
            shutil.copy(file, target / DATA)
    channels = len(json.loads((source / "model.json").read_text())["info"]["channels"])
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, -1, channels))]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, -1))]),
    )
    model = Model(run_id=run_id, signature=signature, model_id=model_id)
    add_to_model(model, loader_module=LOADER, data=DATA)
    model.save(str(target / "MLmodel"))
    (target / "requirements.txt").write_text("tswork\n")


def judge(gate: Gate, metrics: Mapping[str, float]) -> tuple[bool, str]:
    """Whether the gate's metric is there and inside its bounds, and what is to be said of it."""
    value = metrics.get(gate.metric)
    if value is None or not math.isfinite(value):
        return False, f"not passed: there is no figure {gate.metric}"
    if gate.minimum is not None and value < gate.minimum:
        return False, f"not passed: {gate.metric} is {value:.6g}, below {gate.minimum:g}"
    if gate.maximum is not None and value > gate.maximum:
        return False, f"not passed: {gate.metric} is {value:.6g}, above {gate.maximum:g}"
    return True, f"passed: {gate.metric} is {value:.6g}"


def _row(metric: str, member: Member) -> str:
    """The stage that a metric speaks of: `probe/ts2vec/accuracy` of its row, `probe/accuracy` of the first judged one."""
    stage, *rest = metric.split("/")
    return rest[0] if len(rest) > 1 else member.stage(stage).needs[0]
