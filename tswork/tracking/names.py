"""Tags that tswork writes, and how its names become MLflow's."""

from __future__ import annotations

import re

PIPELINE = "tswork.pipeline"
MEMBER = "tswork.member"
AXES = "tswork.axes"
STAGE_KEYS = "tswork.stage_keys"
STAGES = "tswork.stages"
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

MAX_NAME = 250


def slug(name: str) -> str:
    """A metric or parameter name as MLflow accepts it: `mse@h24` becomes `mse.h24`, other strangers become `_`."""
    return re.sub(r"[^/\w.\- :]", "_", name.replace("@", "."))[:MAX_NAME]


def artifact_name(name: str) -> str:
    """A relative artifact path. Raises `ValueError` for absolute paths and for `..`."""
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "~")) or ".." in parts or ":" in parts[0]:
        raise ValueError(f"{name!r} is not a relative path inside the run's artifacts")
    return "/".join(re.sub(r"[^\w.\- @+=,]", "_", part) for part in parts if part not in ("", "."))
