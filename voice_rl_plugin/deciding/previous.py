"""What the command just before was, as the network is told it: an operation and a property."""

from collections.abc import Sequence

from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.understanding.candidates import property_of_domain


def frame_before(previous: Sequence[Action]) -> tuple[str, str] | None:
    """Return the operation and property that the last action was asked with, as far as the action tells.

    Where it only switched something, the property is what can be changed of that device next: "twenty percent" of a lamp is no volume.
    """
    if not previous:
        return None
    action = previous[-1]
    found = _frame_of(action)
    if found is None or found[1] != "power" or not action.targets:
        return found
    return found[0], property_of_domain(action.targets[0].partition(".")[0])


def _frame_of(action: Action) -> tuple[str, str] | None:
    service = action.service.partition(".")[2]
    for key, pair in (
        ("brightness_step_pct", ("raise", "brightness")),
        ("brightness_pct", ("set", "brightness")),
        ("color_name", ("set", "color")),
        ("color_temp_kelvin", ("set", "color_temp")),
        ("volume_level", ("set", "volume")),
        ("temperature_step", ("raise", "temperature")),
        ("temperature", ("set", "temperature")),
        ("hvac_mode", ("set", "mode")),
        ("position", ("set", "position")),
        ("percentage", ("set", "speed")),
    ):
        if key in action.data:
            value = action.data[key]
            if pair[0] == "raise" and (isinstance(value, (int, float)) and value < 0):
                return "lower", pair[1]
            return pair
    return _SERVICE_FRAMES.get(service)


_SERVICE_FRAMES = {
    "turn_on": ("turn_on", "power"),
    "turn_off": ("turn_off", "power"),
    "toggle": ("toggle", "power"),
    "open_cover": ("open", "position"),
    "close_cover": ("close", "position"),
    "stop_cover": ("stop", "position"),
    "volume_up": ("raise", "volume"),
    "volume_down": ("lower", "volume"),
    "volume_mute": ("mute", "volume"),
    "media_play": ("play", "media"),
    "media_pause": ("pause", "media"),
    "media_stop": ("stop", "media"),
    "media_next_track": ("next", "media"),
    "media_previous_track": ("previous", "media"),
    "increase_speed": ("raise", "speed"),
    "decrease_speed": ("lower", "speed"),
    "lock": ("lock", "lock"),
    "unlock": ("unlock", "lock"),
    "start": ("start", "cleaning"),
    "return_to_base": ("dock", "cleaning"),
}
