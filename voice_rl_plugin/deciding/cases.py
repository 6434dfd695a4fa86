"""Cases: sentences with the answer that is wanted, and the verdict on what was decided.

    - {group: value, say: "bar down to thirty five", area: kitchen, want: ["light.turn_on light.counter_bar brightness_pct=35"]}
    - {group: followup, after: "turn on the bar", say: "now at sixty", want: [...]}
    - {group: oos, say: "leave that bar off", want: reject}         # or clarify
    - {group: indirect, say: "it's dark", want_any: [[...], [...]]}   # several answers are right

Other keys of an entry are notes of its writer.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from voice_rl_plugin.deciding.decider import Decider
from voice_rl_plugin.deciding.turn import Turn
from voice_rl_plugin.domain.action import Action, parse_action
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.errors import ConfigError
from voice_rl_plugin.understanding.text import words_of

VERDICTS = ("right", "wrong_action", "asked", "refused")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One sentence and what is wanted."""

    say: str
    group: str = ""
    area: str | None = None
    after: str | None = None
    """The command just before."""
    language: str | None = None
    outcome: str = "act"
    """`act`, `clarify` or `reject`."""
    wanted: tuple[tuple[Action, ...], ...] = ()
    """The action lists that are right; one of them is enough."""


def parse_cases(document: Any, home: Home, *, where: str = "cases") -> tuple[Case, ...]:
    """Read a case file's list.

    Raises:
        ConfigError: an entry is not in the form above; the message says which.
    """
    if not isinstance(document, list):
        raise ConfigError(f"{where}: expected a list of cases, got {type(document).__name__}")
    return tuple(_case(entry, home, f"{where}: case {number}") for number, entry in enumerate(document))


def _case(entry: Any, home: Home, where: str) -> Case:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("say"), str):
        raise ConfigError(f"{where}: expected a mapping with `say`, got {entry!r}")
    for key in ("after", "language"):
        if entry.get(key) is not None and not isinstance(entry[key], str):
            raise ConfigError(f"{where}: {key}: expected a text, got {entry[key]!r}")
    area = entry.get("area")
    if area is not None:
        found = home.find_area(str(area))
        if found is None:
            raise ConfigError(f"{where}: area {area!r} is not defined in the home")
        area = found.id
    want, several = entry.get("want"), entry.get("want_any")
    outcome = "act"
    wanted: tuple[tuple[Action, ...], ...] = ()
    if want in ("reject", "clarify"):
        outcome = str(want)
    elif several is not None:
        if not isinstance(several, list):
            raise ConfigError(f"{where}: want_any: expected a list of action lists, got {several!r}")
        wanted = tuple(_actions(one, where) for one in several)
    elif want is not None:
        wanted = (_actions(want, where),)
    else:
        raise ConfigError(f"{where}: expected `want` or `want_any`")
    return Case(
        say=entry["say"],
        group=str(entry.get("group", "")),
        area=area,
        after=entry.get("after"),
        language=entry.get("language"),
        outcome=outcome,
        wanted=wanted,
    )


def _actions(lines: Any, where: str) -> tuple[Action, ...]:
    if isinstance(lines, str):
        lines = [lines]
    if not isinstance(lines, list):
        raise ConfigError(f"{where}: expected a list of actions, reject or clarify, got {lines!r}")
    return tuple(parse_action(str(line), where=where) for line in lines)


def decide_case(decider: Decider, case: Case, *, decision_id: str = "case") -> Decision:
    """Return the decision about a case, in a home whose states are those of its file."""
    home = decider.home
    last: Turn | None = None
    if case.after:
        before = Utterance(text=case.after, area=case.area, language=case.language, door="dry_run")
        heard = decider.hear(before, states=home.initial_states, last=None, now=0.0, decision_id="before")
        if heard.decision is not None:
            last = Turn(decision=heard.decision, at=0.0)
    utterance = Utterance(text=case.say, area=case.area, language=case.language, door="dry_run")
    heard = decider.hear(utterance, states=home.initial_states, last=last, now=5.0, decision_id=decision_id)
    if heard.decision is not None:
        return heard.decision
    return Decision(id=decision_id, utterance=utterance, language=home.language, outcome="reject", reason_code="feedback")


def judge(case: Case, decision: Decision) -> str:
    """Return one of VERDICTS; asking or refusing counts as right where it is wanted."""
    if decision.outcome == "act":
        if case.outcome == "act" and any(same_actions(wanted, decision.actions) for wanted in case.wanted):
            return "right"
        return "wrong_action"
    if decision.outcome == case.outcome:
        return "right"
    return "asked" if decision.outcome == "clarify" else "refused"


def same_actions(wanted: Sequence[Action], done: Sequence[Action]) -> bool:
    """Whether two action lists do the same; a wanted `+` or `-` fits every step in that direction, intents are compared by name.

    The words of a call, a message or a place are compared without case and punctuation; the sentence of a question about a way is not.
    """
    if any(a.domain == "intent" for a in wanted):
        return [a.service for a in wanted] == [a.service for a in done]
    left = _by_target(wanted)
    right = _by_target(done)
    if left.keys() != right.keys():
        return False
    return all(
        len(left[key]) == len(right[key]) and all(_same_data(a, b) for a, b in zip(left[key], right[key], strict=True)) for key in left
    )


def _by_target(actions: Sequence[Action]) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    calls: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for action in actions:
        for target in action.targets or ("",):
            calls.setdefault((action.service, target), []).append(action.data)
    return calls


def _same_data(wanted: Mapping[str, Any], done: Mapping[str, Any]) -> bool:
    if "text" in done and "text" not in wanted and "language" not in done:
        done = {key: value for key, value in done.items() if key != "text"}
    return set(wanted) == set(done) and all(_same_value(wanted[key], done[key]) for key in wanted)


def _same_value(wanted: Any, done: Any) -> bool:
    if wanted in ("+", "-") and isinstance(done, (int, float)):
        return bool((done > 0) == (wanted == "+"))
    if isinstance(wanted, str) and wanted[:1] == "+":
        wanted = float(wanted)
    if isinstance(wanted, (int, float)) and isinstance(done, (int, float)) and not isinstance(wanted, bool):
        return math.isclose(float(wanted), float(done), abs_tol=0.011)
    if isinstance(done, str):
        return words_of(str(wanted)) == words_of(done)
    return bool(wanted == done)


def upper_bound(events: int, trials: int, *, confidence: float = 0.95) -> float:
    """Return the exact one-sided upper bound of a rate: the rate at which so few events would be this unlikely.

    Source: Clopper and Pearson 1934, Biometrika 26, section 3, by bisection.
    """
    if not 0 <= events <= trials:
        raise ValueError(f"expected 0 <= events <= trials, got {events} of {trials}")
    if events == trials:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if binomial_cdf(events, trials, middle) > 1 - confidence else (low, middle)
    return high


def binomial_cdf(events: int, trials: int, rate: float) -> float:
    """Return the probability of at most so many events."""
    if events >= trials or rate <= 0.0:
        return 1.0
    if rate >= 1.0:
        return 0.0
    logs = [
        math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * math.log(rate) + (trials - k) * math.log1p(-rate)
        for k in range(events + 1)
    ]
    most = max(logs)
    return min(1.0, math.exp(most) * sum(math.exp(one - most) for one in logs))
