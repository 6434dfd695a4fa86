"""Masks: inputs of the network that a variant does without, hidden alike in the corpus, from the scorer's rows and in use."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voice_rl_plugin.understanding import names
from voice_rl_plugin.understanding.features import SOUND_FLAGS, SOUND_ID, Observation
from voice_rl_plugin.understanding.frames import Logits
from voice_rl_plugin.understanding.onnx_policy import Policy

_LIKE_NOTHING = 2.0
"""No two names are as alike as this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """Which inputs are there."""

    lexical: bool = True
    """The flags: what each token means in this home."""
    phonetics: bool = True
    """How words sound: a bucket of every word, and the names that are only heard alike."""

    @property
    def hides_nothing(self) -> bool:
        """Whether every input is there."""
        return self.lexical and self.phonetics

    def arrays(self, arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the arrays of a corpus without the hidden inputs."""
        if self.hides_nothing:
            return arrays
        ids, lexical = self._hide(arrays["ids"], arrays["lexical"])
        return {**arrays, "ids": ids, "lexical": lexical}

    def observation(self, observation: Observation) -> Observation:
        """Return what is left of an utterance: the hidden inputs are 0, and names that are only heard alike are not found."""
        if self.hides_nothing:
            return observation
        ids, lexical = self._hide(observation.ids, observation.lexical)
        matches = observation.matches if self.phonetics else tuple(match for match in observation.matches if match.form != "sound")
        return replace(observation, ids=ids, lexical=lexical, matches=matches)

    def _hide(self, ids: NDArray[Any], lexical: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        ids, lexical = ids.copy(), lexical.copy()
        if not self.phonetics:
            ids[:, SOUND_ID] = 0
            lexical[:, SOUND_FLAGS] = 0
        return ids, (lexical if self.lexical else np.zeros_like(lexical))

    @contextmanager
    def hearing(self) -> Iterator[None]:
        """Let the names of homes that are indexed in here be found by their sound only if the mask leaves it; not for threads."""
        known = names.SOUND_LIKENESS
        if not self.phonetics:
            names.SOUND_LIKENESS = _LIKE_NOTHING
        try:
            yield
        finally:
            names.SOUND_LIKENESS = known


class MaskedPolicy:
    """A policy that reads without the hidden inputs."""

    def __init__(self, policy: Policy, mask: Mask) -> None:
        self._policy = policy
        self._mask = mask

    @property
    def version(self) -> str:
        """Return the version of the policy itself."""
        return self._policy.version

    def read(self, observation: Observation) -> Logits:
        """Return what the network says of each token."""
        return self._policy.read(self._mask.observation(observation))

    def score(self, features: NDArray[np.float32], context: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities of N candidates, of "none of these", and of "not for us": [N + 2]."""
        return self._policy.score(features, context)
