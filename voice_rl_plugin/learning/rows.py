"""Values to stored JSON and back, with the checksum that guards each row."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from voice_rl_plugin.deciding.aliases import Alias
from voice_rl_plugin.deciding.memory import MemoryEntry, memory_words
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.decision import Candidate, Decision
from voice_rl_plugin.domain.feedback import Feedback
from voice_rl_plugin.domain.home import States
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.learning.reward import Settlement

DAY_S = 86_400.0


_CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"))
_ESCAPED = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def dump(value: Any) -> str:
    """Return the canonical JSON of a value."""
    text = _CANONICAL.encode(value)
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which JSON can hold and SQLite cannot
        return _ESCAPED.encode(value)
    return text


def checksum_of(*parts: Any) -> str:
    """Return the checksum of the columns of a row."""
    return hashlib.sha256(dump(parts).encode()).hexdigest()[:32]


def pattern_of(utterance: Utterance) -> str:
    """Return what makes two utterances the same for the daily caps: a hash of words and area, so that it keeps no words."""
    return checksum_of(memory_words(utterance.text), utterance.area)


def feedback_id(feedback: Feedback) -> str:
    """Return the id of a feedback, made from its content where the sender gave none."""
    return feedback.id or checksum_of("feedback", feedback_to_mapping(feedback))


def actions_to_list(actions: Iterable[Action]) -> list[dict[str, Any]]:
    """Return actions in the payload form."""
    return [action.to_payload() for action in actions]


def actions_from_list(payloads: Iterable[Mapping[str, Any]]) -> tuple[Action, ...]:
    """Read back what `actions_to_list` wrote."""
    return tuple(Action.from_payload(payload) for payload in payloads)


def candidate_to_mapping(candidate: Candidate) -> dict[str, Any]:
    """Return a candidate as JSON."""
    return {
        "actions": actions_to_list(candidate.actions),
        "probability": candidate.probability,
        "label": candidate.label,
        "features": list(candidate.features),
    }


def candidate_from_mapping(mapping: Mapping[str, Any]) -> Candidate:
    """Read back what `candidate_to_mapping` wrote."""
    return Candidate(
        actions=actions_from_list(mapping["actions"]),
        probability=float(mapping["probability"]),
        label=mapping.get("label", ""),
        features=tuple(mapping.get("features", ())),
    )


_DECISION_PLAIN = (
    "id",
    "language",
    "outcome",
    "question",
    "confidence",
    "propensity",
    "stage",
    "policy_version",
    "executor",
    "reason",
    "reason_code",
    "not_for_us",
    "latency_ms",
    "decided_at",
)


def decision_to_mapping(decision: Decision) -> dict[str, Any]:
    """Return a decision as JSON, complete."""
    return {
        **{name: getattr(decision, name) for name in _DECISION_PLAIN},
        "utterance": asdict(decision.utterance),
        "actions": actions_to_list(decision.actions),
        "choices": [candidate_to_mapping(candidate) for candidate in decision.choices],
        "candidates": [candidate_to_mapping(candidate) for candidate in decision.candidates],
        "moods": dict(decision.moods),
    }


def decision_from_mapping(mapping: Mapping[str, Any]) -> Decision:
    """Read back what `decision_to_mapping` wrote; fields that an older version did not know get their defaults."""
    return Decision(
        **{name: mapping[name] for name in _DECISION_PLAIN if name in mapping},
        utterance=Utterance(**mapping["utterance"]),
        actions=actions_from_list(mapping["actions"]),
        choices=tuple(candidate_from_mapping(candidate) for candidate in mapping.get("choices", ())),
        candidates=tuple(candidate_from_mapping(candidate) for candidate in mapping.get("candidates", ())),
        moods=dict(mapping.get("moods", {})),
    )


def feedback_to_mapping(feedback: Feedback) -> dict[str, Any]:
    """Return a feedback as JSON."""
    return {
        "decision_id": feedback.decision_id,
        "verdict": feedback.verdict,
        "source": feedback.source,
        "correction": actions_to_list(feedback.correction),
        "correction_text": feedback.correction_text,
        "user": feedback.user,
        "given_at": feedback.given_at,
        "id": feedback.id,
        "is_inferred": feedback.is_inferred,
    }


def feedback_from_mapping(mapping: Mapping[str, Any]) -> Feedback:
    """Read back what `feedback_to_mapping` wrote."""
    return Feedback(**{**mapping, "correction": actions_from_list(mapping["correction"])})


def settlement_to_mapping(settlement: Settlement) -> dict[str, Any]:
    """Return a settlement as JSON."""
    correction = settlement.correction
    return {
        "reward": settlement.reward,
        "weight": settlement.weight,
        "source": settlement.source,
        "correction": None if correction is None else actions_to_list(correction),
        "correction_text": settlement.correction_text,
        "user": settlement.user,
    }


def settlement_from_mapping(mapping: Mapping[str, Any]) -> Settlement:
    """Read back what `settlement_to_mapping` wrote."""
    correction = mapping["correction"]
    return Settlement(**{**mapping, "correction": None if correction is None else actions_from_list(correction)})


def entry_to_mapping(entry: MemoryEntry) -> dict[str, Any]:
    """Return a memory entry as JSON."""
    return {
        "words": entry.words,
        "area": entry.area,
        "actions": actions_to_list(entry.actions),
        "decision_id": entry.decision_id,
        "learned_at": entry.learned_at,
        "is_contested": entry.is_contested,
        "rival": None if entry.rival is None else actions_to_list(entry.rival),
    }


def entry_from_mapping(mapping: Mapping[str, Any]) -> MemoryEntry:
    """Read back what `entry_to_mapping` wrote."""
    rival = mapping["rival"]
    return MemoryEntry(
        **{**mapping, "actions": actions_from_list(mapping["actions"]), "rival": None if rival is None else actions_from_list(rival)}
    )


def alias_to_mapping(alias: Alias) -> dict[str, Any]:
    """Return an alias as JSON."""
    return asdict(alias)


def alias_from_mapping(mapping: Mapping[str, Any]) -> Alias:
    """Read back what `alias_to_mapping` wrote."""
    return Alias(**mapping)


def states_of_candidates(decision: Decision, states: States) -> dict[str, Any]:
    """Return the states of the entities that a decision considered, as JSON."""
    considered = [*decision.candidates, *decision.choices]
    targets = {target for candidate in considered for action in candidate.actions for target in action.targets}
    targets |= {target for action in decision.actions for target in action.targets}
    return {target: asdict(states[target]) for target in sorted(targets) if target in states}


def words_in(decision: Decision, previous: Iterable[Action], feedback: Iterable[Feedback]) -> str:
    """Return every human text that is kept about a decision, one a line: what an erasure by text looks at."""
    candidates = [*decision.choices, *decision.candidates]
    judgements = list(feedback)
    texts = [decision.utterance.text, decision.question, decision.reason, *(candidate.label for candidate in candidates)]
    texts += [judgement.correction_text for judgement in judgements]
    actions = [*decision.actions, *previous, *(action for candidate in candidates for action in candidate.actions)]
    actions += [action for judgement in judgements for action in judgement.correction]
    texts += [str(value) for action in actions for value in action.data.values()]
    return "\n".join(text for text in texts if text)
