"""The measurement of learning: what each way to learn makes of the same interactions, `voice-rl-train measure-learning`.

    a household lives with base, memory and aliases; at each checkpoint every row is fitted on the same log and hears the same held-out sentences

    0 frozen base           nothing is learned                      4 + logged rewards       row 3 and the rewards of what was done
    1 memory                corrections by heart, at once           5 q_learning, sarsa, policy_gradient
    2 memory + aliases      and the names that corrections teach    6 vowpal_wabbit          the peer, on the same stream of sentences
    3 corrections_only      2 and a network fitted on hindsight     7 oracle labels          row 3 with the truth of every sentence

    controls   shuffled labels; people who correct 0, 10, 30, 100 % of the mistakes; who lie in 0, 20, 40 % of what they say; near misses

One job is one family in one home. It leaves one line in the work folder, so an interrupted measurement goes on where it stopped.
"""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from voice_rl_plugin.deciding.aliases import Alias
from voice_rl_plugin.deciding.decider import Decider
from voice_rl_plugin.deciding.memory import Memory, MemoryEntry
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.domain.transition import Transition
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.errors import ConfigError
from voice_rl_plugin.learning.store import FILE_NAME, ExperienceStore
from voice_rl_plugin.understanding.features import observe
from voice_rl_plugin.understanding.frames import decode
from voice_rl_plugin.understanding.names import NameIndex
from voice_rl_plugin.understanding.onnx_policy import OnnxPolicy
from voice_rl_training import algorithms
from voice_rl_training.corpus.human import HumanSentence, read_sentences
from voice_rl_training.corpus.phrasebook import ACTING_MOODS
from voice_rl_training.recipe import FinetuneRecipe
from voice_rl_training.retrain import load_policy
from voice_rl_training.simulate.bandit import VowpalWabbit, is_installed
from voice_rl_training.simulate.brain import Brain
from voice_rl_training.simulate.family import VERDICTS, Family, Habits, Said
from voice_rl_training.simulate.fitting import Fitted, Fitter, shuffled, taught_by, taught_by_oracle
from voice_rl_training.simulate.household import Household, Lived, Temper
from voice_rl_training.simulate.play import PEER, family_of, warm_peer

BASE_ROW, MEMORY_ROW, ALIAS_ROW, ORACLE_ROW = "frozen base", "memory", "memory + aliases", "oracle labels"
CORRECTIONS_ROW = algorithms.DEFAULT
ROWS = (BASE_ROW, MEMORY_ROW, ALIAS_ROW, *algorithms.NAMES, PEER, ORACLE_ROW)
SETS = ("corrected", "phrases heard", "phrases unheard", "names heard", "names unheard", "ordinary", "stream", "near miss")
CORRECTION_RATES = (0.0, 0.1, 0.3, 1.0)
LIE_RATES = (0.0, 0.2, 0.4)
_ORDINARY = 300
_STREAM = 300
_NEAR_MISSES = 60
_HUMAN = 300
"""Human sentences that are commands, and as many that are talk."""

Progress = Callable[[str, float], None]
Decide = Callable[[Said], Decision | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that a measurement depends on."""

    languages: tuple[str, ...] = ("en", "zh")
    households: int = 10
    seeds: int = 5
    checkpoints: tuple[int, ...] = (50, 200, 1000)
    """Interactions after which every row is fitted and heard."""
    least_labels: int = 20
    """Networks are fitted from this many labels on; a home waits for more (recipes/home.yaml)."""
    corrects: float = 0.8
    own: float = 0.1
    controls: bool = True
    base: Path
    human: Path | None = None
    recipe: FinetuneRecipe = field(default_factory=FinetuneRecipe)

    def __post_init__(self) -> None:
        if min(self.households, self.seeds, *self.checkpoints, 1) < 1 or not self.languages or not self.checkpoints:
            raise ConfigError("measure-learning: expected at least one language, household, seed and checkpoint")
        if list(self.checkpoints) != sorted(set(self.checkpoints)):
            raise ConfigError(f"measure-learning: checkpoints: expected rising numbers, got {self.checkpoints}")

    @property
    def temper(self) -> Temper:
        """Return how people react."""
        return Temper(corrects=self.corrects)

    @property
    def habits(self) -> Habits:
        """Return how people talk."""
        return Habits(own=self.own)

    def fingerprint(self) -> str:
        """Return a short text that differs when a job would come out differently."""
        values = {k: v for k, v in asdict(self).items() if k not in ("households", "seeds", "languages", "base", "human")}
        base = hashlib.sha256(b"".join((self.base / name).read_bytes() for name in ("policy.onnx", "scorer.onnx"))).hexdigest()
        return hashlib.sha256(json.dumps([values, base, self.human is not None], sort_keys=True, default=str).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One family in one home."""

    language: str
    household: int
    seed: int

    @property
    def name(self) -> str:
        """Return what it is called in the work folder and seeded with."""
        return f"{self.language} {self.household} {self.seed}"


Counts = dict[str, dict[str, int]]
"""How many sentences of each of SETS went which way."""


def measure(plan: Plan, *, work: Path, processes: int, progress: Progress) -> list[dict[str, Any]]:
    """Run every job that has no line in the work folder yet, and return all lines.

    Args:
        plan: what to measure.
        work: where the lines are kept.
        processes: how many jobs at once.
        progress: told how far it is.
    """
    work.mkdir(parents=True, exist_ok=True)
    path = work / f"learning-{plan.fingerprint()}.jsonl"
    jobs = [
        Job(language=language, household=household, seed=seed)
        for seed in range(plan.seeds)
        for household in range(plan.households)
        for language in plan.languages
    ]
    found = {line["job"]: line for line in (_read(path) if path.exists() else [])}
    missing = [job for job in jobs if job.name not in found]
    progress("households", 1 - len(missing) / len(jobs))
    if processes == 1:
        lines: Iterable[dict[str, Any]] = (run_job(plan, job) for job in missing)
    else:
        pool = ProcessPoolExecutor(processes)
        lines = (future.result() for future in as_completed([pool.submit(run_job, plan, job) for job in missing]))
    for line in lines:
        found[line["job"]] = line
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
        progress("households", len([job for job in jobs if job.name in found]) / len(jobs))
    return [found[job.name] for job in jobs]


def _read(path: Path) -> list[dict[str, Any]]:
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:  # the last line of a run that was killed
            continue
    return lines


def run_job(plan: Plan, job: Job) -> dict[str, Any]:
    """Measure every row and every control in one household."""
    import torch  # noqa: PLC0415 - in each process, before anything is computed

    torch.set_num_threads(1)
    family = family_of(job.language, job.household, job.seed, plan.habits)
    champion = load_policy(plan.base, version="base")
    fitter = Fitter(base=plan.base, home=family.home, recipe=replace(plan.recipe, least_labels=plan.least_labels))
    human = _human(plan.human, job.language, job.seed)
    line: dict[str, Any] = {"job": job.name, "language": job.language, "rows": [], "controls": [], "human": []}
    stops = _live(plan, job, family, champion, plan.temper)
    for stop in stops:
        rows, fitted = _rows_at(stop, family, champion, fitter)
        line["rows"] += [{"at": stop.at, "row": row, "labels": stop.labels, "counts": counts} for row, counts in rows.items()]
        if stop is stops[-1]:
            policies = {BASE_ROW: champion, **{name: one.policy for name, one in fitted.items()}}
            line["human"] = [{"row": row, **_retention(policy, human, family.home)} for row, policy in policies.items() if human]
            line["lived"] = [_counts_of_lived(stop.lived[:100]), _counts_of_lived(stop.lived[-100:])]
    if is_installed():
        line["rows"] += _peer_rows(plan, job, family)
    if plan.controls:
        line["controls"] = _controls(plan, job, family, champion, fitter, stops[-1])
    return line


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stop:
    """A household at a checkpoint."""

    at: int
    lived: tuple[Lived, ...]
    transitions: tuple[Transition, ...]
    memory: tuple[MemoryEntry, ...]
    aliases: tuple[Alias, ...]
    tests: Mapping[str, Sequence[Said]]

    @property
    def labels(self) -> int:
        """Return how many labels the log gives."""
        return len(taught_by(self.transitions).labels)


def _live(plan: Plan, job: Job, family: Family, champion: OnnxPolicy, temper: Temper) -> list[_Stop]:
    """Let a household live with base, memory and aliases, and keep what the log holds at each checkpoint."""
    stops = []
    with tempfile.TemporaryDirectory() as scratch, ExperienceStore(Path(scratch) / FILE_NAME) as store:
        brain = Brain(policy=champion, home=family.home, store=store)
        house = Household(family, brain, seed=job.name, temper=temper)
        lived: list[Lived] = []
        for at in plan.checkpoints:
            lived += house.live(at - len(lived))
            stops.append(
                _Stop(
                    at=at,
                    lived=tuple(lived),
                    transitions=tuple(store.transitions()),
                    memory=brain.memory,
                    aliases=brain.aliases,
                    tests=held_out(family, lived, seed=job.name, corrected=_corrected(lived, store.transitions())),
                )
            )
    return stops


def _corrected(lived: Iterable[Lived], transitions: Iterable[Transition]) -> list[Said]:
    """Return the sentences that somebody has corrected, and rightly so."""
    right = {one.decision_id: one.correction for one in transitions if one.correction is not None and (one.reward or 0.0) < 1.0}
    said = {
        (one.said.text, one.said.area): one.said
        for one in lived
        if one.decision is not None
        and one.decision.id in right
        and one.verdict != "right"
        and (one.said.does(done) if (done := _actions(right[one.decision.id])) else not one.said.wants)
    }
    return list(said.values())


def _actions(payloads: Iterable[Mapping[str, Any]]) -> tuple[Action, ...]:
    return tuple(Action.from_payload(payload) for payload in payloads)


def held_out(family: Family, lived: Sequence[Lived], *, seed: str, corrected: Sequence[Said]) -> dict[str, list[Said]]:
    """Return the held-out sentences, the same at every checkpoint but for what was heard by then.

    Args:
        family: who speaks.
        lived: what was said until now; only these wordings count as heard.
        seed: of what is said.
        corrected: what somebody has corrected until now.
    """
    heard = {(one.said.text, one.said.area): one.said for one in lived if not one.said.is_misheard}
    rng = Random(f"tests {seed}")
    unheard = family.every_own(rng, is_kept=True)
    return {
        "corrected": list(corrected),
        "phrases heard": [said for said in heard.values() if said.kind == "idiom"],
        "phrases unheard": [said for said in unheard if said.kind == "idiom"],
        "names heard": [said for said in heard.values() if said.kind == "own_name"],
        "names unheard": [said for said in unheard if said.kind == "own_name"],
        "ordinary": [family.say_ordinary(rng) for _ in range(_ORDINARY)],
        "stream": [family.say(rng) for _ in range(_STREAM)],
        "near miss": [family.say_near_miss(rng) for _ in range(_NEAR_MISSES)],
    }


def _rows_at(stop: _Stop, family: Family, champion: OnnxPolicy, fitter: Fitter) -> tuple[dict[str, Counts], dict[str, Fitted]]:
    """Return what every row but the peer does with the held-out sentences; a row that was not fitted yet is memory and aliases alone."""
    rows = {
        BASE_ROW: _heard(stop.tests, _decide(champion, family.home, ())),
        MEMORY_ROW: _heard(stop.tests, _decide(champion, family.home, stop.memory)),
        ALIAS_ROW: _heard(stop.tests, _decide(champion, family.home, stop.memory, stop.aliases)),
    }
    fitted = fitter.fit(taught_by(stop.transitions), algorithms.NAMES)
    oracle = fitter.fit(taught_by_oracle(stop.lived), (CORRECTIONS_ROW,))
    if CORRECTIONS_ROW in oracle:
        fitted[ORACLE_ROW] = oracle[CORRECTIONS_ROW]
    for name in (*algorithms.NAMES, ORACLE_ROW):
        policy = fitted[name].policy if name in fitted else None
        rows[name] = _heard(stop.tests, _decide(policy, family.home, stop.memory, stop.aliases)) if policy is not None else rows[ALIAS_ROW]
    return rows, fitted


def _peer_rows(plan: Plan, job: Job, family: Family) -> list[dict[str, Any]]:
    """Let the peer live with the same family and hear the same held-out sentences."""
    peer = warm_peer(family.home, plan.base, seed=job.seed)
    house = Household(family, peer, seed=job.name, temper=plan.temper)
    lived: list[Lived] = []
    rows = []
    for at in plan.checkpoints:
        lived += house.live(at - len(lived))
        tests = held_out(family, lived, seed=job.name, corrected=())
        rows.append({"at": at, "row": PEER, "labels": 0, "counts": _heard(tests, _peer_decides(peer, family.home))})
    peer.close()
    return rows


def _controls(plan: Plan, job: Job, family: Family, champion: OnnxPolicy, fitter: Fitter, last: _Stop) -> list[dict[str, Any]]:
    """Return row 3 at the last checkpoint where it must not learn, where people correct more or less, and where they lie."""
    found = []

    def note(control: str, stop: _Stop, fitted: Mapping[str, Fitted]) -> None:
        policy = fitted[CORRECTIONS_ROW].policy if fitted else champion
        learned = ((), ()) if control == "shuffled labels" else (stop.memory, stop.aliases)
        counts = _heard(last.tests, _decide(policy, family.home, *learned))
        found.append({"control": control, "labels": stop.labels, "counts": counts})

    note("shuffled labels", last, fitter.fit(shuffled(taught_by(last.transitions), Random(job.name)), (CORRECTIONS_ROW,)))
    whole = replace(plan, checkpoints=(plan.checkpoints[-1],))
    for rate in CORRECTION_RATES:
        (stop,) = _live(whole, job, family, champion, replace(plan.temper, corrects=rate))
        note(f"{100 * rate:.0f} % corrected", stop, fitter.fit(taught_by(stop.transitions), (CORRECTIONS_ROW,)))
    for rate in LIE_RATES:
        (stop,) = _live(whole, job, family, champion, replace(plan.temper, lies=rate))
        note(f"{100 * rate:.0f} % lies", stop, fitter.fit(taught_by(stop.transitions), (CORRECTIONS_ROW,)))
    return found


def _decide(policy: OnnxPolicy, home: Home, memory: Iterable[MemoryEntry], aliases: Iterable[Alias] = ()) -> Decide:
    decider = Decider(policy=policy, home=home, memory=Memory(memory, aliases))

    def decide(said: Said) -> Decision | None:
        return decider.hear(_utterance(said), states=home.initial_states, last=None, now=0.0, decision_id="test").decision

    return decide


def _peer_decides(peer: VowpalWabbit, home: Home) -> Decide:
    return lambda said: peer.decide(_utterance(said), states=home.initial_states)


def _utterance(said: Said) -> Utterance:
    return Utterance(text=said.text, area=said.area, language=said.language, door="dry_run")


def _heard(tests: Mapping[str, Sequence[Said]], decide: Decide) -> Counts:
    """Return how many sentences of each set went which way."""
    counts: Counts = {}
    for name, sentences in tests.items():
        counts[name] = dict.fromkeys(VERDICTS, 0)
        for said in sentences:
            counts[name][said.verdict(decide(said))] += 1
    return counts


def _counts_of_lived(lived: Iterable[Lived]) -> dict[str, int]:
    counts = dict.fromkeys(VERDICTS, 0)
    for one in lived:
        counts[one.verdict] += 1
    return counts


# -- human text --------------------------------------------------------------------------------------------------------------------


@cache
def _development(folder: Path) -> tuple[HumanSentence, ...]:
    return tuple(sentence for sentence in read_sentences(folder) if sentence.is_dev)


def _human(folder: Path | None, language: str, seed: int) -> tuple[HumanSentence, ...]:
    """Return some human development sentences of a language: commands, and talk."""
    if folder is None:
        return ()
    mine = [one for one in _development(folder) if one.language == language]
    commands = [one for one in mine if one.mood in ACTING_MOODS and one.operation not in (None, "none", "handover")]
    talk = [one for one in mine if one.mood == "chat"]
    rng = Random(f"human {language} {seed}")
    return tuple(rng.sample(commands, min(_HUMAN, len(commands))) + rng.sample(talk, min(_HUMAN, len(talk))))


def _retention(policy: OnnxPolicy, sentences: Sequence[HumanSentence], home: Home) -> dict[str, int]:
    """Return how many human commands are read as what they are, and how much human talk is acted on."""
    index = NameIndex(home)
    decide = _decide(policy, home, ())
    counts = {"commands": 0, "understood": 0, "talk": 0, "acted": 0}
    for sentence in sentences:
        if sentence.mood == "chat":
            said = Said(text=sentence.text, area=None, language=sentence.language, kind="talk", wants=())
            decision = decide(said)
            counts["talk"] += 1
            counts["acted"] += decision is not None and decision.outcome == "act" and any(a.is_dispatched for a in decision.actions)
            continue
        observation = observe(sentence.text, home=home, index=index)
        frames = decode(policy.read(observation), observation.words) if observation.words else ()
        acting = [frame.operation for frame in frames if frame.mood in ACTING_MOODS]
        counts["commands"] += 1
        counts["understood"] += bool(acting) and all(operation == sentence.operation for operation in acting)
    return counts
