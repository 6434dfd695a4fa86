"""What the parts of the integration share."""

from typing import Final

DOMAIN: Final = "voice_rl"
CONF_PREFIX: Final = "prefix"
DEFAULT_PREFIX: Final = "voice_rl"
ASSISTANT: Final = "conversation"
"""Home Assistant's name for Assist among the assistants that entities are exposed to."""
RISKY_LABEL: Final = "voice_risky"
"""Id or name of the label of entities and devices that always ask."""
ANSWER_S: Final = 5.0
"""The daemon answers within three seconds; after this it is not there."""
LISTEN_S: Final = 3.0
"""The broker has a subscription this soon after a start; nothing is asked before."""
DOMAINS: Final = frozenset(
    "light switch input_boolean fan media_player climate water_heater humidifier cover valve lock vacuum lawn_mower siren scene script "
    "button input_button".split()
)
"""What the daemon can act on; entities of other domains are not told."""
SENTENCES: Final = {
    "no_answer": ("The voice daemon does not answer.", "语音程序没有回应。"),
    "no_broker": ("The MQTT broker cannot be reached.", "连不上 MQTT 服务器。"),
}


def sentence(key: str, language: str) -> str:
    """Return one sentence in the speaker's language."""
    english, chinese = SENTENCES[key]
    return chinese if language.startswith("zh") else english
