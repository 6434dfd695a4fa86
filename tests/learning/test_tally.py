"""The tally: each decision once by its outcome, each judged one once by what was said of it, in the span that was asked for."""

from pathlib import Path

from tests.learning.makers import LAMP_ON, OTHER, START, make_decision, make_feedback
from voice_rl_plugin.domain.decision import Candidate
from voice_rl_plugin.learning.store import ExperienceStore
from voice_rl_plugin.learning.tally import KINDS

CHOICES = (Candidate(actions=(LAMP_ON,), probability=0.5, label="desk"), Candidate(actions=(OTHER,), probability=0.4, label="bed"))


def test_empty_store_counts_nothing(tmp_path: Path) -> None:
    """A new store has a zero for each kind."""
    with ExperienceStore(tmp_path / "store") as store:
        assert store.tally(since=0.0) == dict.fromkeys(KINDS, 0)


def test_outcomes_and_judgements_are_counted_once(tmp_path: Path) -> None:
    """Two judgements of one decision are one denied decision; what an answer picked was acted; a guess about a first try is no correction."""
    with ExperienceStore(tmp_path / "store") as store:
        for number, outcome in enumerate(("act", "act", "clarify", "reject", "act")):
            store.record_decision(make_decision(f"d{number}", text=f"words {number}", outcome=outcome, choices=CHOICES, at=START + number))
        store.record_feedback(make_feedback("d0", "no", at=START + 3))
        store.record_feedback(make_feedback("d0", "no", source="voice", at=START + 5))
        store.record_feedback(make_feedback("d1", "correct", source="voice", correction=(OTHER,), text="no, the bed one", at=START + 6))
        store.record_feedback(make_feedback("d2", "yes", correction=(OTHER,), at=START + 7))
        store.record_feedback(make_feedback("d3", "correct", source="voice", correction=(LAMP_ON,), is_inferred=True, at=START + 8))
        store.record_feedback(make_feedback("d4", "undo", source="state", at=START + 9))

        counted = store.tally(since=START - 1)

    assert counted == {"acted": 4, "asked": 1, "rejected": 1, "confirmed": 1, "denied": 1, "corrected": 1, "undone": 1}


def test_only_the_span_counts_and_it_survives_a_restart(tmp_path: Path) -> None:
    """What is older is left out, and a store that was closed and opened again counts the same."""
    with ExperienceStore(tmp_path / "store") as store:
        store.record_decision(make_decision("old", at=START - 8 * 86400))
        store.record_feedback(make_feedback("old", "no", at=START - 8 * 86400 + 2))
        store.record_decision(make_decision("new", at=START))
        store.record_feedback(make_feedback("new", "no", at=START + 2))
    with ExperienceStore(tmp_path / "store") as store:
        counted = store.tally(since=START - 7 * 86400)
        store.erase(decision_id="new")

        assert (counted["acted"], counted["denied"]) == (1, 1)
        assert store.tally(since=START - 7 * 86400) == dict.fromkeys(KINDS, 0)


def test_answer_that_came_late_did_nothing(tmp_path: Path) -> None:
    """A question that was answered after its time was noted, and not acted upon."""
    with ExperienceStore(tmp_path / "store") as store:
        store.record_decision(make_decision("d1", outcome="clarify", choices=CHOICES))
        store.record_feedback(make_feedback("d1", "yes", correction=(OTHER,), at=START + 40))

        assert (store.tally(since=START)["acted"], store.tally(since=START)["confirmed"]) == (0, 1)
