"""A decision: act, clarify or reject, with everything needed to explain, confirm and learn from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.utterance import Utterance

OUTCOMES = ("act", "clarify", "reject")
STAGES = ("memory", "alias", "rule", "policy", "exploration")
EXECUTORS = ("dispatch", "home_assistant", "device", "wyoming_intent", "hermes", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Something that could be done: an ordered list of actions with the calibrated probability that it is right."""

    actions: tuple[Action, ...]
    probability: float
    label: str = ""
    """How it is named in a question, in the speaker's language: "the desk lamp"."""
    features: tuple[float, ...] = ()
    """What the scorer saw of it; kept for learning."""

    @property
    def key(self) -> str:
        """Return the canonical text of its actions."""
        return "|".join(action.key for action in self.actions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided about one utterance, and why."""

    id: str
    utterance: Utterance
    language: str
    """`en` or `zh`, as understood."""
    outcome: str
    """One of OUTCOMES."""
    actions: tuple[Action, ...] = ()
    """In order; empty unless the outcome is act."""
    question: str | None = None
    choices: tuple[Candidate, ...] = ()
    """What the question offers, best first."""
    confidence: float = 0.0
    """Calibrated probability that the chosen outcome is right."""
    propensity: float = 1.0
    """Probability with which the deployed policy takes this outcome here, after masks and exploration."""
    stage: str = "policy"
    """One of STAGES: what decided."""
    policy_version: str = ""
    executor: str = "none"
    """One of EXECUTORS."""
    reason: str = ""
    """Why, in one sentence in the speaker's language."""
    reason_code: str = ""
    """The same as one fixed word for programs: `confident`, `ambiguous`, `risky`, `prohibition`, `scheduled`, `unknown_name`, ..."""
    candidates: tuple[Candidate, ...] = ()
    """All that was considered, best first."""
    not_for_us: float = 0.0
    """Probability that the utterance is not for the home."""
    moods: Mapping[str, float] = field(default_factory=dict)
    latency_ms: float = 0.0
    decided_at: float = 0.0
    """Unix seconds."""

    @property
    def is_risky(self) -> bool:
        """Whether it waits for a confirmation that must name this decision."""
        return self.reason_code == "risky"

    def to_payload(self) -> dict[str, Any]:
        """Return the JSON form of `<prefix>/decision`."""
        payload: dict[str, Any] = {
            "decision_id": self.id,
            "utterance": self.utterance.text,
            "language": self.language,
            "area": self.utterance.area,
            "outcome": self.outcome,
            "actions": [action.to_payload() for action in self.actions],
            "confidence": round(self.confidence, 4),
            "propensity": round(self.propensity, 4),
            "stage": self.stage,
            "policy_version": self.policy_version,
            "executor": self.executor,
            "reason": self.reason,
            "reason_code": self.reason_code,
            "latency_ms": round(self.latency_ms, 3),
        }
        if self.question is not None:
            payload["question"] = self.question
            payload["choices"] = [
                {"label": choice.label, "actions": [action.to_payload() for action in choice.actions]} for choice in self.choices
            ]
        return payload
