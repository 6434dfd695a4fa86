"""Erased from the weights too: the model that is made after an erasure is, bit for bit, the one of a home that never heard the sentence."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests.learning.makers import make_feedback
from tests.training.makers import FAN_ON, HOME, make_base, make_networks
from tests.training.test_retrain import NOW, SMALL, no_progress, scripted
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.learning.archive import export_archive, import_archive
from voice_rl_plugin.learning.models import ModelStore
from voice_rl_plugin.learning.store import ExperienceStore
from voice_rl_training.retrain import load_experience, retrain

QUICK = replace(SMALL, steps=8, scorer_steps=4, generic_replay=10, home_replay=10, generic_choices=10, home_choices=10,
                calibration_samples=10, stranger_cases=4, home_cases=4, folds=1)  # fmt: skip
SECRET = "zanzibar lullaby"


def fill(folder: Path, *, tells: bool) -> Path:
    """Write a household's log, with or without a sentence that one person said in the middle of it, eight times."""
    with ExperienceStore(folder, clock=lambda: NOW) as store:
        sayings = [(f"d{number}", text, wanted) for number, (text, wanted) in enumerate(scripted())]
        if tells:
            sayings[20:20] = [(f"secret{number}", f"{SECRET} {'again ' * number}".strip(), (FAN_ON,)) for number in range(8)]
        for name, text, wanted in sayings:
            at = NOW - 90_000 + 600 * (int(name[1:]) if name[0] == "d" else 19.5 + int(name[6:]) / 100)
            utterance = Utterance(text=text, language="en", area="den")
            store.record_decision(
                Decision(id=name, utterance=utterance, language="en", outcome="reject", policy_version="base", decided_at=at)
            )
            store.record_feedback(make_feedback(name, "correct" if wanted else "yes", correction=wanted, at=at + 3.0))
    return folder


def weights(folder: Path, base: Path, models: Path) -> bytes:
    """Retrain from a log and return the bytes of the new graphs."""
    store = ModelStore(models, base=base)
    outcome = retrain(load_experience(folder), home=HOME, models=store, recipe=QUICK, now=NOW, promotes=False, progress=no_progress)
    assert outcome.version is not None
    made = store.folder(outcome.version)
    assert SECRET not in (made / "manifest.json").read_text() + (made / "model_card.md").read_text()
    return (made / "policy.onnx").read_bytes() + (made / "scorer.onnx").read_bytes()


@pytest.mark.slow
def test_retrain_after_an_erasure_does_not_see_the_erased(tmp_path: Path) -> None:
    """Before the erasure the sentence changes the weights; after it they are those of a home in which it was never said."""
    base = make_base(tmp_path / "base", make_networks())
    never, told = fill(tmp_path / "never", tells=False), fill(tmp_path / "told", tells=True)
    before = weights(told, base, tmp_path / "models-before")
    with ExperienceStore(told, clock=lambda: NOW) as store:
        export_archive(store, tmp_path / "old.zip", now=NOW)
        erasure = store.erase(text=SECRET)
        import_archive(store, tmp_path / "old.zip")  # an old archive does not bring it back

    assert len(erasure.decision_ids) == 8
    assert SECRET not in json.dumps([transition.text for transition in load_experience(told).transitions])
    clean = weights(never, base, tmp_path / "models-never")
    assert weights(told, base, tmp_path / "models-after") == clean
    assert before != clean
