"""Findings about a home and about files: each mistake is seen, named, and comes with its fix; a sound home has none."""

from pathlib import Path
from typing import Any

import pytest

from voice_rl_plugin.commands._findings import (
    Finding,
    check_home,
    check_risky,
    check_satellites,
    check_secrets,
    count_levels,
    suspicious,
    worst,
)
from voice_rl_plugin.config import Config, MqttSection, StoreSection
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.homes.file import load_home

EXAMPLES = Path(__file__).parents[2] / "examples"
AREAS = [{"id": "kitchen", "name": "Kitchen"}, {"id": "hall", "name": "Hall"}]


def home_of(*entities: dict[str, Any], **more: Any) -> Home:
    """Return a home of some entities."""
    return Home.from_mapping({"areas": AREAS, "entities": list(entities), **more})


def lamp(entity_id: str = "light.a", name: str = "Lamp", area: str | None = "kitchen", **more: Any) -> dict[str, Any]:
    """Return an entity in its mapping form."""
    return {"id": entity_id, "name": name, "area": area, **more}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_sound_home_has_no_finding(language: str) -> None:
    """The example homes have nothing to mend, and their lock is known to ask."""
    home = load_home(EXAMPLES / f"home.{language}.yaml")

    assert check_home(home) == []
    assert [one.level for one in check_risky(home, ())] == ["note"]
    assert check_satellites(home, ()) == []


@pytest.mark.parametrize(
    ("home", "check", "words"),
    [
        (Home(), "home", "no devices are known"),
        (home_of(lamp(exposed=False)), "home", "no devices are known"),
        (home_of(lamp(), lamp("light.b", "lamp")), "names", "2 entities in kitchen are called 'lamp'"),
        (home_of(lamp(), lamp("light.b", "Other", aliases=["lamp"])), "names", "2 entities in kitchen are called 'lamp'"),
        (home_of(lamp("light.a", "灯"), lamp("light.b", "灯")), "names", "called '灯'"),
        (home_of(lamp(area=None), lamp("scene.film", "Film", None)), "areas", "light.a has no area"),
        (home_of(*(lamp(f"light.{n}", f"Lamp {n}", None) for n in range(7))), "areas", "light.4 and 2 more have no area"),
        (home_of(lamp(name="0x00158d0001a2b3")), "names", "light.a has a name that nobody can say"),
        (home_of(lamp(members=["light.gone"])), "members", "light.gone, which is not in this home"),
        (home_of(lamp(), satellites=[{"id": "assist_satellite.x"}]), "satellites", "assist_satellite.x has no area"),
        (Home.from_mapping({"areas": [*AREAS, {"id": "h2", "name": "hall"}], "entities": [lamp()]}), "names", "area hall and area h2"),
    ],
)
def test_mistakes_in_a_home_are_named_with_their_fix(home: Home, check: str, words: str) -> None:
    """One mistake is one finding, which says what to do."""
    (finding,) = check_home(home)

    assert (finding.check, finding.level in ("warning", "error"), bool(finding.fix)) == (check, True, True)
    assert words in finding.what


def test_same_names_in_different_areas_are_no_mistake() -> None:
    """The area tells them apart."""
    assert check_home(home_of(lamp(), lamp("light.b", "Lamp", "hall"))) == []


def test_satellite_that_the_home_does_not_know_is_named() -> None:
    """Who speaks and has no place is told apart from who is known."""
    home = home_of(lamp(), satellites=[{"id": "assist_satellite.kitchen", "area": "kitchen"}])
    (finding,) = check_satellites(home, {"assist_satellite.kitchen", "assist_satellite.attic"})

    assert "assist_satellite.attic" in finding.what
    assert "satellites:" in finding.fix


@pytest.mark.parametrize(
    ("entity", "asks"),
    [
        (lamp("lock.door", "Door"), True),
        (lamp("cover.garage", "Garage", device_class="garage"), True),
        (lamp("cover.blind", "Blind", device_class="blind"), False),
        (lamp("switch.x", "Thing", risky=True), True),
        (lamp("siren.x", "Siren"), True),
        (lamp(), False),
    ],
)
def test_devices_that_always_ask_are_listed(entity: dict[str, Any], *, asks: bool) -> None:
    """What the safety rule asks about is said, and nothing else."""
    findings = check_risky(home_of(entity), ())

    assert [(one.level, entity["id"] in one.what) for one in findings] == ([("note", True)] if asks else [])


@pytest.mark.parametrize("name", ["Oven", "Sauna", "Bathroom Heater", "Pond Pump", "Garden Gate", "烤箱", "热水器", "院门"])
def test_devices_that_sound_dangerous_are_suspects_until_told(name: str) -> None:
    """Heat, water and ways in should ask; the configuration or a label settles it."""
    home = home_of(lamp("switch.x", name))

    assert suspicious(home) == ["switch.x"]
    (finding,) = check_risky(home, ())
    assert (finding.level, "risky: [switch.x]" in finding.fix) == ("warning", True)
    assert suspicious(home, ("switch.x",)) == []
    assert suspicious(home_of(lamp("switch.x", name, risky=False))) == []


@pytest.mark.parametrize("name", ["Coffee Machine", "Covent Lamp", "Ironing Room Light", "书房灯", "Aggregate Fan"])
def test_harmless_names_are_no_suspects(name: str) -> None:
    """A dangerous word inside another word is none."""
    assert suspicious(home_of(lamp("switch.x", name))) == []


def test_misspelled_risky_device_is_named_with_the_right_one() -> None:
    """A guard that guards nothing is worse than none."""
    findings = check_risky(home_of(lamp("switch.oven", "Oven")), ("switch.ovn", "switch.oven"))

    assert [one.fix for one in findings if one.level == "warning"] == ["write switch.oven instead"]


@pytest.mark.parametrize(("mode", "level"), [(0o600, "ok"), (0o640, "ok"), (0o644, "warning"), (0o604, "warning")])
def test_secret_that_everybody_can_read_is_named(tmp_path: Path, mode: int, level: str) -> None:
    """Owner and group may read a password, others not."""
    secret = tmp_path / "password"
    secret.write_text("x")
    secret.chmod(mode)
    config = Config(mqtt=MqttSection(password_file=secret), store=StoreSection(path=tmp_path / "none"))
    (finding,) = check_secrets(config, file=None)

    assert (finding.level, finding.check) == (level, "secrets")
    assert bool(finding.fix) is (level == "warning")


def test_missing_secret_and_open_folders_are_named(tmp_path: Path) -> None:
    """A password file that is not there is an error; a store or a configuration that others may touch, a warning."""
    store, file = tmp_path / "store", tmp_path / "voice_rl.yaml"
    store.mkdir()
    store.chmod(0o755)
    file.write_text("")
    file.chmod(0o666)
    findings = check_secrets(Config(mqtt=MqttSection(password_file=tmp_path / "no"), store=StoreSection(path=store)), file=file)

    assert [one.level for one in findings] == ["error", "warning", "warning"]
    assert [one.fix.split()[:2] for one in findings[1:]] == [["chmod", "go-w"], ["chmod", "700"]]
    store.chmod(0o700)
    file.chmod(0o644)
    assert check_secrets(Config(store=StoreSection(path=store)), file=file) == []


def test_levels_are_ordered() -> None:
    """The worst finding decides; counts are complete."""
    findings = [Finding(check="x", level=level, what="") for level in ("ok", "warning", "note")]

    assert (worst(findings), worst([])) == ("warning", "ok")
    assert count_levels(findings) == {"ok": 1, "note": 1, "warning": 1, "error": 0}
