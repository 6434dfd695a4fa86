"""A peer to measure beside: hassil with Home Assistant's own sentences, if both packages are installed; nothing here needs them."""

import importlib
from typing import Any, Protocol

from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.errors import ConfigError

_TEMPLATES = {"en": "en", "zh": "zh-CN"}


class Peer(Protocol):
    """Another program that understands sentences."""

    name: str

    def understands(self, text: str, area: str | None) -> bool:
        """Whether it finds anything to do for a sentence; this is what is timed."""


class HassilPeer:
    """Hassil as Home Assistant's default agent calls it: strict sentences, names narrowed by a trie, the speaker's area as context.

    Raises:
        ConfigError: hassil or home-assistant-intents is not installed.
    """

    def __init__(self, home: Home, language: str) -> None:
        try:
            hassil = importlib.import_module("hassil")
            lists = importlib.import_module("hassil.intents")
            trie = importlib.import_module("hassil.trie")
            templates = importlib.import_module("home_assistant_intents")
        except ImportError as error:
            raise ConfigError("--peers: needs hassil; install it beside this program: pip install hassil home-assistant-intents") from error
        self.name = "hassil"
        self._language = _TEMPLATES[language]
        self._hassil = hassil
        self._lists = lists
        self._intents = hassil.Intents.from_dict(templates.get_intents(self._language))
        self._areas = {area.id: area.name for area in home.areas}
        self._area_list = lists.TextSlotList.from_tuples(
            [(name, area.name) for area in home.areas for name in (area.name, *area.aliases)], allow_template=False
        )
        self._floor_list = lists.TextSlotList.from_tuples(
            [(name, floor.name) for floor in home.floors for name in (floor.name, *floor.aliases)], allow_template=False
        )
        names = [(name, entity.name, {"domain": entity.domain}) for entity in home.exposed for name in (entity.name, *entity.aliases)]
        self._names = trie.Trie()
        for value in lists.TextSlotList.from_tuples(names, allow_template=False).values:
            self._names.insert(value.text_in.text.strip().lower(), value)

    def understands(self, text: str, area: str | None) -> bool:
        """Whether hassil matches a sentence."""
        text = text.strip().lower()
        near: list[Any] = [value for _, _, value in self._names.find(text)]
        found = self._hassil.recognize_best(
            text,
            self._intents,
            slot_lists={
                "area": self._area_list,
                "floor": self._floor_list,
                "name": self._lists.TextSlotList(name="name", values=near),
            },
            intent_context={"area": self._areas[area]} if area in self._areas else None,
            language=self._language,
            best_metadata_key="hass_custom_sentence",
            best_slot_name="name",
        )
        return found is not None
