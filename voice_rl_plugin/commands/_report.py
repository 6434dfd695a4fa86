"""What a home has said in some days, as a page: for shadow mode, where nothing is done, and for everybody who wants to know.

voice-rl experience report --days 7   ->   how much was acted on, would have been, asked, refused and why; what people judged; the sentences
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from voice_rl_plugin.commands._stores import at, in_words
from voice_rl_plugin.learning.store import StoredDecision

MOST_LINES = 40
"""Sentences shown a part; the newest."""
_BAD = -0.5
"""A settled reward below this says that it was wrong."""


def kind_of_decision(stored: StoredDecision) -> str:
    """Return `acted`, `shadow` (would have acted), `asked` or `refused`."""
    decision = stored.decision
    if decision.outcome == "act":
        return "shadow" if decision.executor == "none" and any(a.is_dispatched for a in decision.actions) else "acted"
    return "asked" if decision.outcome == "clarify" else "refused"


def report_page(stored: Iterable[StoredDecision], *, days: float) -> str:
    """Return the page, in Markdown.

    Args:
        stored: decisions, oldest first.
        days: how far back they go.
    """
    kinds: dict[str, list[StoredDecision]] = {"acted": [], "shadow": [], "asked": [], "refused": []}
    for one in stored:
        kinds[kind_of_decision(one)].append(one)
    total = sum(map(len, kinds.values()))
    parts = [f"# What was heard in {days:g} days", "", f"{total} sentences.", ""]
    if not total:
        return "\n".join(parts)
    parts += ["| | sentences | share | judged right | judged wrong |", "| --- | ---: | ---: | ---: | ---: |"]
    titles = {"acted": "done", "shadow": "would have been done (shadow mode)", "asked": "asked about", "refused": "refused"}
    for kind, title in titles.items():
        found = kinds[kind]
        rewards = [one.settlement.reward for one in found if one.settlement is not None and one.settlement.reward is not None]
        wrong = sum(reward < _BAD for reward in rewards)
        parts.append(f"| {title} | {len(found)} | {100 * len(found) / total:.0f} % | {len(rewards) - wrong} | {wrong} |")
    for kind, title, shown in (
        ("shadow", "Would have been done", lambda one: in_words(one.decision.actions)),
        ("asked", "Asked", lambda one: one.decision.question or one.decision.reason),
        ("refused", "Refused", lambda one: f"{one.decision.reason} [{one.decision.reason_code}]"),
    ):
        if kinds[kind]:
            parts += ["", f"## {title}", "", *_reasons(kinds[kind]), *_lines(kinds[kind], [shown(one) for one in kinds[kind]])]
    if kinds["shadow"]:
        parts += ["", "Judge what would have been done, beside what the other agent did: `voice-rl experience review`."]
    return "\n".join(parts)


def _reasons(found: Sequence[StoredDecision]) -> list[str]:
    counted = Counter(one.decision.reason_code or "-" for one in found).most_common()
    return [", ".join(f"{code} {count}" for code, count in counted) + ".", ""]


def _lines(found: Sequence[StoredDecision], shown: Sequence[str]) -> list[str]:
    lines = [
        f"- {at(one.decision.decided_at)} {one.decision.utterance.area or '-'}: “{one.decision.utterance.text}” -> {text}"
        for one, text in zip(found, shown, strict=True)
    ]
    left = len(lines) - MOST_LINES
    return [*lines[-MOST_LINES:][::-1], *([f"- and {left} before them"] if left > 0 else [])]
