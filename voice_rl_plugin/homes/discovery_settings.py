"""The settings of one MQTT discovery config: abbreviations spelled out, the base topic put in, and every value checked.

{"~": "shed/lamp", "cmd_t": "~/set"}   ->   command_topic: shed/lamp/set
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from voice_rl_plugin.errors import MessageError
from voice_rl_plugin.homes import scales
from voice_rl_plugin.homes.devices import is_plain_topic
from voice_rl_plugin.homes.plain_templates import Pick, fill_command, pick_value

# Source: homeassistant/components/mqtt/abbreviations.py, 2026.11; those of the domains that are read here.
_ABBREVIATIONS: Mapping[str, str] = {
    "avty": "availability",
    "avty_mode": "availability_mode",
    "avty_t": "availability_topic",
    "avty_tpl": "availability_template",
    "bri_cmd_t": "brightness_command_topic",
    "bri_cmd_tpl": "brightness_command_template",
    "bri_scl": "brightness_scale",
    "bri_stat_t": "brightness_state_topic",
    "bri_val_tpl": "brightness_value_template",
    "clr_temp_cmd_t": "color_temp_command_topic",
    "clr_temp_cmd_tpl": "color_temp_command_template",
    "clr_temp_k": "color_temp_kelvin",
    "clr_temp_stat_t": "color_temp_state_topic",
    "clr_temp_val_tpl": "color_temp_value_template",
    "cmd_t": "command_topic",
    "cmd_tpl": "command_template",
    "cmps": "components",
    "cod_form": "code_format",
    "curr_temp_t": "current_temperature_topic",
    "curr_temp_tpl": "current_temperature_template",
    "def_ent_id": "default_entity_id",
    "dev": "device",
    "dev_cla": "device_class",
    "en": "enabled_by_default",
    "ent_cat": "entity_category",
    "hs_cmd_t": "hs_command_topic",
    "hs_cmd_tpl": "hs_command_template",
    "hs_stat_t": "hs_state_topic",
    "hs_val_tpl": "hs_value_template",
    "max_k": "max_kelvin",
    "max_mirs": "max_mireds",
    "min_k": "min_kelvin",
    "min_mirs": "min_mireds",
    "mode_cmd_t": "mode_command_topic",
    "mode_cmd_tpl": "mode_command_template",
    "mode_stat_t": "mode_state_topic",
    "mode_stat_tpl": "mode_state_template",
    "o": "origin",
    "obj_id": "object_id",
    "on_cmd_type": "on_command_type",
    "opt": "optimistic",
    "p": "platform",
    "pct_cmd_t": "percentage_command_topic",
    "pct_cmd_tpl": "percentage_command_template",
    "pct_stat_t": "percentage_state_topic",
    "pct_val_tpl": "percentage_value_template",
    "pl_avail": "payload_available",
    "pl_cls": "payload_close",
    "pl_lock": "payload_lock",
    "pl_not_avail": "payload_not_available",
    "pl_off": "payload_off",
    "pl_on": "payload_on",
    "pl_open": "payload_open",
    "pl_stop": "payload_stop",
    "pl_unlk": "payload_unlock",
    "pos_clsd": "position_closed",
    "pos_open": "position_open",
    "pos_t": "position_topic",
    "pos_tpl": "position_template",
    "pow_cmd_t": "power_command_topic",
    "pow_cmd_tpl": "power_command_template",
    "rgb_cmd_t": "rgb_command_topic",
    "rgb_cmd_tpl": "rgb_command_template",
    "rgb_stat_t": "rgb_state_topic",
    "rgb_val_tpl": "rgb_value_template",
    "set_pos_t": "set_position_topic",
    "set_pos_tpl": "set_position_template",
    "spd_rng_max": "speed_range_max",
    "spd_rng_min": "speed_range_min",
    "stat_clsd": "state_closed",
    "stat_closing": "state_closing",
    "stat_locked": "state_locked",
    "stat_locking": "state_locking",
    "stat_off": "state_off",
    "stat_on": "state_on",
    "stat_open": "state_open",
    "stat_opening": "state_opening",
    "stat_stopped": "state_stopped",
    "stat_t": "state_topic",
    "stat_unlocked": "state_unlocked",
    "stat_unlocking": "state_unlocking",
    "stat_val_tpl": "state_value_template",
    "sup_clrm": "supported_color_modes",
    "t": "topic",
    "temp_cmd_t": "temperature_command_topic",
    "temp_cmd_tpl": "temperature_command_template",
    "temp_stat_t": "temperature_state_topic",
    "temp_stat_tpl": "temperature_state_template",
    "uniq_id": "unique_id",
    "val_tpl": "value_template",
    "xy_cmd_t": "xy_command_topic",
    "xy_cmd_tpl": "xy_command_template",
    "xy_stat_t": "xy_state_topic",
    "xy_val_tpl": "xy_value_template",
}
_DEVICE_ABBREVIATIONS: Mapping[str, str] = {"ids": "identifiers", "mf": "manufacturer", "sa": "suggested_area"}


def spell_out(config: Mapping[str, Any], *, base: Any = None) -> dict[str, Any]:
    """Return a config with its keys in full and the base topic put in.

    Args:
        config: as it was published.
        base: what `~` stands for in a part of a device's config, where it is the whole config's.
    """
    base = config.get("~", base)
    spelled = {_ABBREVIATIONS.get(str(key), str(key)): value for key, value in config.items() if key != "~"}
    if isinstance(base, str):
        for key, value in spelled.items():
            if isinstance(value, str) and (key == "topic" or key.endswith("_topic")):
                spelled[key] = _with_base(value, base)
    if isinstance(spelled.get("availability"), Mapping):
        spelled["availability"] = [spelled["availability"]]
    if isinstance(spelled.get("availability"), list):
        spelled["availability"] = [spell_out(one, base=base) if isinstance(one, Mapping) else one for one in spelled["availability"]]
    if isinstance(spelled.get("device"), Mapping):
        spelled["device"] = {_DEVICE_ABBREVIATIONS.get(str(key), str(key)): value for key, value in spelled["device"].items()}
    return spelled


class Settings:
    """The settings of one entity.

    Args:
        values: spelled out.
        where: the topic, and which part of it, for errors.
        own_prefix: of our own topics, where no device may be.
    """

    def __init__(self, values: Mapping[str, Any], *, where: str, own_prefix: str) -> None:
        self.values = values
        self.where = where
        self.own_prefix = own_prefix

    def has(self, key: str) -> bool:
        """Whether something is set."""
        return self.values.get(key) is not None

    def text(self, key: str, default: str | None = None) -> str | None:
        """Return a text; a number or a boolean as Home Assistant would write it.

        Raises:
            MessageError: it is a list or an object.
        """
        value = self.values.get(key)
        if value is None:
            return default
        if isinstance(value, (list, Mapping)):
            raise self.error(key, "a text", value)
        return str(value)

    def word(self, key: str, default: str) -> str:
        """Return a text that has a default."""
        return self.text(key, default) or default

    def topic(self, key: str) -> str | None:
        """Return a topic.

        Raises:
            MessageError: it has wildcards or empty levels, or is one of our own.
        """
        value = self.values.get(key)
        if value is None:
            return None
        if not is_plain_topic(value, own_prefix=self.own_prefix):
            raise self.error(key, "a topic without wildcards and empty levels that is none of ours", value)
        return str(value)

    def needed_topic(self, key: str) -> str:
        """Return a topic that must be there.

        Raises:
            MessageError: it is missing or wrong.
        """
        found = self.topic(key)
        if found is None:
            raise self.error(key, "a topic", None)
        return found

    def number(self, key: str, default: float) -> float:
        """Return a number.

        Raises:
            MessageError: it is none.
        """
        value = self.values.get(key)
        if value is None:
            return default
        number = scales.number_of(value)
        if number is None:
            raise self.error(key, "a number", value)
        return number

    def flag(self, key: str) -> bool:
        """Whether something is switched on; a text counts as Home Assistant reads it."""
        return str(self.values.get(key, False)).casefold() in ("true", "1", "yes", "on")

    def texts(self, key: str, default: Collection[str] = ()) -> tuple[str, ...]:
        """Return a list of texts.

        Raises:
            MessageError: it is none.
        """
        value = self.values.get(key)
        if value is None:
            return tuple(default)
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self.error(key, "a list of texts", value)
        return tuple(value)

    def pick(self, key: str) -> Pick:
        """Return what gets a value out of a payload.

        Raises:
            MessageError: the template is none of the plain ones.
        """
        return pick_value(self.text(key), where=f"{self.where}: {key}")

    def fill(self, key: str, *names: str) -> Callable[..., str]:
        """Return what makes a command of values.

        Raises:
            MessageError: the template is none of the plain ones.
        """
        return fill_command(self.text(key), names=names or ("value",), where=f"{self.where}: {key}")

    def error(self, key: str, expected: str, got: Any) -> MessageError:
        """Return what is wrong with a key."""
        return MessageError(f"{self.where}: {key}: expected {expected}, got {got!r:.80}")


def _with_base(topic: str, base: str) -> str:
    if topic.startswith("~"):
        return base + topic[1:]
    return topic[:-1] + base if topic.endswith("~") else topic
