"""The scorecard against the peers: the same homes and sentences, the same judge, one table.

    tests/cases/<language>/<name>.home.yaml + <name>.cases.yaml  ->  right, wrong actions, asked, refused; latency
    human development sentences in a fixed demo home             ->  commands understood; acts on what is not for the home

Nothing is learned between two sentences: the memory is empty, and no correction is given.
"""

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from matplotlib.figure import Figure

from voice_rl_plugin.deciding.cases import Case, decide_case, judge, parse_cases, upper_bound
from voice_rl_plugin.deciding.decider import Decider
from voice_rl_plugin.deciding.memory import Memory
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.beyond import SERVICES
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.errors import ConfigError
from voice_rl_plugin.understanding.features import observe
from voice_rl_plugin.understanding.frames import decode
from voice_rl_plugin.understanding.names import NameIndex
from voice_rl_plugin.understanding.onnx_policy import OnnxPolicy
from voice_rl_training.corpus.human import HumanSentence, read_sentences
from voice_rl_training.peers import Peer, has_fallback, peers, versions

OPEN_SETS = ("apartment", "house", "villa", "studio", "cottage", "loft", "beyond")
"""The homes that may be looked at; the others are opened for a release alone."""
BEYOND_SET = "beyond"
"""Calls, messages, routes, translations and searches, all switched on; it has a section of its own."""
OURS = "voice_rl"
_LANGUAGES = {"en": "English", "zh": "Chinese"}
_ACTING = ("command", "wish")
_OPERATIONS: Mapping[str, str] = {
    "HassTurnOn": "turn_on open lock activate start play",
    "HassTurnOff": "turn_off close unlock stop",
    "HassLightSet": "set raise lower",
    "HassSetPosition": "set open close",
    "HassFanSetSpeed": "set raise lower",
    "HassClimateSetTemperature": "set",
    "HassClimateSetFanMode": "set",
    "HassSetVolume": "set",
    "HassSetVolumeRelative": "raise lower",
    "HassMediaPause": "pause stop",
    "HassMediaUnpause": "play",
    "HassMediaNext": "next",
    "HassMediaPrevious": "previous",
    "HassMediaPlayerMute": "mute",
    "HassMediaPlayerUnmute": "unmute",
    "HassVacuumStart": "start turn_on",
    "HassVacuumCleanArea": "start turn_on",
    "HassVacuumReturnToBase": "dock",
    "HassLawnMowerStartMowing": "start",
    "HassLawnMowerDock": "dock",
}
"""The operations that an intent of Home Assistant counts as; where it can stand for several, any of them is right."""
Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseSet:
    """One home with its sentences."""

    name: str
    language: str
    home: Home
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What one system did with one case."""

    system: str
    language: str
    set_name: str
    case: Case
    decision: Decision
    verdict: str
    """One of deciding.cases.VERDICTS."""
    latency_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanScore:
    """What one system did with human sentences of one language."""

    system: str
    language: str
    commands: int
    understood: int
    strangers: int
    """Sentences that are not for the home."""
    false_acts: int
    """How many of them made it call a service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Everything on one scorecard."""

    names: tuple[str, ...]
    """The sets that were run."""
    model: str
    """The version of our model."""
    scores: tuple[Score, ...]
    human: tuple[HumanScore, ...] = ()


def read_sets(folder: Path, names: Sequence[str]) -> tuple[CaseSet, ...]:
    """Return the named sets of every language.

    Raises:
        ConfigError: a file is missing or not in its form.
    """
    sets = []
    for language in _LANGUAGES:
        for name in names:
            path = folder / language / f"{name}.cases.yaml"
            home = _read_home(folder / language / f"{name}.home.yaml")
            sets.append(CaseSet(name=name, language=language, home=home, cases=parse_cases(_read_yaml(path), home, where=str(path))))
    return tuple(sets)


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML: {error}") from error


def _read_home(path: Path) -> Home:
    return Home.from_mapping(_read_yaml(path), where=str(path))


def measure(sets: Sequence[CaseSet], policy: OnnxPolicy, *, progress: Progress) -> tuple[Score, ...]:
    """Run ours and every installed peer over the same cases; each case once to warm up, then timed."""
    total = sum(len(one.cases) for one in sets)
    scores: list[Score] = []
    done = 0
    for one in sets:
        answers: dict[str, Callable[[Case], tuple[Decision, float]]] = {
            OURS: _ours(one.home, policy, beyond=SERVICES if one.name == BEYOND_SET else ())
        }
        answers |= {name: _theirs(make(one.home)) for name, make in peers(one.home).items()}
        for case in one.cases:
            for system, answer in answers.items():
                answer(case)
                decision, latency_ms = answer(case)
                verdict = judge_with_groups(case, decision, one.home) if system != OURS else judge(case, decision)
                scores.append(
                    Score(
                        system=system,
                        language=one.language,
                        set_name=one.name,
                        case=case,
                        decision=decision,
                        verdict=verdict,
                        latency_ms=latency_ms,
                    )
                )
            done += 1
            progress("cases", done / total)
    return tuple(scores)


def _ours(home: Home, policy: OnnxPolicy, *, beyond: Sequence[str] = ()) -> Callable[[Case], tuple[Decision, float]]:
    decider = Decider(policy=policy, home=home, memory=Memory(), beyond=beyond)

    def answer(case: Case) -> tuple[Decision, float]:
        started = time.perf_counter()
        decision = decide_case(decider, case)
        return decision, decision.latency_ms or (time.perf_counter() - started) * 1000

    return answer


def _theirs(peer: Peer) -> Callable[[Case], tuple[Decision, float]]:
    def answer(case: Case) -> tuple[Decision, float]:
        targets = peer.answer(case.after, area=case.area).targets if case.after else ()
        started = time.perf_counter()
        found = peer.answer(case.say, area=case.area, targets=targets)
        latency_ms = (time.perf_counter() - started) * 1000
        utterance = Utterance(text=case.say, area=case.area, language=case.language, door="dry_run")
        decision = Decision(
            id="case", utterance=utterance, language="", outcome=found.outcome, actions=found.actions, reason_code=found.reason
        )
        return decision, latency_ms

    return answer


def judge_with_groups(case: Case, decision: Decision, home: Home) -> str:
    """Judge a peer, which names a group and its members together: with both, without the group, without the members."""
    verdict = judge(case, decision)
    if verdict != "wrong_action":
        return verdict
    groups = {entity.id: frozenset(entity.members) for entity in home.exposed if entity.members}
    targets = {target for action in decision.actions for target in action.targets}
    whole = {group for group, members in groups.items() if group in targets and members <= targets}
    inside = {member for group in whole for member in groups[group]}
    for dropped in (whole, inside):
        actions = tuple(_without(action, dropped) for action in decision.actions)
        if dropped and judge(case, replace(decision, actions=actions)) == "right":
            return "right"
    return verdict


def _without(action: Action, dropped: Iterable[str]) -> Action:
    return replace(action, targets=tuple(target for target in action.targets if target not in dropped))


def measure_human(
    sentences: Sequence[HumanSentence], homes: Mapping[str, Home], policy: OnnxPolicy, *, progress: Progress
) -> tuple[HumanScore, ...]:
    """Run the development sentences in the demo homes.

    A command is understood when its mood is one that acts and its operation is the labelled one; whether the demo home has the device plays
    no part. An act is a service call: an answer to a question or a request handed on is none.
    """
    scores: list[HumanScore] = []
    for language, home in homes.items():
        mine = [sentence for sentence in sentences if sentence.is_dev and sentence.language == language]
        commands = [one for one in mine if one.mood in _ACTING and one.operation not in (None, "none", "handover")]
        strangers = [one for one in mine if one.mood == "chat"]
        understands, acts = _readers(home, policy)
        for system in understands:
            phase, total = f"human, {language}, {system}", max(1, len(commands) + len(strangers))
            understood = false_acts = 0
            for done, one in enumerate(commands):
                understood += understands[system](one)
                progress(phase, done / total)
            for done, one in enumerate(strangers, len(commands) + 1):
                false_acts += acts[system](one.text)
                progress(phase, done / total)
            scores.append(
                HumanScore(
                    system=system,
                    language=language,
                    commands=len(commands),
                    understood=understood,
                    strangers=len(strangers),
                    false_acts=false_acts,
                )
            )
    return tuple(scores)


def _readers(home: Home, policy: OnnxPolicy) -> tuple[dict[str, Callable[[HumanSentence], bool]], dict[str, Callable[[str], bool]]]:
    """Return, by system, whether it understands a sentence and whether it acts on one."""
    decider = Decider(policy=policy, home=home, memory=Memory())
    index = NameIndex(home)
    area = next((satellite.area for satellite in home.satellites), None)

    def we_understand(sentence: HumanSentence) -> bool:
        observation = observe(sentence.text, home=home, index=index, area=area)
        acting = (
            [frame.operation for frame in decode(policy.read(observation), observation.words) if frame.mood in _ACTING]
            if observation.words
            else []
        )
        return bool(acting) and all(operation == sentence.operation for operation in acting)

    def we_act(text: str) -> bool:
        decision = decide_case(decider, Case(say=text, area=area))
        return _is_act(decision.outcome, decision.actions)

    understands: dict[str, Callable[[HumanSentence], bool]] = {OURS: we_understand}
    acts: dict[str, Callable[[str], bool]] = {OURS: we_act}
    for name, make in peers(home).items():
        peer = make(home)
        understands[name] = lambda sentence, peer=peer: _hears(peer, sentence, area)  # type: ignore[misc]
        acts[name] = lambda text, peer=peer: _peer_acts(peer, text, area)  # type: ignore[misc]
    return understands, acts


def _hears(peer: Peer, sentence: HumanSentence, area: str | None) -> bool:
    intents = peer.intents_of(sentence.text, area=area)
    return bool(intents) and all(sentence.operation in _OPERATIONS.get(intent, "").split() for intent in intents)


def _peer_acts(peer: Peer, text: str, area: str | None) -> bool:
    found = peer.answer(text, area=area)
    return _is_act(found.outcome, found.actions)


def _is_act(outcome: str, actions: Iterable[Action]) -> bool:
    return outcome == "act" and any(action.is_dispatched for action in actions)


def run_scorecard(*, cases: Path, names: Sequence[str], human: Path | None, demo_homes: Path, model: Path, progress: Progress) -> Measured:
    """Measure everything.

    Args:
        cases: folder with one folder a language.
        names: the sets to run.
        human: folder of human sentences; None leaves them out.
        demo_homes: folder with home.en.yaml and home.zh.yaml.
        model: our model folder.
        progress: told the phase and how much of it is done.
    """
    policy = OnnxPolicy.load(model)
    scores = measure(read_sets(cases, names), policy, progress=progress)
    found: tuple[HumanScore, ...] = ()
    if human is not None:
        homes = {language: _read_home(demo_homes / f"home.{language}.yaml") for language in _LANGUAGES}
        found = measure_human(read_sentences(human), homes, policy, progress=progress)
    return Measured(names=tuple(names), model=policy.version, scores=scores, human=found)


# -- the page ------------------------------------------------------------------------------------------------------------------------


def to_markdown(measured: Measured, *, command: str, date: str, picture: str | None, lists_sentences: bool = True) -> str:
    """Return the page.

    Args:
        measured: the figures.
        command: the command that made them.
        date: the day on which they were made.
        picture: the chart's path beside the page.
        lists_sentences: whether to print what went wrong; off for a set that is to stay unseen.
    """
    indoors = _indoors(measured.scores)
    packages = ", ".join(f"{name} {version}" for name, version in versions().items())
    parts = [
        "# Scorecard against the peers",
        f"Made on {date}, model `{measured.model}`, sets {', '.join(measured.names)}; peers: {packages}.",
        f"```\n{command}\n```",
        _ABOUT,
        "" if has_fallback() else "`gazetteer-matcher` was not installed (`pip install gazetteer-matcher`): hassil stands alone here.",
        _closing_words(measured.names),
        "## Summary",
        _summary(indoors),
        f"![Right, asked, refused and wrong, by system and language]({picture})" if picture else "",
        _LATENCY,
    ]
    for language, title in _LANGUAGES.items():
        parts += [f"## {title}, by group", _by_group([score for score in indoors if score.language == language])]
    parts += _beyond_section([score for score in measured.scores if score.set_name == BEYOND_SET])
    if measured.human:
        parts += ["## Human sentences", _HUMAN, _human_table(measured.human)]
    for system in _systems(measured.scores) if lists_sentences else ():
        parts += [f"## What {system} gets wrong", _wrong_list([score for score in measured.scores if score.system == system])]
    parts += ["## How the peers were run", _PEERS]
    return "\n\n".join(part for part in parts if part) + "\n"


def _indoors(scores: Iterable[Score]) -> list[Score]:
    return [score for score in scores if score.set_name != BEYOND_SET]


def _beyond_section(scores: Sequence[Score]) -> list[str]:
    if not scores:
        return []
    parts = ["## Beyond the house", _BEYOND, _summary(scores)]
    for language, title in _LANGUAGES.items():
        parts += [f"### {title}", _by_group([score for score in scores if score.language == language])]
    return parts


_BEYOND = (
    "Calls, messages, routes, translations, the weather elsewhere and restaurants, all switched on, beside sentences that only sound like them.\n"
    "The peers have no such intents: for them only the refusals, the weather and the commands for the house can be right. None of this is in the summary."
)
_ABOUT = (
    "**Who wrote the sentences.** This project's own authors wrote the homes and the cases, and their wanted answers follow this project's\n"
    "conventions: to ask when several devices fit, to ask before anything risky, to refuse what is for later or negated. Nobody who uses a\n"
    "peer wrote or checked them, and a peer that never asks cannot be right where a question is wanted. Read the groups, not the sum: the\n"
    "plain ones (`basic`, `value`, `scope`) are fair to everybody; `indirect`, `blunt`, `bare` or `unsafe` are what this project was made\n"
    "for. A system that refuses everything has no wrong action: right and wrong belong together. The bound is the exact (Clopper-Pearson)\n"
    "one-sided 95 % upper bound of the rate of wrong actions, over all cases of the row. A question answered, or a request handed on, where\n"
    "that was not wanted counts as a wrong action too, for everybody; the summary says how many are of that kind."
)
_HUMAN = (
    "Sentences that other people wrote and labelled, the development split alone: none of them, nor a near-duplicate, was trained on; but ours\n"
    "was trained on others of the same sources, the peers on none. They run in the demo homes (`examples/home.en.yaml`, `home.zh.yaml`), spoken\n"
    "at their first microphone. The homes do not have most of the devices named, so a command counts as understood when it is heard as something\n"
    "to do now, with the right operation. For the peers that is the intent of their best match, unknown names allowed, and any operation that\n"
    "the intent can stand for is right. The last figure counts service calls on sentences that are not for the home."
)
_LATENCY = (
    "Latency is one sentence on one core, after a warm-up pass, in the same run. Ours is text to decision; the peers' is recognition and\n"
    "matching of targets, without Home Assistant around it and without the pass that only words an error."
)
_PEERS = (
    "- **hassil**: `recognize_best` with the sentences of `home-assistant-intents`, its expansion rules and skip words; names, aliases, areas\n"
    "  and floors of the home as lists, with the entity's domain as context; the speaker's area as context and as preferred area. Exposed names\n"
    "  first, then the hidden ones, which fail. One language a home; traditional text goes to zh-TW, then to zh-CN, with the names as the home\n"
    "  file has them. Follow-ups have no memory: Home Assistant has none there either.\n"
    "- **hassil + gazetteer**: what hassil does not match goes to `gazetteer-matcher`, in English alone, with the targets of the command before.\n"
    "  It is no dependency of ours: `pip install gazetteer-matcher` before the run.\n"
    "- Intents become service calls as the handlers of Home Assistant 2026.11.0 do it, written in this project's conventions\n"
    "  (`fan.turn_on percentage` is `fan.set_percentage`; the domain's own `turn_on` for `homeassistant.turn_on`).\n"
    "- Where a choice was open it went to the peer: where no device is known to be in the state required, an unknown state is that\n"
    "  one; an error that names several fitting devices counts as a question, although nobody may answer it; timers, lists, weather and broadcasts always succeed; a command for\n"
    "  later that becomes a timer counts as nothing done now; a group named together with its members is right where either is; stepping the\n"
    "  volume by a number counts as louder or quieter.\n"
    "- Locks are exposed here as the home files say; Home Assistant does not expose them unless told to."
)


def _closing_words(names: Sequence[str]) -> str:
    if set(names) <= set(OPEN_SETS):
        return (
            "These sets were looked at while ours was made, so ours is flattered by them and the peers are not. "
            "Two further homes a language are kept closed for a release."
        )
    return "Among these are sets that were kept closed until this run; on the open ones ours is flattered."


def _systems(scores: Iterable[Score]) -> list[str]:
    return list(dict.fromkeys(score.system for score in scores))


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _wrong(verdicts: Counter[str]) -> str:
    count = verdicts.total()
    wrong = verdicts["wrong_action"]
    return f"{wrong} (<= {100 * upper_bound(wrong, count):.1f} %)"


def _summary(scores: Sequence[Score]) -> str:
    lines = [
        "| language | system | cases | right | wrong actions (95 % bound) | of them answers alone | asked | refused | median | p99 |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for language, title in _LANGUAGES.items():
        for system in _systems(scores):
            mine = [score for score in scores if score.language == language and score.system == system]
            if not mine:
                continue
            verdicts = Counter(score.verdict for score in mine)
            answers = sum(score.verdict == "wrong_action" and not _is_act("act", score.decision.actions) for score in mine)
            times = sorted(score.latency_ms for score in mine)
            lines.append(
                f"| {title} | {system} | {len(mine)} | {_percent(verdicts['right'], len(mine))} | {_wrong(verdicts)} | {answers} | "
                f"{verdicts['asked']} | {verdicts['refused']} | {statistics.median(times):.2f} ms | {percentile(times, 0.99):.2f} ms |"
            )
    return "\n".join(lines)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value at a share of an ascending list, the next higher one where it falls between two."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _by_group(scores: Sequence[Score]) -> str:
    systems = _systems(scores)
    header = "| group | cases | " + " | ".join(f"{name}: right | wrong (bound) / asked / refused" for name in systems) + " |"
    lines = [header, "| --- | --- |" + " --- | --- |" * len(systems)]
    for group in sorted({score.case.group for score in scores}):
        cells = [group or "-"]
        for system in systems:
            verdicts = Counter(score.verdict for score in scores if score.system == system and score.case.group == group)
            if len(cells) == 1:
                cells.append(str(verdicts.total()))
            cells += [str(verdicts["right"]), f"{_wrong(verdicts)} / {verdicts['asked']} / {verdicts['refused']}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _human_table(human: Sequence[HumanScore]) -> str:
    lines = [
        "| language | system | device commands | understood | not for the home | false acts (95 % bound) |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for one in human:
        bound = 100 * upper_bound(one.false_acts, one.strangers)
        lines.append(
            f"| {_LANGUAGES[one.language]} | {one.system} | {one.commands} | {_percent(one.understood, one.commands)} | {one.strangers} | "
            f"{one.false_acts} (<= {bound:.2f} %) |"
        )
    return "\n".join(lines)


def _wrong_list(scores: Sequence[Score]) -> str:
    lines = []
    for score in scores:
        if score.verdict != "wrong_action":
            continue
        wanted = " or ".join("; ".join(action.to_line() for action in one) for one in score.case.wanted) or score.case.outcome
        done = "; ".join(action.to_line() for action in score.decision.actions)
        after = f" after “{score.case.after}”" if score.case.after else ""
        lines.append(f"- {score.case.group}: “{score.case.say}”{after}: wanted `{wanted}`, did `{done}`")
    return "\n".join(lines) or "No wrong action in these sets."


_COLOURS = {"right": "#0072b2", "asked": "#56b4e9", "refused": "#bbbbbb", "wrong_action": "#d55e00"}
_WORDS = {"right": "right", "asked": "asked", "refused": "refused", "wrong_action": "wrong action"}


def draw(scores: Sequence[Score], path: Path) -> None:
    """Write the bar chart: a bar for each language and system, its parts in per cent of the cases."""
    scores = _indoors(scores) or scores
    systems = _systems(scores)
    rows = [(language, system) for language in _LANGUAGES for system in systems]
    rows = [row for row in rows if any((score.language, score.system) == row for score in scores)]
    figure = Figure(figsize=(8, 0.55 * len(rows) + 1.2))
    axes = figure.add_subplot()
    left = [0.0] * len(rows)
    for verdict, colour in _COLOURS.items():
        widths = []
        for row in rows:
            verdicts = [score.verdict for score in scores if (score.language, score.system) == row]
            widths.append(100 * verdicts.count(verdict) / len(verdicts))
        axes.barh(range(len(rows)), widths, left=left, color=colour, label=_WORDS[verdict], height=0.7)
        for number, (width, start) in enumerate(zip(widths, left, strict=True)):
            if width >= 4:
                axes.text(start + width / 2, number, f"{width:.0f}", ha="center", va="center", fontsize=8)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.set_yticks(range(len(rows)), [f"{_LANGUAGES[language]}: {system}" for language, system in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of the cases")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.12), ncols=len(_COLOURS), frameon=False, fontsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, bbox_inches="tight", metadata={"Software": None})
