"""What is delivered: the wheel, the version, the pins."""

import importlib
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def load_project() -> dict[str, Any]:
    """Return pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def plain(requirement: str) -> str:
    """Return the normalised name of a requirement or a pin."""
    return re.split(r"[\s<>=!~\[;]", requirement, maxsplit=1)[0].lower().replace("_", "-").replace(".", "-")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Return the wheel, built by the build backend itself."""
    folder = tmp_path_factory.mktemp("wheel")
    code = f"import hatchling.build; print(hatchling.build.build_wheel({str(folder)!r}))"
    built = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return zipfile.ZipFile(folder / built.stdout.split()[-1])


def test_wheel_holds_both_packages_with_their_files(wheel: zipfile.ZipFile) -> None:
    """Every file of both packages is in the wheel under its import name."""
    names = set(wheel.namelist())
    wanted = {
        str(path.relative_to(base))
        for base, package in ((ROOT, "voice_rl_plugin"), (ROOT / "training", "voice_rl_training"))
        for path in (base / package).rglob("*")
        if path.is_file()
        and path.suffix in {".py", ".txt", ".phrases", ".onnx", ".json", ".yaml", ".html"}
        and "__pycache__" not in path.parts
    }

    assert wanted - names == set()


def test_wheel_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    """No tests, examples or caches are installed, and no third top-level name."""
    names = wheel.namelist()

    assert {name.split("/")[0].split("-")[0] for name in names} <= {"voice_rl_plugin", "voice_rl_training"}
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def test_wheel_names_its_commands(wheel: zipfile.ZipFile) -> None:
    """The wheel installs voice-rl and voice-rl-train."""
    entry_points = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    text = wheel.read(entry_points).decode()

    assert "voice-rl = voice_rl_plugin.cli:main" in text
    assert "voice-rl-train = voice_rl_training.cli:main" in text


def test_daemon_is_installed_without_what_only_the_trainer_needs() -> None:
    """Torch and onnx come with the extra `train` alone."""
    project = load_project()["project"]

    assert not {plain(one) for one in project["dependencies"]} & {"torch", "onnx", "safetensors", "gymnasium", "amqtt"}
    assert {"torch", "onnx", "safetensors"} <= {plain(one) for one in project["optional-dependencies"]["train"]}


def test_constraints_pin_every_requirement() -> None:
    """Each requirement of each extra has one exact pin, and torch's names no build."""
    project = load_project()["project"]
    lines = [line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    wanted = {plain(one) for group in (project["dependencies"], *project["optional-dependencies"].values()) for one in group}

    assert wanted - {plain(line) for line in lines} == set()
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line)] == []
    assert "torch==2.13.0" in lines


def test_changelog_names_the_version() -> None:
    """The changelog has a section for what comes next or for the version of the package."""
    version = importlib.import_module("voice_rl_plugin").__version__
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert f"## [{version}]" in text or "## [Unreleased]" in text
