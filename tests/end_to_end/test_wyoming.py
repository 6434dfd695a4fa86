"""Assist through Wyoming against the whole daemon: a process with the shipped model, mosquitto, and simulated devices."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import yaml

from tests.end_to_end.conftest import Household, close_household, make_household
from tests.mosquitto import free_port, running_mosquitto
from tests.wyoming import Heard, ask


@dataclass(kw_only=True)
class Assisted:
    """A household that Home Assistant's Assist speaks to."""

    household: Household
    port: int

    def ask(self, text: str, *, satellite: str = "assist_satellite.kitchen", **context: str) -> Heard:
        """Say something at a satellite."""
        return ask(self.port, text, satellite=satellite, **context)

    def actions(self) -> list[str]:
        """Return the topics of all actions so far: what was published before a later decision has arrived."""
        self.household.say("my brother reads a long book", area=None)
        return [one.topic for one in self.household.watcher.seen if one.topic.startswith("voice_rl/action/")]


@pytest.fixture(scope="module", params=["en", "zh"])
def assisted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Assisted]]:
    """Run a household in English, then one in Chinese, with the Wyoming door open."""
    folder, port = tmp_path_factory.mktemp(request.param), free_port()
    with running_mosquitto(folder) as server:
        household = make_household(folder, server, language=request.param)
        settings = yaml.safe_load(household.config.read_text(encoding="utf-8"))
        settings["doors"] = {"burst": 1000, "wyoming": {"enabled": True, "port": port}}
        household.config.write_text(yaml.safe_dump(settings), encoding="utf-8")
        household.start()
        yield request.param, Assisted(household=household, port=port)
        close_household(household)


SENTENCES = {
    "en": {
        "exact": "turn on the counter bar",
        "steps": "make the counter bar brighter",
        "compound": "turn on the sofa lamp and turn off the hall light",
        "forbidden": "don't turn off the counter bar",
        "timer": "set a timer for five minutes",
        "risky": "unlock the front door",
        "yes": "yes",
    },
    "zh": {
        "exact": "打开吧台灯",
        "steps": "把吧台灯调亮一点",
        "compound": "打开沙发灯，再把走廊灯关掉",
        "forbidden": "别关吧台灯",
        "timer": "设一个五分钟的计时器",
        "risky": "打开大门的锁",
        "yes": "是的",
    },
}


def test_each_sentence_has_one_executor(assisted: tuple[str, Assisted]) -> None:
    """An exact action and a timer are Home Assistant's; a step and two actions on two devices are carried out here, once each, and seen to work."""
    language, house = assisted
    said = SENTENCES[language]
    before = len(house.actions())

    exact, timer = house.ask(said["exact"], language=language), house.ask(said["timer"], language=language)
    assert (exact.kind, exact.data.get("name"), exact.slots) == ("intent", "HassTurnOn", {"name": "light.counter_bar"})
    assert (timer.kind, timer.data.get("name"), timer.slots) == ("intent", "HassStartTimer", {"minutes": 5})
    assert house.actions()[before:] == []

    step, compound = house.ask(said["steps"], language=language), house.ask(said["compound"], language=language)
    assert (step.kind, compound.kind) == ("handled", "handled")
    assert house.actions()[before:] == ["voice_rl/action/light/turn_on", "voice_rl/action/light/turn_on", "voice_rl/action/light/turn_off"]
    house.household.wait_state("light.sofa_lamp", "on")
    house.household.wait_state("light.hall_light", "off")


def test_what_is_forbidden_is_refused_in_words(assisted: tuple[str, Assisted]) -> None:
    """A prohibition does nothing, and says why."""
    language, house = assisted
    before = len(house.actions())
    heard = house.ask(SENTENCES[language]["forbidden"], language=language)

    assert heard.kind == "not-handled"
    assert heard.text == {"en": "You told me not to.", "zh": "您说了不要这样做。"}[language]
    assert house.actions()[before:] == []


def test_risky_action_is_confirmed_in_the_same_session(assisted: tuple[str, Assisted]) -> None:
    """Unlocking asks; a yes elsewhere does nothing, a yes at the same satellite unlocks, once, and never as an intent."""
    language, house = assisted
    before = len(house.actions())
    asked = house.ask(SENTENCES[language]["risky"], language=language, satellite="assist_satellite.living_room")
    elsewhere = house.ask(SENTENCES[language]["yes"], language=language, satellite="assist_satellite.bedroom")

    assert (asked.kind, elsewhere.kind) == ("not-handled", "not-handled")
    assert house.actions()[before:] == []
    answered = house.ask(SENTENCES[language]["yes"], language=language, satellite="assist_satellite.living_room")
    assert answered.kind == "handled", answered
    assert house.actions()[before:] == ["voice_rl/action/lock/unlock"]
    house.household.wait_state("lock.front_door", "unlocked")


def test_answers_are_quick(assisted: tuple[str, Assisted]) -> None:
    """Every answer is there within two seconds, on the socket as Home Assistant uses it."""
    language, house = assisted

    assert max(house.ask(SENTENCES[language]["exact"], language=language).took_s for _ in range(20)) < 2.0


def test_silent_device_is_named_within_two_seconds(assisted: tuple[str, Assisted]) -> None:
    """When the devices are gone, the one that did not answer is named, still within two seconds."""
    language, house = assisted
    house.household.devices.stop()
    heard = house.ask(SENTENCES[language]["steps"], language=language)

    assert (heard.kind, heard.text) == ("not-handled", {"en": "Counter Bar did not answer.", "zh": "吧台灯没有响应。"}[language])
    assert heard.took_s < 2.0
