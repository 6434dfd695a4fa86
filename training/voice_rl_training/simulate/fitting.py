"""Challengers out of a simulated log, made as `retrain` makes them but for the gate: what an algorithm makes of the same transitions.

    labels, readings, replay -> encoder (once a log) -> scorer (once an algorithm) -> the farthest step that loses no golden case

Replay is drawn once a home and the encoder is fitted once a log, for the algorithms differ in the scorer's loss alone.
"""

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.domain.transition import Transition
from voice_rl_plugin.understanding.onnx_policy import OnnxPolicy
from voice_rl_training.corpus.samples import Stage
from voice_rl_training.evaluation import TorchPolicy
from voice_rl_training.finetune import Lesson, fit_encoder, fit_scorer
from voice_rl_training.networks import Encoder, Scorer
from voice_rl_training.recipe import FinetuneRecipe
from voice_rl_training.relabel import Label, Relabelled, relabel
from voice_rl_training.retrain import Read, farthest_step, load_policy, make_lesson, read_labels
from voice_rl_training.simulate.household import BEGINS_AT, BETWEEN_S, Lived
from voice_rl_training.weights import load_networks, save_networks


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A challenger."""

    policy: OnnxPolicy
    labels: int
    share: float
    """How far it went from the base."""


class Fitter:
    """Makes challengers for one home; replay is drawn once.

    Args:
        base: the folder of the base model.
        home: whose names the logs speak of.
        recipe: every hyperparameter; its algorithm is overridden.
    """

    def __init__(self, *, base: Path, home: Home, recipe: FinetuneRecipe) -> None:
        self._folder = base
        self._base: tuple[Encoder, Scorer] = load_networks(base)
        self._champion = load_policy(base, version="base")
        self._home = home
        self._recipe = recipe
        nothing = Read(samples=(), logged=(), unreadable=())
        self._replay: Lesson = make_lesson(nothing, home, recipe, progress=lambda _phase, _done: None)

    def fit(self, relabelled: Relabelled, algorithms: Sequence[str]) -> dict[str, Fitted]:
        """Return one challenger an algorithm; none with fewer labels than the recipe asks for.

        Args:
            relabelled: what the log teaches.
            algorithms: out of algorithms.NAMES.
        """
        if len(relabelled.labels) < self._recipe.least_labels:
            return {}
        read = read_labels(relabelled, Stage(home=self._home), TorchPolicy(*self._base), progress=lambda _done: None)
        lesson = replace(self._replay, labelled=read.samples, logged=read.logged)
        encoder = fit_encoder(self._base[0], lesson, self._recipe, progress=lambda _done: None)
        fitted = {}
        for algorithm in algorithms:
            scorer = fit_scorer(encoder, self._base[1], lesson, replace(self._recipe, algorithm=algorithm))
            share, networks = farthest_step(self._base, (encoder, scorer), self._champion)
            fitted[algorithm] = Fitted(policy=self._export(networks, algorithm), labels=len(relabelled.labels), share=share)
        return fitted

    def _export(self, networks: tuple[Encoder, Scorer], version: str) -> OnnxPolicy:
        with tempfile.TemporaryDirectory() as scratch:
            save_networks(*networks, base=self._folder, folder=Path(scratch))
            return load_policy(Path(scratch), version=version)


def taught_by(transitions: Iterable[Transition]) -> Relabelled:
    """Return what a log teaches."""
    return relabel(transitions)


def taught_by_oracle(lived: Iterable[Lived]) -> Relabelled:
    """Return what a log would teach if each sentence came with what its speaker wanted."""
    labels = {}
    for one in lived:
        label = Label(
            text=one.said.text,
            area=one.said.area,
            language=one.said.language,
            actions=one.said.wanted,
            decision_id=f"oracle-{one.number}",
            decided_at=BEGINS_AT + BETWEEN_S * one.number,
        )
        labels[label.group] = label
    return Relabelled(labels=tuple(labels.values()), logged=(), judged=len(labels), contested=0)


def shuffled(relabelled: Relabelled, rng: Random) -> Relabelled:
    """Return the same sentences with each other's right actions: nothing is left to learn from them."""
    actions = [label.actions for label in relabelled.labels]
    rng.shuffle(actions)
    labels = tuple(replace(label, actions=other) for label, other in zip(relabelled.labels, actions, strict=True))
    return replace(relabelled, labels=labels, logged=())
