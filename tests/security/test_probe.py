"""A bad model cannot take the daemon down: it is loaded first in a child that may not grow, may not write, and knows no secret."""

from pathlib import Path

import pytest

from tests.daemon.conftest import StartHouse
from tests.learning.test_models import make_folder
from voice_rl_plugin.errors import ModelError
from voice_rl_plugin.learning import models
from voice_rl_plugin.learning.models import BASE_FOLDER, probe_in_child


def said_by(monkeypatch: pytest.MonkeyPatch, folder: Path, program: str) -> str:
    """Return how a child ends that runs another program under the same limits."""
    head = models._PROBE.partition("from voice_rl_plugin")[0]
    monkeypatch.setattr(models, "_PROBE", head + program)
    with pytest.raises(ModelError) as refused:
        probe_in_child(folder)
    return str(refused.value)


def test_shipped_model_loads_within_the_limits() -> None:
    """What is sound passes."""
    probe_in_child(BASE_FOLDER)


def test_child_that_grows_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Asking for more memory than the limit ends the child, and is an error of the model."""
    assert "MemoryError" in said_by(monkeypatch, tmp_path, f"bytearray({models.PROBE_MEMORY_BYTES})")


def test_child_that_writes_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It can put no byte into a file."""
    said = said_by(monkeypatch, tmp_path, f"open({str(tmp_path / 'x')!r}, 'wb', buffering=0).write(b'evil')")

    assert "does not load" in said
    assert not (tmp_path / "x").exists() or (tmp_path / "x").stat().st_size == 0


def test_child_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It has its time."""
    monkeypatch.setattr(models, "PROBE_TIMEOUT_S", 0.3)

    assert "did not load within 0.3 s" in said_by(monkeypatch, tmp_path, "while True: pass")


def test_child_that_dies_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A crash below Python is an error of the model like any other."""
    assert "exit -11" in said_by(monkeypatch, tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")


def test_child_knows_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The broker's password, which may stand in our environment, is not handed on."""
    monkeypatch.setenv("VOICE_RL__MQTT__PASSWORD", "correct horse")

    said = said_by(monkeypatch, tmp_path, "import os; sys.exit('knows ' + str([k for k in os.environ if k.startswith('VOICE_RL')]))")
    assert said.endswith("knows []")


def test_foreign_bytes_are_refused(tmp_path: Path) -> None:
    """Bytes that are no model do not load."""
    with pytest.raises(ModelError, match="does not load"):
        probe_in_child(make_folder(tmp_path / "bad"))


def test_bad_champion_at_the_start_is_rolled_back(start_house: StartHouse, tmp_path: Path) -> None:
    """A champion that does not load when the daemon starts is rolled back, and the one before decides."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "champion").write_text("base\nv2\nunloadable")
    house = start_house(names=("base", "v2", "unloadable"))
    house.say("turn on the lamp")

    assert house.decision()["policy_version"] == "v2"
    assert house.models.champion_version() == "v2"
