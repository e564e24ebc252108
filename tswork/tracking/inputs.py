"""The data of a member as an MLflow dataset with our own digest of their full content, and their card as an artifact; recordings
that were left out are listed in one of their own."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
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
    """Log the data set as the input of a run, `data_card.yaml`, and `left_out.csv` where recordings were left out."""
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
    left_out = about.get("left_out") or []
    content = {key: value for key, value in about.items() if key != "left_out"}
    tracking.client.log_dict(run_id, {**card, "content": content}, "data_card.yaml")
    if left_out:
        tracking.client.log_text(run_id, _csv([("where", "path", "reason"), *left_out]), "left_out.csv")


def _csv(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def data_tags(about: Mapping[str, Any]) -> dict[str, str]:
    """Name and full digest of the data, and the leaks that were let pass."""
    leaks = about.get("leaks") or []
    leaky = {names.LEAKY: "; ".join(leaks)} if leaks else {}
    return {names.DATA_DIGEST: str(about["digest"]), names.DATA_NAME: str(about["name"]), **leaky}
