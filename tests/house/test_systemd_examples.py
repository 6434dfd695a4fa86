"""The systemd units: what they start, and what they may."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from voice_rl_plugin.daemon.watchdog import STUCK_S

UNITS = Path(__file__).parents[2] / "examples" / "systemd"
ANALYZE = shutil.which("systemd-analyze")


class Unit(configparser.RawConfigParser):
    """A unit file; of a repeated key the last one counts."""

    def __init__(self, name: str) -> None:
        super().__init__(strict=False, interpolation=None)
        self.read(UNITS / name, encoding="utf-8")

    def optionxform(self, optionstr: str) -> str:
        """Keep the case of keys."""
        return optionstr


def test_daemon_unit_starts_the_daemon_and_does_not_retry_a_wrong_configuration() -> None:
    """The unit runs `voice-rl run`, restarts on failure, but not after exit code 2."""
    service = Unit("voice-rl.service")["Service"]

    assert (service["Type"], service["NotifyAccess"]) == ("notify", "main")
    assert float(service["WatchdogSec"]) > STUCK_S
    assert service["LimitCORE"] == "0"
    assert re.fullmatch(r"\S*/voice-rl run --config /etc/voice_rl/voice_rl.yaml", service["ExecStart"])
    assert (service["Restart"], service["RestartPreventExitStatus"]) == ("on-failure", "2")


@pytest.mark.parametrize("name", ["voice-rl.service", "voice-rl-retrain.service"])
def test_units_are_confined(name: str) -> None:
    """Neither runs as root, gains privileges, sees homes, or writes outside its own folder."""
    service = Unit(name)["Service"]

    assert service["User"] == "voice-rl"
    assert service["NoNewPrivileges"] == "yes"
    assert service["CapabilityBoundingSet"] == ""
    assert (service["ProtectSystem"], service["ProtectHome"]) == ("strict", "yes")
    assert (service["StateDirectory"], service["StateDirectoryMode"]) == ("voice_rl", "0700")


def test_daemon_can_see_the_processor() -> None:
    """ONNX Runtime reads /proc/cpuinfo to choose its kernels: the unit does not hide it."""
    assert "ProcSubset" not in Unit("voice-rl.service")["Service"]


def test_training_has_no_network_and_runs_at_night() -> None:
    """The nightly service runs `voice-rl-train retrain` without a network, at low priority; the timer names a time and makes up for a missed one."""
    service = Unit("voice-rl-retrain.service")["Service"]
    timer = Unit("voice-rl-retrain.timer")["Timer"]

    assert service["Type"] == "oneshot"
    assert service["ExecStart"].endswith("/voice-rl-train retrain")
    assert service["PrivateNetwork"] == "yes"
    assert service["Nice"] == "19"
    assert (timer["OnCalendar"], timer["Persistent"]) == ("*-*-* 03:30:00", "yes")


@pytest.mark.skipif(ANALYZE is None, reason="needs systemd-analyze")
def test_units_pass_systemd_analyze(tmp_path: Path) -> None:
    """The real systemd finds no unknown key, no bad value, and the timer's service."""
    for path in (*UNITS.glob("*.service"), *UNITS.glob("*.timer")):
        text = re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={shutil.which('true')}", path.read_text(encoding="utf-8"))
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    units = [str(path) for path in sorted(tmp_path.iterdir())]
    result = subprocess.run([str(ANALYZE), "verify", "--man=no", *units], capture_output=True, text=True, check=False)

    assert [line for line in (result.stdout + result.stderr).splitlines() if "voice-rl" in line] == []


@pytest.mark.skipif(ANALYZE is None, reason="needs systemd-analyze")
def test_daemon_unit_is_as_little_exposed_as_the_page_says(tmp_path: Path) -> None:
    """`systemd-analyze security --offline=true` gives the unit the figure that docs/security.md prints, or a better one."""
    text = (UNITS / "voice-rl.service").read_text(encoding="utf-8")
    (tmp_path / "voice-rl.service").write_text(re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={shutil.which('true')}", text), encoding="utf-8")
    command = [str(ANALYZE), "security", "--offline=true", "--no-pager", str(tmp_path / "voice-rl.service")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if "Overall exposure level" not in result.stdout:
        pytest.skip("this systemd cannot look at a unit offline")
    page = (UNITS.parents[1] / "docs" / "security.md").read_text(encoding="utf-8")

    exposed = re.search(r"Overall exposure level for voice-rl\.service: ([\d.]+)", result.stdout)
    promised = re.search(r"exposure level ([\d.]+)", page)
    assert exposed is not None
    assert promised is not None
    assert float(exposed[1]) <= float(promised[1])
