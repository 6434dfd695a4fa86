"""The policy as ONNX Runtime runs it: the only module that knows onnxruntime.

policy.onnx   ids [T, 6], ngrams [T, 3], lexical [T, L], context [2]  ->  heads [T, H]
scorer.onnx   features [N, F], context [C]                           ->  log probabilities [N + 2]
"""

import json
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.errors import ModelError
from voice_rl_plugin.understanding.candidates import CANDIDATE_FEATURES, CONTEXT_FEATURES
from voice_rl_plugin.understanding.features import FEATURE_VERSION, Observation, observe_words
from voice_rl_plugin.understanding.frames import HEAD_SIZES, Logits, split_heads
from voice_rl_plugin.understanding.names import NameIndex

READER_FILE = "policy.onnx"
SCORER_FILE = "scorer.onnx"


class Policy(Protocol):
    """What the decider needs of a model."""

    @property
    def version(self) -> str:
        """Return the version that decisions are logged with."""
        ...

    def read(self, observation: Observation) -> Logits:
        """Return what the network says of each token."""
        ...

    def score(self, features: NDArray[np.float32], context: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return calibrated probabilities of N candidates, of "none of these", and of "not for us": [N + 2].

        Args:
            features: [N, CANDIDATE_FEATURES].
            context: [CONTEXT_FEATURES].
        """
        ...


class OnnxPolicy:
    """A model folder, loaded."""

    def __init__(self, reader: bytes, scorer: bytes, *, version: str) -> None:
        """Load the two graphs from memory, so that neither can pull in a file from elsewhere.

        Raises:
            ModelError: a graph cannot be loaded or has other inputs than this version's.
        """
        self._version = version
        self._reader = _session(reader, READER_FILE)
        self._scorer = _session(scorer, SCORER_FILE)

    @classmethod
    def load(cls, folder: Path) -> "OnnxPolicy":
        """Load a model folder; its checksums are the model store's business.

        Raises:
            ModelError: a file is missing, the feature version is another, or a graph is damaged.
        """
        try:
            manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            reader, scorer = (folder / READER_FILE).read_bytes(), (folder / SCORER_FILE).read_bytes()
        except (OSError, ValueError) as error:
            raise ModelError(f"{folder}: expected a model with manifest.json, {READER_FILE} and {SCORER_FILE}: {error}") from error
        made_for = manifest.get("feature_version") if isinstance(manifest, dict) else None
        if made_for != FEATURE_VERSION:
            raise ModelError(
                f"{folder}: made for feature version {made_for}, this daemon has {FEATURE_VERSION}; retrain or take another model"
            )
        policy = cls(reader, scorer, version=str(manifest.get("version", folder.name)))
        policy.probe()
        return policy

    @property
    def version(self) -> str:
        """Return the version that decisions are logged with."""
        return self._version

    def read(self, observation: Observation) -> Logits:
        """Return what the network says of each token."""
        return split_heads(self.heads(observation))

    def heads(self, observation: Observation) -> NDArray[np.float32]:
        """Return the raw heads, [T, sum(HEAD_SIZES)]."""
        inputs = {
            "ids": observation.ids,
            "ngrams": observation.ngrams,
            "lexical": observation.lexical,
            "context": observation.context,
        }
        return self._reader.run(None, inputs)[0]  # type: ignore[no-any-return]

    def score(self, features: NDArray[np.float32], context: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return calibrated probabilities of N candidates, of "none of these", and of "not for us": [N + 2]."""
        if features.ndim != 2 or features.shape[1] != CANDIDATE_FEATURES or context.shape != (CONTEXT_FEATURES,):
            raise ValueError(
                f"expected features [N, {CANDIDATE_FEATURES}] and context [{CONTEXT_FEATURES}], got {features.shape} and {context.shape}"
            )
        count = len(features)
        if count == 0:  # the graph wants a candidate: one that cannot win
            features = np.zeros((1, CANDIDATE_FEATURES), np.float32)
        logs = self._scorer.run(None, {"features": features, "context": context})[0]
        if count == 0:
            logs = logs[1:]
        raised = np.exp(logs - logs.max())
        return raised / raised.sum()  # type: ignore[no-any-return]

    def probe(self) -> None:
        """Run one tiny input through both graphs.

        Raises:
            ModelError: an output has a wrong shape or is not finite.
        """
        home = Home()
        try:
            heads = self.heads(observe_words(("turn", "on", "灯"), home=home, index=NameIndex(home)))
            scores = self.score(np.zeros((2, CANDIDATE_FEATURES), np.float32), np.zeros(CONTEXT_FEATURES, np.float32))
        except Exception as error:
            raise ModelError(f"model {self._version}: cannot be run: {error}") from error
        if heads.shape != (3, sum(HEAD_SIZES)) or scores.shape != (4,) or not np.isfinite(heads).all() or not np.isfinite(scores).all():
            raise ModelError(
                f"model {self._version}: expected finite outputs [3, {sum(HEAD_SIZES)}] and [4], got {heads.shape} and {scores.shape}"
            )


def _session(graph: bytes, name: str) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(f"{name}: onnxruntime cannot load it: {error}") from error
