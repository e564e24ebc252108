"""Finished trainings as MLflow models: weights as safetensors, a config, and a loader of ours; no pickle and no code inside.

`mlflow.pyfunc.load_model("models:/m-...")` gives embeddings for `(batch, time, channel)` arrays of any length. Where the encoder
is exportable, an exported program (`encoder.pt2`) with free batch and time lies beside the weights; where it is not, or where
the export does not agree with the encoder, `export.json` says why.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tswork.pipeline.plan import PlannedStage
from tswork.pipeline.spec import Gate, Member
from tswork.tracking import names
from tswork.tracking.client import Tracking

LOADER = "tswork.tracking.serving"
DATA = "data"


def log_model(tracking: Tracking, run_id: str, stage: PlannedStage, folder: Path) -> None:
    """Log the last task's model of a finished method stage, once a stage key."""
    tasks = json.loads((folder / "stage.json").read_text())["tasks"]
    source = folder / f"model-{tasks - 1}"
    tags = {names.STAGE_KEYS: json.dumps({stage.spec.name: stage.key})}
    logged = tracking.client.create_logged_model(
        tracking.experiment_id,
        name=stage.spec.name,
        source_run_id=run_id,
        tags=tags,
        model_type=stage.spec.component.name,
    )
    with tempfile.TemporaryDirectory() as temporary:
        packed = Path(temporary) / "model"
        pack(source, packed, run_id=run_id, model_id=logged.model_id)
        tracking.client.log_model_artifacts(logged.model_id, str(packed))
    tracking.client.finalize_logged_model(logged.model_id, "READY")
    from mlflow.entities import LoggedModelOutput

    tracking.client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])


def pack(source: Path, target: Path, *, run_id: str | None = None, model_id: str | None = None) -> None:
    """A model folder of the store as a folder in MLflow's layout."""
    import numpy as np
    from mlflow.models import Model
    from mlflow.models.signature import ModelSignature
    from mlflow.pyfunc import add_to_model
    from mlflow.types.schema import Schema, TensorSpec

    shutil.copytree(source, target / DATA)
    channels = len(json.loads((source / "model.json").read_text())["info"]["channels"])
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, -1, channels))]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, -1))]),
    )
    model = Model(run_id=run_id, signature=signature, model_id=model_id)
    add_to_model(model, loader_module=LOADER, data=DATA)
    model.save(str(target / "MLmodel"))
    (target / "requirements.txt").write_text("tswork\n")


def register_when(tracking: Tracking, member: Member, run_id: str, metrics: Mapping[str, float]) -> None:
    """Register the gate's model and move its alias when the gate's metric passes."""
    gate = member.header.gate
    if gate is None or not passes(gate, metrics):
        return
    from mlflow.exceptions import MlflowException

    outputs = tracking.client.get_run(run_id).outputs
    models = [tracking.client.get_logged_model(one.model_id) for one in (outputs.model_outputs if outputs else [])]
    chosen = next((model for model in models if model.name == gate.stage), None)
    if chosen is None:
        return
    name = gate.name or member.header.name
    try:
        tracking.client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    version = tracking.client.create_model_version(
        name, chosen.artifact_location, run_id=run_id, model_id=chosen.model_id
    )
    tracking.client.set_registered_model_alias(name, gate.alias, version.version)


def passes(gate: Gate, metrics: Mapping[str, float]) -> bool:
    """Whether the metric is there and inside the gate's bounds."""
    value = metrics.get(gate.metric)
    if value is None:
        return False
    return (gate.minimum is None or value >= gate.minimum) and (gate.maximum is None or value <= gate.maximum)
