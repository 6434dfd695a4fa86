"""The scripts that a checkout is used by."""

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHELL = [ROOT / ".ci" / "run", *(ROOT / "scripts" / name for name in ("audit", "check", "test", "test-ha", "venv", "need-mosquitto"))]


@pytest.mark.parametrize("path", SHELL, ids=lambda path: path.name)
def test_scripts_are_executable_posix_shell(path: Path) -> None:
    """Each script is executable, is plain sh, and parses."""
    assert path.stat().st_mode & stat.S_IXUSR
    assert path.read_text(encoding="utf-8").startswith("#!/bin/sh\n")
    subprocess.run(["sh", "-n", str(path)], check=True)


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_test_runs_check_and_test() -> None:
    """`make test` prepares, checks, and tests, in this order; .ci/run calls it."""
    shown = subprocess.run(["make", "-n", "test"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    called = re.findall(r"scripts/[\w-]+", shown)

    assert called == ["scripts/need-mosquitto", "scripts/venv", "scripts/check", "scripts/test"]
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_run_installs_no_trainer() -> None:
    """`make run` installs what the demo needs, not the trainer, and hands on its arguments."""
    shown = subprocess.run(["make", "-n", "run", "ARGS=--help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert "scripts/venv demo\n" in shown
    assert "voice-rl demo --help" in shown


def copy_project(folder: Path) -> Path:
    """Copy what scripts/venv reads."""
    (folder / "scripts").mkdir()
    for name in ("pyproject.toml", "constraints.txt", "scripts/venv"):
        shutil.copy(ROOT / name, folder / name)
    return folder / "scripts" / "venv"


def test_venv_without_python_says_what_to_do(tmp_path: Path) -> None:
    """Where there is no Python 3.11, the script fails with one line that says so."""
    script = copy_project(tmp_path)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "cat", "cksum", "tr", "dirname"):
        (tools / name).symlink_to(str(shutil.which(name)))
    result = subprocess.run([str(script), "demo"], env={"PATH": str(tools)}, capture_output=True, text=True, check=False)

    assert result.returncode == 1
    assert result.stderr.splitlines() == ["Python 3.11 or later was not found; install it, or name it: PYTHON=/path/to/python3 make"]


def test_venv_with_nothing_changed_returns_at_once(tmp_path: Path) -> None:
    """A second run with the same project installs nothing; a changed pin installs again."""
    script = copy_project(tmp_path)
    fake = tmp_path / ".venv" / "bin" / "python"
    fake.parent.mkdir(parents=True)
    fake.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/calls\n', encoding="utf-8")
    fake.chmod(0o755)

    def installs() -> int:
        subprocess.run([str(script), "demo"], env=os.environ | {"PYTHON": ""}, check=True, capture_output=True)
        return (tmp_path / "calls").read_text(encoding="utf-8").count("pip install")

    assert [installs(), installs()] == [1, 1]
    with (tmp_path / "constraints.txt").open("a", encoding="utf-8") as pins:
        pins.write("# changed\n")
    assert installs() == 2


@pytest.mark.parametrize("environment", [{"VOICE_RL_HA": "/nowhere/python"}, {"VOICE_RL_HA": "", "HA_CHROOT": "/proc/nowhere"}])
def test_home_assistant_that_cannot_be_had_is_skipped_with_a_word(tmp_path: Path, environment: dict[str, str]) -> None:
    """Where no Home Assistant can be found or installed, `make test-ha` says why in one line and ends well."""
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    for name in ("need-home-assistant", "test-ha"):
        shutil.copy(ROOT / "scripts" / name, scripts / name)
    clean = os.environ | {"PYTHON": sys.executable, "PATH": "/usr/bin:/bin", "PYENV_ROOT": str(tmp_path)} | environment
    result = subprocess.run([str(scripts / "test-ha")], env=clean, capture_output=True, text=True, check=False)

    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr.splitlines()[-1].startswith("the tests against a real Home Assistant are skipped: ")
