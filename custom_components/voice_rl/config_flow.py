"""Sets the integration up: by hand, or when the daemon shows itself on the broker."""

import asyncio
from typing import Any

import voluptuous as vol
from homeassistant.components import mqtt
from homeassistant.config_entries import ConfigFlow, ConfigFlowResult
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.service_info.mqtt import MqttServiceInfo

from .const import CONF_PREFIX, DEFAULT_PREFIX, DOMAIN

STATUS_S = 3.0
"""The daemon's status is kept by the broker, and comes at once."""


class VoiceRlConfigFlow(ConfigFlow, domain=DOMAIN):
    """Asks for the prefix of the topics and looks for the daemon there."""

    VERSION = 1

    def __init__(self) -> None:
        """Begin with the daemon's own default."""
        self._prefix = DEFAULT_PREFIX

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the prefix."""
        if not await mqtt.async_wait_for_mqtt_client(self.hass):
            return self.async_abort(reason="mqtt_not_set_up")
        errors: dict[str, str] = {}
        if user_input is not None:
            self._prefix = user_input[CONF_PREFIX].strip().rstrip("/")
            if not _is_topic(self._prefix):
                errors[CONF_PREFIX] = "bad_prefix"
            elif not await _is_online(self.hass, self._prefix):
                errors["base"] = "no_daemon"
            else:
                return await self._async_create()
        schema = vol.Schema({vol.Required(CONF_PREFIX, default=self._prefix): str})
        return self.async_show_form(step_id="user", data_schema=schema, errors=errors)

    async def async_step_mqtt(self, discovery_info: MqttServiceInfo) -> ConfigFlowResult:
        """Take what the daemon says of itself on the broker."""
        if str(discovery_info.payload) != "online":
            return self.async_abort(reason="no_daemon")
        await self.async_set_unique_id(DOMAIN)
        self._abort_if_unique_id_configured()
        self._prefix = discovery_info.topic.removesuffix("/status")
        self._set_confirm_only()
        return await self.async_step_confirm()

    async def async_step_confirm(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask whether the daemon that was found shall be used."""
        if user_input is None:
            return self.async_show_form(step_id="confirm", description_placeholders={"prefix": self._prefix})
        return await self._async_create()

    async def _async_create(self) -> ConfigFlowResult:
        await self.async_set_unique_id(DOMAIN, raise_on_progress=False)
        self._abort_if_unique_id_configured()
        return self.async_create_entry(title="Voice RL", data={CONF_PREFIX: self._prefix})


def _is_topic(prefix: str) -> bool:
    return bool(prefix) and not set(prefix) & set("+#\0") and all(prefix.split("/")) and not prefix.startswith("$")


async def _is_online(hass: HomeAssistant, prefix: str) -> bool:
    """Return whether a daemon shows itself there."""
    online = asyncio.Event()

    @callback
    def take(message: mqtt.ReceiveMessage) -> None:
        if str(message.payload) == "online":
            online.set()

    unsubscribe = await mqtt.async_subscribe(hass, f"{prefix}/status", take, qos=1)
    try:
        async with asyncio.timeout(STATUS_S):
            await online.wait()
    except TimeoutError:
        return False
    finally:
        unsubscribe()
    return True
