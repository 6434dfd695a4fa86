"""The commands about experience, memory and models, through the real entry point."""

import io
import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.learning.makers import OTHER, START, make_decision, make_feedback
from tests.learning.test_models import make_folder, manifest_of, pack
from voice_rl_plugin.cli import build_parser, main
from voice_rl_plugin.deciding.memory import MemoryEntry
from voice_rl_plugin.learning.models import ModelStore
from voice_rl_plugin.learning.store import ExperienceStore


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A store with two decisions, of which one was corrected and remembered."""
    path = tmp_path / "store"
    with ExperienceStore(path) as store:
        store.record_decision(make_decision("d1", text="书房灯调到三十五"), previous=(OTHER,))
        store.record_decision(make_decision("d2", at=START + 60))
        store.record_feedback(make_feedback("d1", "correct", correction=(OTHER,), text="the bed one", source="voice", user="anna"))
        store.save_memory(MemoryEntry(words="movie time", area="study", actions=(OTHER,), decision_id="d1", learned_at=START))
    return str(path)


def test_explain_says_everything_in_words(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What was heard, considered, done, judged, and by which versions."""
    assert main(["explain", "d1", "--store", folder]) == 0
    said = capsys.readouterr().out

    for words in ("书房灯调到三十五", "90.0%", "the policy", "It was clear.", "base", "-1.00", "the bed one", "anna", OTHER.to_line()):
        assert words in said
    assert main(["explain", "d1", "--json", "--store", folder]) == 0
    assert json.loads(capsys.readouterr().out)["settlement"]["reward"] == -1.0


def test_unknown_decision_and_missing_store_end_with_code_2(folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line on stderr, no traceback."""
    assert main(["explain", "nope", "--store", folder]) == 2
    assert main(["experience", "list", "--store", str(tmp_path / "missing")]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 2


def test_experience_list_review_export_import_erase(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way of a home's experience through the commands."""
    archive = str(tmp_path / "home.zip")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert main(["experience", "review", "--store", folder]) == 0
    capsys.readouterr()
    assert main(["experience", "list", "--json", "--store", folder]) == 0
    assert [json.loads(line)["reward"] for line in capsys.readouterr().out.splitlines()] == [-1.0, 1.0]
    assert main(["experience", "export", archive, "--store", folder]) == 0

    assert main(["experience", "erase", "--text", "三十五", "--store", folder]) == 0
    assert archive in capsys.readouterr().out
    assert main(["experience", "import", archive, "--json", "--store", folder]) == 0
    assert json.loads(capsys.readouterr().out) == {"decisions": 0, "feedback": 0}
    assert main(["experience", "erase", "--all", "--json", "--store", folder]) == 0
    assert json.loads(capsys.readouterr().out)["decisions"] == ["d2"]
    with ExperienceStore(tmp_path / "store") as store:
        assert store.count() == (0, 0)


def test_experience_report_tells_shadow_mode_from_what_was_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What would have been done stands with its sentence and its action; what was judged is counted; what is older is left out."""
    path, now = tmp_path / "store", time.time()
    with ExperienceStore(path) as store:
        store.record_decision(replace(make_decision("d1", text="desk lamp please", at=now - 60), executor="none"))
        store.record_decision(replace(make_decision("d2", text="the other lamp", at=now - 50), executor="dispatch"))
        store.record_decision(make_decision("d3", text="long ago", at=now - 9 * 86_400))
        refused = replace(make_decision("d4", text="turn up early", at=now - 40), outcome="reject", actions=(), reason="That was talk.")
        store.record_decision(replace(refused, reason_code="chat"))
        store.record_feedback(make_feedback("d2", "no", at=now - 45))

    assert main(["experience", "report", "--days", "7", "--store", str(path)]) == 0
    page = capsys.readouterr().out
    assert "3 sentences." in page
    assert "| would have been done (shadow mode) | 1 | 33 % | 0 | 0 |" in page
    assert "| done | 1 | 33 % | 0 | 1 |" in page
    assert "“desk lamp please” -> " in page
    assert "chat 1." in page
    assert "“turn up early” -> That was talk. [chat]" in page
    assert "long ago" not in page
    assert main(["experience", "report", "--days", "0", "--store", str(path)]) == 2
    assert "--days: expected more than 0" in capsys.readouterr().err


def test_memory_list_and_forget(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An entry is listed, forgotten as it was spoken, and then unknown."""
    assert main(["memory", "list", "--json", "--store", folder]) == 0
    assert json.loads(capsys.readouterr().out)["words"] == "movie time"
    assert main(["memory", "forget", "Movie time!", "--store", folder]) == 0
    assert main(["memory", "forget", "movie time", "--store", folder]) == 2


def test_models_list_show_import_verify(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A version is imported, listed, shown, verified; one that does not load is refused with code 2."""
    other, models = ModelStore(tmp_path / "other"), str(tmp_path / "models")
    other.add(make_folder(tmp_path / "n7"), manifest_of("v7"))
    ModelStore(tmp_path / "models").import_archive(pack(other.folder("v7"), tmp_path / "v7.zip"))

    assert main(["models", "list", "--models", models]) == 0
    assert "v7" in capsys.readouterr().out
    assert main(["models", "show", "v7", "--json", "--models", models]) == 0
    assert json.loads(capsys.readouterr().out)["version"] == "v7"
    assert main(["models", "verify", "v7", "--models", models]) == 0
    assert main(["models", "promote", "v7", "--models", models]) == 2
    assert "does not load" in capsys.readouterr().err
    assert main(["models", "rollback", "--models", models]) == 2
    (tmp_path / "models" / "v7" / "policy.onnx").write_bytes(b"x")
    assert main(["models", "verify", "v7", "--models", models]) == 1


@pytest.mark.parametrize(
    "command",
    [
        ["explain"],
        *(["experience", one] for one in ("list", "report", "review", "export", "import", "erase")),
        *(["memory", one] for one in ("list", "forget")),
        *(["models", one] for one in ("list", "show", "import", "promote", "rollback", "verify")),
    ],
)
def test_help_ends_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command shows one whole command line."""
    with pytest.raises(SystemExit):
        build_parser().parse_args([*command, "--help"])

    assert capsys.readouterr().out.strip().splitlines()[-1].strip().startswith(f"voice-rl {' '.join(command)}")
