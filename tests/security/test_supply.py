"""What the program is made of: pinned dependencies, and no format that can run code when it is read."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "voice_rl_plugin").rglob("*.py"), *(ROOT / "training").rglob("*.py"), *(ROOT / "examples").rglob("*.py")])
RUNS_CODE = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle"}
"""Modules whose readers run what they read."""
CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}
UNSAFE_READERS = {"yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load"}


def imported(tree: ast.AST) -> set[str]:
    """Return the top packages that a module imports."""
    found = {name.name.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    return found | {(node.module or "").partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


def calls(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    """Return every call with its name as it is written, `yaml.load` say."""
    return [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def named(call: ast.Call) -> dict[str, str]:
    """Return the keyword arguments as they are written."""
    return {one.arg: ast.unparse(one.value) for one in call.keywords if one.arg}


def problems(text: str) -> list[str]:
    """Return what in a module could run foreign code."""
    tree = ast.parse(text)
    found = sorted(imported(tree) & RUNS_CODE)
    for name, call in calls(tree):
        given = named(call)
        is_unsafe = (
            name in CALLS
            or name in UNSAFE_READERS
            or (name == "torch.load" and given.get("weights_only") != "True")
            or (name in ("np.load", "np.fromfile") and given.get("allow_pickle", "False") != "False")
            or (name.startswith("subprocess.") and given.get("shell", "False") != "False")
        )
        if is_unsafe:
            found.append(name)
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_reads_a_format_that_runs_code(path: Path) -> None:
    """No pickle or its kin, no unsafe YAML, no `torch.load` beyond weights, no eval, no shell."""
    assert problems(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from cloudpickle import loads",
        "yaml.load(x)",
        "torch.load(p)",
        "torch.load(p, weights_only=False)",
        "np.load(p, allow_pickle=True)",
        "eval('1')",
        "subprocess.run(x, shell=True)",
        "os.system(x)",
    ],
)
def test_the_check_itself_sees_it(text: str) -> None:
    """The check above finds each of these."""
    assert problems(text) != []


def test_shipped_files_are_no_pickles() -> None:
    """No file of the package or the tests begins like a pickle or a torch archive."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False).stdout.decode().split("\0")
    files = [ROOT / name for name in tracked if name] or [path for path in (ROOT / "voice_rl_plugin").rglob("*") if path.is_file()]

    assert len(files) > 50
    assert [path.name for path in files if path.suffix in (".pkl", ".pickle", ".pt", ".pth", ".joblib", ".bin")] == []
    assert [path.name for path in files if path.is_file() and re.match(rb"\x80[\x02-\x05][\x95}\]ck(]", path.read_bytes()[:3])] == []


def pins() -> dict[str, str]:
    """Return the version that constraints.txt gives each package."""
    lines = [line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return {name.lower().replace("_", "-"): version for name, version in (line.split("==") for line in lines)}


def test_every_dependency_is_pinned() -> None:
    """Whatever pyproject.toml asks for, in any extra, has one version in constraints.txt, and comes from a registry by its name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    names = [re.match(r"[A-Za-z0-9._-]+", one)[0].lower().replace("_", "-") for one in asked]  # type: ignore[index]

    assert [name for name in names if name not in pins()] == []
    assert [one for one in asked if "@" in one or "://" in one] == []


def test_daemon_stays_light() -> None:
    """The daemon's own dependencies are five; signatures, training and fuzzing are extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert sorted(re.split(r"[>=<]", one)[0] for one in project["dependencies"]) == [
        "jellyfish",
        "numpy",
        "onnxruntime",
        "paho-mqtt",
        "pyyaml",
    ]


def test_audit_refuses_a_loose_pin(tmp_path: Path) -> None:
    """`scripts/audit` fails where a line pins no version."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "audit").write_text((ROOT / "scripts" / "audit").read_text(encoding="utf-8"))
    (tmp_path / "constraints.txt").write_text("numpy>=1\n")
    done = subprocess.run(["sh", "scripts/audit"], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "numpy>=1" in done.stderr
