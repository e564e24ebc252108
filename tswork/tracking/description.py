"""The description of a run on its page in MLflow: what the pipeline says of itself, the tables of results, and what they warn of."""

from __future__ import annotations

from collections.abc import Sequence

from tswork.pipeline.outcome import outcomes, remarks
from tswork.pipeline.runner import MemberReport
from tswork.pipeline.spec import StageSpec
from tswork.tracking import names

MORE = f"There is more in the artifact `{names.RESULTS}` of the whole run."


def described(description: str | None, stages: Sequence[StageSpec], members: Sequence[MemberReport]) -> str:
    """Markdown of at most as many characters as a tag takes; what does not fit is left out as a whole."""
    blocks = [description] if description else []
    blocks += [found.markdown() for found in outcomes(stages, members)]
    told = dict.fromkeys(text for member in members for text in remarks(member.results))
    if len(members) == 1 and told:
        blocks.append("\n".join(f"- {text}" for text in told))
    kept: list[str] = []
    for block in blocks:
        if sum(map(len, kept)) + len(block) + 2 * len(blocks) + len(MORE) > names.MAX_TAG:
            return "\n\n".join([*kept, MORE])
        kept.append(block)
    return "\n\n".join(kept)
