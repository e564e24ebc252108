"""Tags that tswork writes, and how its names become MLflow's."""

from __future__ import annotations

import hashlib
import re

PIPELINE = "tswork.pipeline"
MEMBER = "tswork.member"
AXES = "tswork.axes"
BESIDE = "tswork.beside"
"""Keys of the data that another file than the pipeline gave (a card), and the folders of these files."""
STAGE = "tswork.stage."
"""Followed by a stage's name: its component, its key, and what became of it."""
STAGE_KEY = "tswork.stage_key"
"""On a logged model: the training it comes from."""
DATA_DIGEST = "tswork.data_digest"
DATA_NAME = "tswork.data"
SEED = "tswork.seed"
COMMIT = "tswork.commit"
VERSIONS = "tswork.versions"
LEAKY = "tswork.leaky"
HEARTBEAT = "tswork.heartbeat"
PROCESS = "tswork.process"
REASON = "tswork.reason"
LEVEL = "tswork.level"
GATE = "tswork.gate"
"""What came of the pipeline's gate."""
RESOLVED = "pipeline.resolved.yaml"
"""The artifact that says what a member was run with."""
RESULTS = "results.csv"
"""The artifact of a whole run that holds every figure of every member."""
NOTE = "mlflow.note.content"
"""The description that MLflow's page of a run shows, in Markdown."""
SOURCE = "mlflow.source.name"
MODEL_VERSIONS = "mlflow.modelVersions"

MAX_NAME, MAX_TAG, MAX_PARAMETER = 250, 8000, 6000


def slug(name: str) -> str:
    """A metric, parameter or tag name as MLflow accepts it: `mse@h24` becomes `mse.h24`, `macro_f1@10%` becomes
    `macro_f1.10percent`, other strangers become `_`.

    Names that are too long end in a hash, so that two of them stay two.
    """
    text = re.sub(r"[^/\w.\- :]", "_", name.replace("@", ".").replace("%", "percent"))
    text = "/".join("_" if piece in ("", ".", "..") else piece for piece in text.split("/"))
    if len(text) <= MAX_NAME:
        return text
    ending = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{text[: MAX_NAME - 9]}-{ending}"


def artifact_name(name: str) -> str:
    """A relative artifact path. Raises `ValueError` for absolute paths and for `..`."""
    parts = name.replace("\\", "/").split("/")
    if parts[0] in ("", "~") or ".." in parts or ":" in parts[0]:
        raise ValueError(f"{name!r} is not a relative path inside the run's artifacts")
    parts = [part.replace("%", "percent") for part in parts]
    return "/".join(re.sub(r"[^\w.\- @+=,]", "_", part) for part in parts if part not in ("", "."))


def folder_name(name: str) -> str:
    """One folder's name for any text."""
    return re.sub(r"[^\w.-]", "_", name).strip(".")[:MAX_NAME] or "_"


def first_line(error: BaseException) -> str:
    """What an error says, without the pages that follow; of a failed request its cause."""
    text = str(error).strip()
    cause = re.search(r"\[Errno -?\d+\] ([\w ,]+)", text)
    if "failed with exception" in text and cause is not None:
        return cause[1].strip()
    if "timed out" in text:
        return "it did not answer in time"
    refused = re.search(
        r"^\([\w.]+Error\) (.+)$", text, re.MULTILINE
    )  # of a database, behind what its library says of itself
    if refused is not None:
        return refused[1][:300]
    return (text.partition("\n")[0] or type(error).__name__)[:300]
