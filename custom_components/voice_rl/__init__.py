"""Voice RL: Assist speaks to the voice daemon over MQTT, and the daemon is told the rooms and devices."""

from homeassistant.components import mqtt
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryNotReady

from .const import CONF_PREFIX, DOMAIN
from .home import HomeTeller

PLATFORMS = [Platform.CONVERSATION]


async def async_setup_entry(hass: HomeAssistant, entry: ConfigEntry) -> bool:
    """Tell the home, and become a conversation agent."""
    if not await mqtt.async_wait_for_mqtt_client(hass):
        raise ConfigEntryNotReady(translation_domain=DOMAIN, translation_key="mqtt_not_ready")
    entry.async_on_unload(HomeTeller(hass, prefix=entry.data[CONF_PREFIX]).async_start())
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    return True


async def async_unload_entry(hass: HomeAssistant, entry: ConfigEntry) -> bool:
    """Stop both."""
    return await hass.config_entries.async_unload_platforms(entry, PLATFORMS)


async def async_remove_entry(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Take what was told back from the broker."""
    if await mqtt.async_wait_for_mqtt_client(hass):
        await mqtt.async_publish(hass, f"{entry.data[CONF_PREFIX]}/home", "", qos=1, retain=True)
