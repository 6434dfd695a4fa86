"""Evaluation: what a whole brain, policy and rules together, does with sentences of which the right answer is known.

    outcome          wanted: act           wanted: ask        wanted: refuse
    act              right or WRONG        WRONG              WRONG
    clarify          asked; right where    right              asked
                     safety makes it ask
    reject           refused               refused            right

WRONG is an action that nobody asked for: it comes first on every scorecard, with the upper bound that the sample allows.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from voice_rl_plugin.deciding.cases import same_actions, upper_bound
from voice_rl_plugin.deciding.decider import Decider
from voice_rl_plugin.deciding.memory import Memory, MemoryEntry
from voice_rl_plugin.deciding.turn import Turn
from voice_rl_plugin.domain.action import Action, parse_action
from voice_rl_plugin.domain.beyond import SERVICES, WEATHER
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.home import Home, States
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.errors import ConfigError
from voice_rl_plugin.understanding.features import Observation
from voice_rl_plugin.understanding.frames import Logits, split_heads
from voice_rl_plugin.understanding.onnx_policy import Policy
from voice_rl_plugin.understanding.text import join
from voice_rl_training.corpus.samples import Sample
from voice_rl_training.networks import Encoder, Scorer
from voice_rl_training.relabel import Label

VERDICTS = ("right", "wrong_action", "asked", "refused")
_ASKS_FIRST = frozenset({"risky", "many"})
"""Reasons for which the rules ask about what was understood rightly."""
_NOW = 1_000_000.0
_BEYOND = frozenset(SERVICES) - {WEATHER}
"""The right answers of the corpus ask Home Assistant for the weather."""


class TorchPolicy:
    """Networks as a policy, without an export."""

    def __init__(self, encoder: Encoder, scorer: Scorer, *, version: str = "challenger") -> None:
        self._encoder = encoder.eval()
        self._scorer = scorer.eval()
        self._version = version

    @property
    def version(self) -> str:
        """Return the version that decisions are logged with."""
        return self._version

    @torch.no_grad()
    def read(self, observation: Observation) -> Logits:
        """Return what the network says of each token."""
        output = self._encoder(
            torch.from_numpy(observation.ids.astype(np.int64))[None],
            torch.from_numpy(observation.ngrams.astype(np.int64))[None],
            torch.from_numpy(observation.lexical)[None],
            torch.from_numpy(observation.context.astype(np.int64))[None],
        )
        return split_heads(output[0].numpy())

    @torch.no_grad()
    def score(self, features: NDArray[np.float32], context: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities of N candidates, of "none of these", and of "not for us": [N + 2]."""
        logs = self._scorer(torch.from_numpy(features)[None], torch.from_numpy(context)[None])[0]
        return logs.exp().numpy()  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A sentence with its right answer."""

    text: str
    home: Home
    want: tuple[Action, ...] | str
    """Actions, `clarify` or `reject`."""
    area: str | None = None
    language: str | None = None
    previous: tuple[Action, ...] = ()
    after: str | None = None
    """The command just before, as text; instead of `previous`."""
    states: States = field(default_factory=dict)
    group: str = ""

    @property
    def wants_action(self) -> bool:
        """Whether something is to be done."""
        return not isinstance(self.want, str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a brain did with a case."""

    case: Case
    decision: Decision
    verdict: str
    """One of VERDICTS."""


def judge(case: Case, decision: Decision) -> str:
    """Return which of VERDICTS a decision deserves."""
    if decision.outcome == "act":
        return "right" if _does(case, decision.actions) else "wrong_action"
    if decision.outcome == "reject":
        return "right" if case.want == "reject" else "refused"
    if case.want == "clarify":
        return "right"
    understood = any(_does(case, choice.actions) for choice in decision.choices)
    return "right" if understood and decision.reason_code in _ASKS_FIRST else "asked"


def _does(case: Case, actions: Sequence[Action]) -> bool:
    return not isinstance(case.want, str) and same_actions(case.want, actions)


def hear_all(policy: Policy, cases: Iterable[Case], *, memory: Iterable[MemoryEntry] = ()) -> list[Judged]:
    """Let a brain with this policy hear every case."""
    entries = tuple(memory)
    decider: Decider | None = None
    judged = []
    for number, case in enumerate(cases):
        if decider is None:
            decider = Decider(policy=policy, home=case.home, memory=Memory(entries), beyond=_BEYOND)
        elif decider.home is not case.home:
            decider.set_home(case.home)
        states = case.states or case.home.initial_states
        last = _turn_before(decider, case, states)
        utterance = Utterance(text=case.text, language=case.language, area=case.area, door="dry_run")
        decision = decider.hear(utterance, states=states, last=last, now=_NOW, decision_id=str(number)).decision
        if decision is None:  # heard as a judgement of the command before
            decision = Decision(
                id=str(number), utterance=utterance, language=case.language or "en", outcome="reject", reason_code="feedback"
            )
        judged.append(Judged(case=case, decision=decision, verdict=judge(case, decision)))
    return judged


def _turn_before(decider: Decider, case: Case, states: States) -> Turn | None:
    utterance = Utterance(text=case.after or "", language=case.language, area=case.area, door="dry_run")
    if case.after is not None:
        heard = decider.hear(utterance, states=states, last=None, now=_NOW - 5, decision_id="before").decision
        return None if heard is None else Turn(decision=heard, at=_NOW - 5)
    if not case.previous:
        return None
    done = Decision(id="before", utterance=utterance, language=case.language or "en", outcome="act", actions=case.previous)
    return Turn(decision=done, at=_NOW - 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """How many sentences went which way."""

    cases: int
    right: int
    wrong_actions: int
    asked: int
    refused: int
    acted: int
    """Decisions to act."""
    acted_rightly: int
    to_act: int
    """Cases in which something was to be done."""
    calibration_error: float
    """Between confidence and being right, over the decisions to act."""

    @property
    def accuracy(self) -> float:
        """Return the share of right answers."""
        return self.right / self.cases if self.cases else 0.0

    @property
    def precision(self) -> float:
        """Return the share of the actions that were right."""
        return self.acted_rightly / self.acted if self.acted else 1.0

    @property
    def recall(self) -> float:
        """Return the share of the wanted actions that were done."""
        return self.acted_rightly / self.to_act if self.to_act else 1.0

    def to_mapping(self) -> dict[str, Any]:
        """Return all figures by name, the most important first."""
        return {
            "cases": self.cases,
            "wrong_actions": self.wrong_actions,
            "wrong_actions_upper_bound": round(upper_bound(self.wrong_actions, self.cases), 5) if self.cases else 1.0,
            "right": self.right,
            "asked": self.asked,
            "refused": self.refused,
            "accuracy": round(self.accuracy, 5),
            "precision": round(self.precision, 5),
            "recall": round(self.recall, 5),
            "calibration_error": round(self.calibration_error, 5),
        }


def scorecard(judged: Sequence[Judged], *, bins: int = 10) -> Scorecard:
    """Count what a brain did."""
    counts = {verdict: sum(1 for one in judged if one.verdict == verdict) for verdict in VERDICTS}
    acted = [one for one in judged if one.decision.outcome == "act"]
    acted_rightly = sum(1 for one in acted if one.verdict == "right")
    return Scorecard(
        cases=len(judged),
        right=counts["right"],
        wrong_actions=counts["wrong_action"],
        asked=counts["asked"],
        refused=counts["refused"],
        acted=len(acted),
        acted_rightly=acted_rightly,
        to_act=sum(1 for one in judged if one.case.wants_action),
        calibration_error=calibration_error([(one.decision.confidence, one.verdict == "right") for one in acted], bins=bins),
    )


def calibration_error(pairs: Sequence[tuple[float, bool]], *, bins: int = 10) -> float:
    """Return the expected calibration error of (confidence, was right), in bins of equal mass."""
    if not pairs:
        return 0.0
    ordered = sorted(pairs)
    total = 0.0
    for chunk in np.array_split(np.array(ordered, float), min(bins, len(ordered))):
        total += abs(float(chunk[:, 0].mean() - chunk[:, 1].mean())) * len(chunk)
    return total / len(ordered)


def cases_of_samples(samples: Iterable[Sample]) -> Iterator[Case]:
    """Yield the samples of one clause as cases; a judgement of the last action is none."""
    for sample in samples:
        if len(sample.clauses) != 1 or sample.clauses[0].mood == "feedback":
            continue
        gold = sample.golds[0]
        want: tuple[Action, ...] | str = gold.outcome
        if gold.outcome == "act":
            want = tuple(actions_of_key(gold.keys[0]))
        yield Case(
            text=join(sample.words),
            home=sample.home,
            want=want,
            area=sample.area,
            language=sample.language,
            previous=sample.previous,
            group=sample.clauses[0].mood,
        )


def actions_of_key(key: str) -> Iterator[Action]:
    """Yield the actions that a candidate's key stands for."""
    decoder = json.JSONDecoder()
    start = 0
    while start < len(key):
        (service, targets, values), end = decoder.raw_decode(key, start)
        yield Action(service=service, targets=tuple(targets), data=values)
        start = end + 1


def cases_of_labels(labels: Iterable[Label], home: Home) -> list[Case]:
    """Return labels as cases; to refuse is the right answer where nothing was to be done."""
    return [
        Case(
            text=label.text,
            home=home,
            want=label.actions or "reject",
            area=label.area,
            language=label.language,
            previous=label.previous,
            states=label.states,
            group="labelled",
        )
        for label in labels
    ]


def golden_cases(languages: Sequence[str] = ("en", "zh")) -> list[Case]:
    """Return the bundled golden set: a small home, sentences that must stay right, and sentences that must never act.

    Raises:
        ConfigError: a file is damaged.
    """
    cases: list[Case] = []
    for language in languages:
        text = resources.files("voice_rl_training").joinpath("golden", f"{language}.yaml").read_text(encoding="utf-8")
        cases += read_cases(yaml.safe_load(text), where=f"golden/{language}.yaml")
    return cases


def read_cases(root: Mapping[str, Any], *, where: str) -> list[Case]:
    """Read a home with cases, in the forms of `home.yaml` and `cases.yaml`.

    Raises:
        ConfigError: something in it is wrong.
    """
    if not isinstance(root, Mapping) or not {"home", "cases"} <= set(root):
        raise ConfigError(f"{where}: expected the keys home and cases")
    home = Home.from_mapping(root["home"], where=f"{where}: home")
    return [_case(row, home, where=f"{where}: cases: {number}") for number, row in enumerate(root["cases"], 1)]


def _case(row: Any, home: Home, *, where: str) -> Case:
    if not isinstance(row, Mapping) or not {"say", "want"} <= set(row):
        raise ConfigError(f"{where}: expected say and want, got {row!r}")
    want = row["want"]
    if isinstance(want, str) and want not in ("clarify", "reject"):
        raise ConfigError(f"{where}: want: expected clarify, reject or a list of actions, got {want!r}")
    if row.get("area") is not None and row["area"] not in home.area_by_id:
        raise ConfigError(f"{where}: area: {row['area']!r} is not defined")
    return Case(
        text=str(row["say"]),
        home=home,
        want=want if isinstance(want, str) else tuple(parse_action(line, where=where) for line in want),
        area=row.get("area"),
        language=home.language,
        after=row.get("after"),
        group=str(row.get("group", "")),
    )
