"""Taught names on real SQLite: kept, listed, exported, forgotten and erased as the memory is."""

import json
from pathlib import Path

import pytest

from tests.learning.makers import START, make_decision, make_feedback
from voice_rl_plugin.cli import main
from voice_rl_plugin.deciding.aliases import Alias
from voice_rl_plugin.learning.archive import export_archive, import_archive
from voice_rl_plugin.learning.models import ModelStore
from voice_rl_plugin.learning.store import ExperienceStore

BEAST = Alias(words="beast", entity_id="light.desk", decision_id="d1", learned_at=START)
SUN = Alias(words="小 太 阳", entity_id="light.bed", decision_id="d2", learned_at=START + 1, is_contested=True, rival="light.desk")


@pytest.fixture
def store(tmp_path: Path) -> ExperienceStore:
    """Return a store with two decisions and their names."""
    opened = ExperienceStore(tmp_path / "store", clock=lambda: START)
    opened.record_decision(make_decision("d1", text="turn on the beast"))
    opened.record_decision(make_decision("d2", text="打开小太阳"))
    opened.save_alias(BEAST)
    opened.save_alias(SUN)
    return opened


def test_names_outlive_a_restart(store: ExperienceStore) -> None:
    """What was taught is there again; a damaged one is left out."""
    store.close()
    with ExperienceStore(store.path) as again:
        assert again.load_aliases() == (BEAST, SUN)
        again._connection.write(lambda c: c.execute("UPDATE aliases SET body = replace(body, 'desk', 'dusk') WHERE words = 'beast'"))
        assert again.load_aliases() == (SUN,)


@pytest.mark.parametrize("chosen", [{"decision_id": "d2"}, {"text": "小太阳"}, {"everything": True}])
def test_names_are_erased_with_the_rest(store: ExperienceStore, chosen: dict[str, str | bool]) -> None:
    """By the decision that taught it, by its words, or with everything: no byte of it stays in any file."""
    erasure = store.erase(**chosen)  # type: ignore[arg-type]
    left = store.load_aliases()
    store.close()

    assert left == (() if "everything" in chosen else (BEAST,))
    assert erasure.aliases == 2 - len(left)
    assert "小 太 阳".encode() not in b"".join(path.read_bytes() for path in store.path.parent.iterdir())


def test_names_travel_in_the_archive(store: ExperienceStore, tmp_path: Path) -> None:
    """An export holds them, an import adds them, and erased ones do not come back."""
    export_archive(store, tmp_path / "home.zip", now=START)
    with ExperienceStore(tmp_path / "other") as other:
        import_archive(other, tmp_path / "home.zip")
        assert other.load_aliases() == (BEAST, SUN)
        other.erase(decision_id="d1")
        import_archive(other, tmp_path / "home.zip")
        assert other.load_aliases() == (SUN,)
    store.close()


def test_names_are_listed_and_forgotten(store: ExperienceStore, capsys: pytest.CaptureFixture[str]) -> None:
    """`memory list` shows them and whether they are contested; `memory forget` takes the name as it is said."""
    folder = str(store.path.parent)
    assert main(["memory", "list", "--store", folder]) == 0
    assert "'小太阳' is light.bed (contested: or light.desk)" in capsys.readouterr().out
    assert main(["memory", "list", "--json", "--store", folder]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["name"] == "beast"
    assert main(["memory", "forget", "小太阳", "--store", folder]) == 0
    assert store.load_aliases() == (BEAST,)
    assert main(["memory", "forget", "小太阳", "--store", folder]) == 2
    store.close()


def test_denials_are_counted_by_version(store: ExperienceStore) -> None:
    """Only a version's own decisions count, since a time, the newest first; the memory's do not."""
    store.record_feedback(make_feedback(verdict="no"))

    assert store.judged_badly("base") == (2, 1)
    assert store.judged_badly("base", limit=1) == (1, 0)
    assert store.judged_badly("base", since=START + 1) == (0, 0)
    assert store.judged_badly("v2") == (0, 0)
    store.close()


def test_promotion_begins_a_trial(tmp_path: Path) -> None:
    """A promoted version is on trial until that ends; a rollback leaves none; a shadow is named, and verified."""
    models = ModelStore(tmp_path / "models")
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "policy.onnx").write_bytes(b"x")
    models.add(tmp_path / "made", {"version": "v2", "gate": {"passed": True}})
    assert models.trial() is None

    models.promote("v2", at=START)
    trial = models.trial()
    assert trial is not None
    assert (trial.version, trial.former, trial.since) == ("v2", "base", START)
    models.end_trial("base")
    assert models.trial() == trial
    models.end_trial("v2")
    assert (models.trial(), models.champion_version(), models.history()) == (None, "v2", ("base",))
    models.rollback(at=START)
    assert (models.trial(), models.champion_version()) == (None, "base")

    models.challenge("v2")
    assert models.challenger_version() == "v2"
    assert models.challenger("v2") == models.folder("v2")
    models.challenge(None)
    assert models.challenger_version() is None
