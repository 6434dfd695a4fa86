"""A transition: one logged decision step with its reward, the row that the trainer learns from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A decision, what was observed, and what came back."""

    decision_id: str
    text: str
    language: str
    area: str | None
    previous: tuple[Mapping[str, Any], ...]
    """The actions of the command just before (payload form), which a follow-up refers to."""
    outcome: str
    actions: tuple[Mapping[str, Any], ...]
    """What was done, payload form."""
    candidates: tuple[Mapping[str, Any], ...]
    """What was considered: `{"actions": [...], "probability": p}`, best first."""
    propensity: float
    policy_version: str
    stage: str
    reward: float | None
    """In [-1, 1]; None while silence is all there is."""
    reward_source: str | None = None
    weight: float = 1.0
    correction: tuple[Mapping[str, Any], ...] | None = None
    """The right actions, payload form, when a correction or a confirmation names them; () means it should have been refused."""
    correction_text: str | None = None
    decided_at: float = 0.0
    choices: tuple[Mapping[str, Any], ...] = ()
    """What the question offered, in the form of `candidates`."""
    states: Mapping[str, Any] = field(default_factory=dict)
    """States of the entities that the candidates name, at decision time."""
