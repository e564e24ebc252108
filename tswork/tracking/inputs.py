"""The data of a member as an MLflow dataset with our own digest of their full content, and their card as an artifact."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tswork.pipeline.spec import Member
from tswork.tracking import names
from tswork.tracking.client import Tracking
from tswork.tracking.resolved import resolved

DIGEST_DIGITS = 32
"""MLflow takes 36 characters; its own digests look at the first ten thousand values alone."""
MAX_COLUMNS = 1000
CONTEXTS = "train, validation, test"


def log_data(tracking: Tracking, run_id: str, member: Member, about: Mapping[str, Any]) -> None:
    """Log the data set as the input of a run, and `data_card.yaml`."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    card = resolved(member)["data"]
    columns = [{"name": name, "type": "float", "required": True} for name in about["channels"]]
    elements = about["steps"] * len(columns)
    dataset = Dataset(
        name=str(about["name"])[:500],
        digest=str(about["digest"])[:DIGEST_DIGITS],
        source_type="tswork",
        source=json.dumps(card)[:65_000],
        schema=json.dumps({"mlflow_colspec": columns}) if len(columns) <= MAX_COLUMNS else None,
        profile=json.dumps({"num_rows": about["steps"], "num_sequences": about["sequences"], "num_elements": elements}),
    )
    tracking.client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", CONTEXTS)])])
    tracking.client.log_dict(run_id, {**card, "content": dict(about)}, "data_card.yaml")


def data_tags(about: Mapping[str, Any]) -> dict[str, str]:
    """Name and full digest of the data, and the leaks that were let pass."""
    leaks = about.get("leaks") or []
    leaky = {names.LEAKY: "; ".join(leaks)} if leaks else {}
    return {names.DATA_DIGEST: str(about["digest"]), names.DATA_NAME: str(about["name"]), **leaky}
