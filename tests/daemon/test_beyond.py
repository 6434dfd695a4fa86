"""Beyond the house, through a whole daemon on a real mosquitto: said to be done only after a result, with the answer that came with it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.daemon.conftest import House
from tests.fakes import HOME, FakeBroker, FakeDecider
from tests.scripted import ScriptedPolicy
from voice_rl_plugin.config import BeyondSection, Config, ModelsSection, StoreSection
from voice_rl_plugin.daemon import build
from voice_rl_plugin.deciding.decider import Decider
from voice_rl_plugin.deciding.memory import Memory
from voice_rl_plugin.deciding.turn import Heard
from voice_rl_plugin.domain.action import parse_action
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.utterance import Utterance

if TYPE_CHECKING:
    from voice_rl_plugin.daemon.parts import Parts

SAID = {
    "ring mum": ("en", "phone.call contact=mum"),
    "给妈打电话": ("zh", "phone.call contact=妈"),
    "thank you in french": ("en", "translate.text language=french text=thank you"),
}


@pytest.fixture(autouse=True)
def _brain(monkeypatch: pytest.MonkeyPatch) -> None:
    hear = FakeDecider.hear

    def hears_more(self: FakeDecider, utterance: Utterance, **values: Any) -> Heard:
        if utterance.text not in SAID:
            return hear(self, utterance, **values)
        language, line = SAID[utterance.text]
        decision = Decision(
            id=values["decision_id"],
            utterance=utterance,
            language=language,
            outcome="act",
            actions=(parse_action(line),),
            decided_at=values["now"],
            confidence=0.9,
        )
        return Heard(decision=decision)

    monkeypatch.setattr(FakeDecider, "hear", hears_more)


def test_the_answer_of_a_result_is_said(house: House) -> None:
    """A translation is spoken as it came; the action holds the slots and the language."""
    house.say("thank you in french")
    action = house.action("translate/text")
    house.watcher.publish("voice_rl/result", {"decision_id": action["decision_id"], "step": 1, "ok": True, "text": "merci"})

    assert action["data"] == {"language": "french", "text": "thank you"}
    assert action["language"] == "en"
    assert house.watcher.wait_topic("voice_rl/say")["text"] == "merci"


def test_a_result_without_words_is_done(house: House) -> None:
    """Without an answer, success is said as ever."""
    house.say("ring mum")
    house.watcher.publish("voice_rl/result", {"decision_id": house.action("phone/call")["decision_id"], "step": 1, "ok": True})

    assert house.watcher.wait_topic("voice_rl/say")["text"] == "Done."


@pytest.mark.parametrize(("text", "said"), [("ring mum", "The phone did not answer."), ("给妈打电话", "电话没有响应。")])
def test_silence_is_no_call(house: House, text: str, said: str) -> None:
    """Where nobody carries a call out, that is said, and never that it was done."""
    house.say(text)

    assert house.watcher.wait_topic("voice_rl/say")["text"] == said


def test_a_refused_call_did_not_work(house: House) -> None:
    """A result that says no is no success."""
    house.say("ring mum")
    result = {"decision_id": house.action("phone/call")["decision_id"], "step": 1, "ok": False, "error": "mum is not in the contacts"}
    house.watcher.publish("voice_rl/result", result)

    assert house.watcher.wait_topic("voice_rl/say")["text"] == "That did not work."


@pytest.mark.parametrize("services", [(), ("phone.call",)])
def test_the_configuration_switches_the_brain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, services: tuple[str, ...]) -> None:
    """What `beyond.services` names is what the composed decider may send."""
    taken: list[Parts] = []
    monkeypatch.setattr(build, "Daemon", taken.append)
    config = Config(
        beyond=BeyondSection(services=services), store=StoreSection(path=tmp_path / "store"), models=ModelsSection(path=tmp_path / "models")
    )

    build.build_daemon(config, broker=FakeBroker())
    taken[0].store.close()
    decider = taken[0].make_decider(ScriptedPolicy(), HOME, Memory())

    assert isinstance(decider, Decider)
    assert decider.beyond == frozenset(services)
