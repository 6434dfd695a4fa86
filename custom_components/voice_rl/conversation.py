"""The conversation agent: asks the daemon over MQTT, and says what it answers.

<prefix>/ask      {"id", "text", "language", "area", "satellite_id", "device_id", "session_id", "user", "at"}
<prefix>/answer   {"id", "text", "ok", "expect_reply", "forward"}
"""

import asyncio
import inspect
import json
import logging
import time
from typing import Any, Literal

from homeassistant.components import conversation, mqtt
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import MATCH_ALL
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import intent
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.entity_platform import AddEntitiesCallback
from homeassistant.util.ulid import ulid_now

from .const import ANSWER_S, CONF_PREFIX, DOMAIN, LISTEN_S, sentence

_LOGGER = logging.getLogger(__name__)

_on_subscribed = getattr(mqtt, "async_on_subscribe_done", None)
"""Since 2026; before, nobody tells when the broker has a subscription, and the first answer after a start may be missed."""
_TAKES_SATELLITE = "satellite_id" in inspect.signature(conversation.async_converse).parameters
"""Since 2025.10 at the latest."""


async def async_setup_entry(hass: HomeAssistant, entry: ConfigEntry, async_add_entities: AddEntitiesCallback) -> None:  # noqa: ARG001
    """Add the agent."""
    async_add_entities([VoiceRlAgent(entry)])


class VoiceRlAgent(conversation.ConversationEntity):
    """Carries sentences to the daemon, with who said them and where, and its answers back."""

    _attr_has_entity_name = True
    _attr_name = None
    _attr_supported_features = conversation.ConversationEntityFeature.CONTROL

    def __init__(self, entry: ConfigEntry) -> None:
        """Prepare the agent."""
        self._prefix: str = entry.data[CONF_PREFIX]
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._can_hear = asyncio.Event()
        self._attr_unique_id = entry.entry_id
        self._attr_device_info = DeviceInfo(
            entry_type=DeviceEntryType.SERVICE, identifiers={(DOMAIN, entry.entry_id)}, name="Voice RL", manufacturer="voice_rl_plugin"
        )

    @property
    def supported_languages(self) -> list[str] | Literal["*"]:
        """Return all: the daemon says itself when it does not understand a language."""
        return MATCH_ALL

    async def async_added_to_hass(self) -> None:
        """Listen for answers.

        With QoS 0: Home Assistant's connection would hold the next question back for 40 ms behind its acknowledgement of the last answer
        (Nagle's algorithm), and an answer that is lost is said after ANSWER_S all the same.
        """
        await super().async_added_to_hass()
        topic = f"{self._prefix}/answer"
        self.async_on_remove(await mqtt.async_subscribe(self.hass, topic, self._take_answer, qos=0))
        if _on_subscribed is None:
            self._can_hear.set()
            return
        self.async_on_remove(mqtt.async_subscribe_connection_status(self.hass, self._take_connection))
        self.async_on_remove(_on_subscribed(self.hass, topic, 0, self._can_hear.set))

    async def _async_handle_message(
        self, user_input: conversation.ConversationInput, chat_log: conversation.ChatLog
    ) -> conversation.ConversationResult:
        """Have the daemon decide about a sentence, and say what it answers."""
        answer = await self._async_ask(user_input, chat_log.conversation_id)
        if answer.get("forward"):
            return await self._async_forward(user_input, chat_log.conversation_id)
        text, is_question = str(answer.get("text") or ""), bool(answer.get("expect_reply"))
        response = intent.IntentResponse(language=user_input.language)
        if answer.get("ok") or is_question:
            response.async_set_speech(text)
        else:
            response.async_set_error(intent.IntentResponseErrorCode.FAILED_TO_HANDLE, text)
        chat_log.async_add_assistant_content_without_tools(conversation.AssistantContent(agent_id=self.entity_id, content=text))
        return conversation.ConversationResult(
            response=response, conversation_id=chat_log.conversation_id, continue_conversation=is_question
        )

    async def _async_ask(self, user_input: conversation.ConversationInput, session_id: str) -> dict[str, Any]:
        """Return the daemon's answer, or one that says why there is none."""
        number = ulid_now()
        self._waiting[number] = answered = self.hass.loop.create_future()
        fields = {
            "id": number,
            "text": user_input.text,
            "language": user_input.language,
            "session_id": session_id,
            "user": user_input.context.user_id,
            "at": time.time(),
            **self._place_of(user_input),
        }
        payload = json.dumps({key: value for key, value in fields.items() if value is not None}, ensure_ascii=False)
        try:
            async with asyncio.timeout(LISTEN_S):
                await self._can_hear.wait()  # else it would be done, and the answer missed
            async with asyncio.timeout(ANSWER_S):
                await mqtt.async_publish(self.hass, f"{self._prefix}/ask", payload, qos=1)
                return await answered
        except TimeoutError:
            return {"text": sentence("no_answer" if self._can_hear.is_set() else "no_broker", user_input.language)}
        except HomeAssistantError as error:
            _LOGGER.warning("The question could not be published: %s", error)
            return {"text": sentence("no_broker", user_input.language)}
        finally:
            del self._waiting[number]

    async def _async_forward(self, user_input: conversation.ConversationInput, session_id: str) -> conversation.ConversationResult:
        """Have Home Assistant's own agent do it: timers, lists, the weather."""
        satellite = {"satellite_id": self._place_of(user_input)["satellite_id"]} if _TAKES_SATELLITE else {}
        return await conversation.async_converse(
            self.hass,
            user_input.text,
            session_id,
            user_input.context,
            language=user_input.language,
            agent_id=conversation.HOME_ASSISTANT_AGENT,
            device_id=user_input.device_id,
            **satellite,
        )

    def _place_of(self, user_input: conversation.ConversationInput) -> dict[str, str | None]:
        """Return the satellite, the device and the area where something was said."""
        entities, device_id = er.async_get(self.hass), user_input.device_id
        satellite_id = getattr(user_input, "satellite_id", None)
        if satellite_id is None and device_id is not None:
            satellites = (one.entity_id for one in er.async_entries_for_device(entities, device_id) if one.domain == "assist_satellite")
            satellite_id = next(satellites, None)
        satellite = entities.async_get(satellite_id) if satellite_id is not None else None
        device = dr.async_get(self.hass).async_get(device_id or (satellite.device_id if satellite else None) or "")
        area_id = (satellite.area_id if satellite else None) or (device.area_id if device else None)
        return {"satellite_id": satellite_id, "device_id": device_id, "area": area_id}

    @callback
    def _take_connection(self, is_connected: bool) -> None:  # noqa: FBT001 - Home Assistant calls it so
        """Hear nothing while the broker is away, until it has the subscription again."""
        if not is_connected:
            self._can_hear.clear()

    @callback
    def _take_answer(self, message: mqtt.ReceiveMessage) -> None:
        try:
            answer = json.loads(message.payload)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            _LOGGER.warning("Expected a JSON object on %s, got something else", message.topic)
            return
        waiting = self._waiting.get(str(answer.get("id")))
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)
