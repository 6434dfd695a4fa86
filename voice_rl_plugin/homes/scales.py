"""Scales: brightness, colour temperature and colour between what devices tell and what Home Assistant's attributes are."""

import colorsys
import json
import math
from collections.abc import Mapping
from typing import Any

BRIGHTNESS = 255
"""Of Home Assistant's attribute."""
MIRED = 1_000_000.0

Rgb = tuple[int, int, int]


def number_of(value: Any) -> float | None:
    """Return a number, or a text that is one; None otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def object_of(payload: str) -> Mapping[str, Any]:
    """Return a JSON object; an empty one when it is none."""
    try:
        parsed = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def from_scale(value: Any, largest: float) -> int | None:
    """Return a device's brightness as 0 to 255."""
    number = number_of(value)
    return None if number is None else round(min(max(number / largest, 0.0), 1.0) * BRIGHTNESS)


def to_scale(brightness: float, largest: float) -> int:
    """Return 0 to 255 as a device's brightness; what is on is never 0."""
    share = min(max(brightness / BRIGHTNESS, 0.0), 1.0)
    return max(round(share * largest), 1)


def mired_of_kelvin(kelvin: float, *, low: float, high: float) -> int:
    """Return a colour temperature in mired, within what the device can."""
    return round(min(max(MIRED / max(kelvin, 1.0), low), high))


def kelvin_of_mired(value: Any) -> int | None:
    """Return a colour temperature in kelvin."""
    number = number_of(value)
    return round(MIRED / number) if number is not None and number >= 1.0 else None


def rgb_of_hs(hue: float, saturation: float) -> Rgb:
    """Return a colour from degrees and percent."""
    red, green, blue = colorsys.hsv_to_rgb((hue % 360.0) / 360.0, min(max(saturation / 100.0, 0.0), 1.0), 1.0)
    return (round(red * 255), round(green * 255), round(blue * 255))


def hs_of_rgb(rgb: Rgb) -> tuple[float, float]:
    """Return degrees and percent."""
    hue, saturation, _ = colorsys.rgb_to_hsv(*(one / 255 for one in rgb))
    return (round(hue * 360.0, 2), round(saturation * 100.0, 2))


def rgb_of_xy(x: float, y: float) -> Rgb:
    """Return the brightest sRGB colour of a chromaticity.

    Source: IEC 61966-2-1, the matrix from XYZ to linear sRGB and its transfer function.
    """
    y = max(y, 1e-6)
    big_x, big_z = x / y, (1.0 - x - y) / y
    linear = (
        3.2406 * big_x - 1.5372 - 0.4986 * big_z,
        -0.9689 * big_x + 1.8758 + 0.0415 * big_z,
        0.0557 * big_x - 0.2040 + 1.0570 * big_z,
    )
    largest = max(*linear, 1e-6)
    shares = [min(max(one / largest, 0.0), 1.0) for one in linear]
    bent = [12.92 * one if one <= 0.0031308 else 1.055 * one ** (1 / 2.4) - 0.055 for one in shares]
    return (round(bent[0] * 255), round(bent[1] * 255), round(bent[2] * 255))


def xy_of_rgb(rgb: Rgb) -> tuple[float, float]:
    """Return the chromaticity of an sRGB colour; that of white for black."""
    shares = [one / 255 for one in rgb]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in shares)
    big_x = 0.4124 * red + 0.3576 * green + 0.1805 * blue
    big_y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    big_z = 0.0193 * red + 0.1192 * green + 0.9505 * blue
    total = big_x + big_y + big_z
    return (round(big_x / total, 4), round(big_y / total, 4)) if total > 0 else (0.3127, 0.329)


def rgb_of_color(color: Any) -> Rgb | None:
    """Return the colour that a JSON object names as r, g, b, as hue and saturation, or as x and y."""
    if not isinstance(color, Mapping):
        return None
    for keys in (("r", "g", "b"), ("hue", "saturation"), ("h", "s"), ("x", "y")):
        numbers = [number_of(color.get(key)) for key in keys]
        found = [one for one in numbers if one is not None]
        if len(found) != len(keys):
            continue
        if keys[0] == "r":
            red, green, blue = (min(max(round(one), 0), 255) for one in found)
            return (red, green, blue)
        return rgb_of_xy(found[0], found[1]) if keys[0] == "x" else rgb_of_hs(found[0], found[1])
    return None
