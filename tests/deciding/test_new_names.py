"""How many new names work in other sentences after one spoken correction, with the shipped model; `--log-cli-level=INFO` shows the figures."""

import logging

import pytest

from tests.deciding.test_aliases import TOLD_AT, decide, decider
from voice_rl_plugin.deciding.aliases import Alias
from voice_rl_plugin.deciding.turn import Turn
from voice_rl_plugin.domain.utterance import Utterance

_LOGGER = logging.getLogger(__name__)

NAMES = {
    "en": (
        "beast, dragon, big bertha, glow worm, boombox, professor, old timer, unicorn, moonbeam, grumpy, captain hook, zorro, pumpkin, "
        "jukebox, whale, noodle, mister shiny, tin man, goblin, daisy"
    ).split(", "),
    "zh": "大块头 小太阳 老黄牛 大笨钟 小精灵 阿福 铁疙瘩 胖墩 月亮船 老古董 小蜜蜂 哆啦 大灰狼 萤火虫 小霸王 悟空 猪猪侠 光头强 火箭 大嗓门".split(),
}
LAMP, BAR, CURTAIN = "light.sofa_lamp", "media_player.soundbar", "cover.living_room_curtain"
CORRECTIONS = {"en": "no, i meant {}", "zh": "不对,我说的是{}"}
SPOKEN = {
    "en": {LAMP: "the sofa lamp", BAR: "the soundbar", CURTAIN: "the living room curtain"},
    "zh": {LAMP: "沙发灯", BAR: "回音壁", CURTAIN: "客厅窗帘"},
}
TAUGHT_BY = {
    "en": {
        LAMP: ["turn on the {}", "switch off the {}", "dim the {}"],
        BAR: ["turn on the {}", "pause the {}", "make the {} louder"],
        CURTAIN: ["open the {}", "close the {}"],
    },
    "zh": {LAMP: ["打开{}", "把{}关了", "{}调亮一点"], BAR: ["打开{}", "暂停{}", "把{}关掉"], CURTAIN: ["打开{}", "把{}关上"]},
}
OTHERS = {
    "en": {
        LAMP: {
            "{} off please": "light.turn_off",
            "set the {} to forty percent": "light.turn_on",
            "could you turn the {} off": "light.turn_off",
            "make the {} brighter": "light.turn_on",
        },
        BAR: {
            "mute the {}": "media_player.volume_mute",
            "turn the {} up a bit": "media_player.volume_up",
            "{} off": "media_player.turn_off",
        },
        CURTAIN: {"close the {} please": "cover.close_cover", "stop the {}": "cover.stop_cover"},
    },
    "zh": {
        LAMP: {
            "关掉{}": "light.turn_off",
            "把{}调到百分之四十": "light.turn_on",
            "请把{}关上": "light.turn_off",
            "{}暗一点": "light.turn_on",
        },
        BAR: {"{}静音": "media_player.volume_mute", "{}大声一点": "media_player.volume_up", "关掉{}": "media_player.turn_off"},
        CURTAIN: {"关上{}": "cover.close_cover", "停下{}": "cover.stop_cover"},
    },
}


def name_of(language: str, said: str, target: str) -> str | None:
    """Return the name that a spoken correction of a sentence to a target teaches."""
    brain, utterance = decider(language), Utterance(text=said, area="bedroom")
    first = decide(brain, said, area="bedroom")
    correction = Utterance(text=CORRECTIONS[language].format(SPOKEN[language][target]), area="bedroom")
    heard = brain.hear(correction, states={}, last=Turn(decision=first, at=TOLD_AT), now=TOLD_AT + 3, decision_id="d2")
    right = heard.feedback.correction if heard.feedback is not None else ()
    taught = brain.name_taught(utterance, right) if right else None
    return taught.words if taught is not None and taught.entity_id == target else None


@pytest.mark.slow
@pytest.mark.parametrize(("language", "least"), [("en", 0.95), ("zh", 0.9)])
def test_new_name_works_in_other_sentences(language: str, least: float) -> None:
    """20 names, three devices, several sentences to teach and others to try, in a room without the device: hardly a wrong action."""
    tried = right = wrong = 0
    for name in NAMES[language]:
        for target, sentences in TAUGHT_BY[language].items():
            for sentence in sentences:
                words = name_of(language, sentence.format(name), target)
                known = [] if words is None else [Alias(words=words, entity_id=target, decision_id="d0", learned_at=TOLD_AT)]
                brain = decider(language, *known)
                for other, service in OTHERS[language][target].items():
                    decision = decide(brain, other.format(name), area="bedroom")
                    is_right = decision.outcome == "act" and [(a.service, a.targets) for a in decision.actions] == [(service, (target,))]
                    tried, right = tried + 1, right + is_right
                    wrong += words is not None and decision.outcome == "act" and not is_right

    _LOGGER.info("%s: %d of %d right, %d wrong actions by a taught name", language, right, tried, wrong)
    assert right / tried >= least
    assert wrong / tried <= 0.01
