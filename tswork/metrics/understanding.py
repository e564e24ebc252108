"""How well target strings (`tswork.text.targets`) were written: intent, entities, what was said, and all of it as one string.

Word error rates differ by what they are taken of: that of the whole string counts intent and entities as words, as the authors
of COCONUT do, and cannot be compared with that of a transcript. Both are given under their names.
"""

from __future__ import annotations

from collections.abc import Sequence

from tswork.metrics.slu import Missing, entity_scores, intent_accuracy
from tswork.metrics.word_errors import word_errors
from tswork.text.targets import Target, parse_target


def understanding_measures(
    truth: Sequence[Target], written: Sequence[str | None], *, missing: Missing = "count"
) -> dict[str, float]:
    """Every figure by name, over all utterances; None is an utterance of which nothing was written."""
    found = [None if text is None else parse_target(text) for text in written]
    kept = [place for place, target in enumerate(found) if target is not None or missing == "count"]
    transcripts = word_errors(
        [truth[place].transcript for place in kept],
        [target.transcript if (target := found[place]) is not None else None for place in kept],
    )
    strings = word_errors([truth[place].text for place in kept], [written[place] for place in kept])
    intents = [None if target is None else target.intent for target in found]
    scenarios = [None if target is None else target.scenario for target in found]
    entities = entity_scores(
        [target.entities for target in truth],
        [None if target is None else target.entities for target in found],
        missing=missing,
    )
    return {
        "intent_accuracy": intent_accuracy([target.intent for target in truth], intents, missing=missing),
        "scenario_accuracy": intent_accuracy([target.scenario for target in truth], scenarios, missing=missing),
        **entities.measures,
        "transcript_wer": transcripts.rate,
        "string_wer": strings.rate,
    }
