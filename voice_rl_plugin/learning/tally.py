"""The tally: what was decided in a span of time, and what people said of it, counted from the experience store.

It survives restarts, knows no guests, and forgets what is erased.
"""

import json
from collections.abc import Mapping

from voice_rl_plugin.deciding.turn import QUESTION_S
from voice_rl_plugin.learning.rows import DAY_S, feedback_from_mapping
from voice_rl_plugin.learning.statements import Statements

KINDS = ("acted", "asked", "rejected", "confirmed", "denied", "corrected", "undone")

_OUTCOMES = {"act": "acted", "clarify": "asked", "reject": "rejected"}
_VERDICTS = {"yes": "confirmed", "no": "denied", "correct": "corrected", "undo": "undone"}


def tally(connection: Statements, *, since: float) -> Mapping[str, int]:
    """Count decisions by their outcome, and judged decisions by what was said of them, each once.

    Args:
        connection: to the experience store.
        since: Unix seconds.

    Returns:
        A count for each of KINDS. A question that was answered over the topic counts as acted too, as one answered by voice does.
    """
    counts = dict.fromkeys(KINDS, 0)
    for outcome, count in connection.execute("SELECT outcome, count(*) FROM decisions WHERE decided_at >= ? GROUP BY outcome", (since,)):
        if outcome in _OUTCOMES:
            counts[_OUTCOMES[outcome]] = count
    judged: set[tuple[str, str]] = set()
    sql = "SELECT d.id, d.outcome, d.decided_at, f.source, f.body FROM feedback f JOIN decisions d ON d.id = f.decision_id WHERE f.day >= ?"
    for decision_id, outcome, decided_at, source, body in connection.execute(sql, (int(since // DAY_S),)):
        try:
            feedback = feedback_from_mapping(json.loads(body))
        except (ValueError, TypeError, KeyError):  # a damaged row
            continue
        if feedback.given_at < since or feedback.is_inferred or feedback.verdict not in _VERDICTS:
            continue
        is_answer = outcome == "clarify" and bool(feedback.correction)
        judged.add((decision_id, "confirmed" if is_answer else _VERDICTS[feedback.verdict]))
        if is_answer and feedback.verdict == "yes" and source == "topic" and feedback.given_at - decided_at <= QUESTION_S:
            judged.add((decision_id, "acted"))
    for _, kind in judged:
        counts[kind] += 1
    return counts
