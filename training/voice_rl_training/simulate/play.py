"""Plays policies in simulated households and draws what becomes of them: `voice-rl-train simulate`.

    base              nothing is learned                     memory            corrections are learned by heart, at once
    aliases           memory, and names                      an algorithm      aliases, and a challenger from the log every RETRAIN_EVERY
    vowpal_wabbit     the peer, which learns from every reaction

The same families say the same things to each policy, and are as patient; only what they hear back differs.
"""

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.errors import ConfigError
from voice_rl_plugin.learning.store import FILE_NAME, ExperienceStore
from voice_rl_training import algorithms
from voice_rl_training.evaluation import cases_of_samples
from voice_rl_training.recipe import FinetuneRecipe
from voice_rl_training.replay import home_samples
from voice_rl_training.retrain import load_policy
from voice_rl_training.simulate.bandit import VowpalWabbit
from voice_rl_training.simulate.banks import load_bank
from voice_rl_training.simulate.brain import Brain
from voice_rl_training.simulate.family import OWN_KINDS, Family, Habits
from voice_rl_training.simulate.fitting import Fitter, taught_by
from voice_rl_training.simulate.homes import household_home
from voice_rl_training.simulate.household import Household, Lived, Temper

PEER = "vowpal_wabbit"
PLAYED = ("base", "memory", "aliases", *algorithms.NAMES, PEER)
RETRAIN_EVERY = 200
WARM_START = 800
"""Sentences in the home's own names that the peer begins with."""
_WINDOW = 50
_CURVES = ("right", "own right", "wrong_action", "asked")
_TITLES = {
    "right": "right, of 100",
    "own right": "own phrases and names right, of 100",
    "wrong_action": "wrong actions, of 100",
    "asked": "questions, of 100",
}

Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Which households live."""

    language: str
    households: int = 10
    seeds: int = 5
    interactions: int = 1000
    habits: Habits = field(default_factory=Habits)
    temper: Temper = field(default_factory=Temper)

    def __post_init__(self) -> None:
        if min(self.households, self.seeds, self.interactions) < 1:
            raise ConfigError(
                f"simulate: expected at least 1 household, seed and interaction, got {self.households}, {self.seeds}, {self.interactions}"
            )


def family_of(language: str, household: int, seed: int, habits: Habits) -> Family:
    """Return the family of a household: its home is named by the household, who lives there by both numbers."""
    bank = load_bank(language)
    home = household_home(bank, household, Random(f"home {language} {household} {seed}"))
    return Family(bank, home, seed=f"{language} {household} {seed}", habits=habits)


def play(
    policy: str, setting: Setting, *, household: int, seed: int, base: Path, recipe: FinetuneRecipe, progress: Callable[[float], None]
) -> list[Lived]:
    """Let one household live with one policy.

    Args:
        policy: one of PLAYED.
        setting: how long, and how people are.
        household: which home.
        seed: which family in it.
        base: the base model's folder.
        recipe: how challengers are made.
        progress: told how far it is.

    Raises:
        ConfigError: the policy is unknown, or the peer is not installed.
    """
    if policy not in PLAYED:
        raise ConfigError(f"simulate: policy: expected some of {', '.join(PLAYED)}, got {policy!r}")
    family = family_of(setting.language, household, seed, setting.habits)
    name = f"{setting.language} {household} {seed}"
    champion = load_policy(base, version="base")
    if policy == PEER:
        peer = warm_peer(family.home, base, seed=seed)
        lived = Household(family, peer, seed=name, temper=setting.temper).live(setting.interactions, progress=progress)
        peer.close()
        return lived
    with tempfile.TemporaryDirectory() as scratch, ExperienceStore(Path(scratch) / FILE_NAME) as store:
        brain = Brain(policy=champion, home=family.home, store=store, remembers=policy != "base", learns_names=policy != "memory")
        house = Household(family, brain, seed=name, temper=setting.temper)
        fitter = Fitter(base=base, home=family.home, recipe=recipe) if policy in algorithms.NAMES else None
        lived = []
        while len(lived) < setting.interactions:
            begun = len(lived)
            step = min(RETRAIN_EVERY if fitter is not None else setting.interactions, setting.interactions - begun)
            lived += house.live(step, progress=_within(progress, begun / setting.interactions, step / setting.interactions))
            if fitter is not None and len(lived) < setting.interactions:
                fitted = fitter.fit(taught_by(store.transitions()), (policy,))
                if policy in fitted:
                    brain.set_policy(fitted[policy].policy)
    return lived


def _within(progress: Callable[[float], None], begun: float, share: float) -> Callable[[float], None]:
    """Return a progress that fills a share of another one."""
    return lambda done: progress(begun + share * done)


def warm_peer(home: Home, base: Path, *, seed: int) -> VowpalWabbit:
    """Return the peer, warm started in a home.

    Raises:
        ConfigError: it is not installed.
    """
    peer = VowpalWabbit(policy=load_policy(base, version="base"), home=home, seed=seed)
    language = "zh" if home.language.startswith("zh") else "en"
    cases = list(cases_of_samples(home_samples(home, WARM_START, seed=seed, languages=(language,))))
    for number in range(2):
        Random(f"{seed} {number}").shuffle(cases)
        peer.warm_start(cases)
    return peer


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """What one policy did over time."""

    policy: str
    lived: tuple[tuple[Lived, ...], ...]
    """One row a household and seed."""

    def share(self, what: str, *, first: int = 0, last: int | None = None) -> float:
        """Return a share, of 100, among the interactions from `first` to `last`; NaN where there are none."""
        return float(np.nanmean(np.concatenate([self._hits(row, what)[first:last] for row in self.lived])) * 100)

    def over_time(self, what: str, *, window: int = _WINDOW) -> NDArray[np.float64]:
        """Return a share, of 100, in windows of interactions, one row a household and seed: [H, W]."""
        rows = []
        for row in self.lived:
            hits = self._hits(row, what)
            chunks = [hits[i : i + window] for i in range(0, len(hits), window)]
            rows.append([float(np.nanmean(c)) * 100 if not np.isnan(c).all() else np.nan for c in chunks])
        return np.array(rows)

    @staticmethod
    def _hits(row: Sequence[Lived], what: str) -> NDArray[np.float64]:
        if what == "own right":
            return np.array([float(one.verdict == "right") if one.said.kind in OWN_KINDS else np.nan for one in row])
        return np.array([float(one.verdict == what) for one in row])


def simulate(policies: Iterable[str], setting: Setting, *, base: Path, recipe: FinetuneRecipe, progress: Progress) -> tuple[Curves, ...]:
    """Play every policy in every household; the arguments are those of `play`."""
    found = []
    chosen = tuple(policies)
    total = len(chosen) * setting.households * setting.seeds
    done = 0
    for policy in chosen:
        rows = []
        for household in range(setting.households):
            for seed in range(setting.seeds):
                part = _within(partial(progress, policy), done / total, 1 / total)
                lived = play(policy, setting, household=household, seed=seed, base=base, recipe=recipe, progress=part)
                rows.append(tuple(lived))
                done += 1
        found.append(Curves(policy=policy, lived=tuple(rows)))
    return tuple(found)


def to_markdown(curves: Sequence[Curves], setting: Setting, *, picture: str | None = None) -> str:
    """Return the table: the first and the last hundred interactions of each policy."""
    hundred = min(100, setting.interactions)
    temper = setting.temper
    told = (
        f"Language {setting.language}, {setting.households} households, {setting.seeds} seeds, {setting.interactions} interactions each; "
        f"{100 * setting.habits.own:.0f} % own phrases and names, {100 * temper.corrects:.0f} % of the mistakes corrected, "
        f"{100 * temper.lies:.0f} % lies. First -> last {hundred}, of 100:"
    )
    lines = [
        told,
        "",
        "| policy | right | own phrases and names right | wrong actions | questions |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for one in curves:
        cells = [f"{one.share(what, last=hundred):.1f} -> {one.share(what, first=-hundred):.1f}" for what in _CURVES]
        lines.append(f"| {one.policy} | {' | '.join(cells)} |")
    if picture is not None:
        lines += ["", f"![curves]({picture})"]
    return "\n".join([*lines, ""])


def draw(curves: Sequence[Curves], path: Path) -> None:
    """Draw the curves: the mean over households and seeds, with the middle half of them as a band."""
    figure = Figure(figsize=(11, 7), layout="constrained")
    axes = figure.subplots(2, 2).flatten()
    for axis, what in zip(axes, _CURVES, strict=True):
        for one in curves:
            rows = one.over_time(what)
            at = np.arange(1, rows.shape[1] + 1) * _WINDOW
            kept = ~np.isnan(rows).all(0)
            line = axis.plot(at[kept], np.nanmean(rows[:, kept], 0), label=one.policy)[0]
            if len(rows) > 1:
                low, high = np.nanpercentile(rows[:, kept], 25, 0), np.nanpercentile(rows[:, kept], 75, 0)
                axis.fill_between(at[kept], low, high, color=line.get_color(), alpha=0.12, linewidth=0)
        axis.set_title(_TITLES[what])
        axis.set_xlabel("interactions")
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
