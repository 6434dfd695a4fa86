"""Routes and distances without a network: the way as the crow flies between places whose coordinates a file gives."""

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from consumer import CannotError, make_parser, read_yaml, run_command, same, serve

EARTH_KM = 6371.0
DETOUR = 1.3
"""Roads are about this much longer than the straight line."""
TOWN_KMH, MOTORWAY_KMH = 40.0, 90.0
TOWN_KM = 15.0
"""Behind this the way is mostly motorway."""
_WINDS = {
    "en": ("north", "north east", "east", "south east", "south", "south west", "west", "north west"),
    "zh": ("北", "东北", "东", "东南", "南", "西南", "西", "西北"),
}


def distance_km(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """Return the great-circle distance by the haversine formula."""
    lat1, lat2 = math.radians(one["lat"]), math.radians(other["lat"])
    half_lat, half_lon = (lat2 - lat1) / 2, math.radians(other["lon"] - one["lon"]) / 2
    return 2 * EARTH_KM * math.asin(math.sqrt(math.sin(half_lat) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin(half_lon) ** 2))


def wind_of(one: Mapping[str, Any], other: Mapping[str, Any], language: str) -> str:
    """Return the direction from one place to another, out of eight."""
    lat1, lat2, lon = math.radians(one["lat"]), math.radians(other["lat"]), math.radians(other["lon"] - one["lon"])
    angle = math.atan2(math.sin(lon) * math.cos(lat2), math.cos(lat1) * math.sin(lat2) - math.sin(lat1) * math.cos(lat2) * math.cos(lon))
    return _WINDS[language][round(math.degrees(angle) / 45) % 8]


def do(
    service: str, data: Mapping[str, str], language: str, *, here: Mapping[str, Any], places: list[Mapping[str, Any]], command: str
) -> str:
    """Say how far a place is; for a route, tell the command as well."""
    wanted = data.get("place", "")
    place = next((p for p in places if any(same(str(name), wanted) for name in p["names"])), None)
    if place is None:
        raise CannotError(f"{wanted or 'no place'} is not among the places")
    if service == "navigation.route" and command:
        run_command(command, {"place": wanted, "lat": str(place["lat"]), "lon": str(place["lon"])})
    km = DETOUR * distance_km(here, place)
    minutes = max(1, round(60 * (min(km, TOWN_KM) / TOWN_KMH + max(0.0, km - TOWN_KM) / MOTORWAY_KMH)))
    hours = round(minutes / 60, 1)
    language = "zh" if language == "zh" else "en"
    wind = wind_of(here, place, language)
    if language == "zh":
        time = f"{hours}小时" if minutes > 90 else f"{minutes}分钟"
        return f"{wanted}在{wind}边，大约{km:.0f}公里，开车约{time}，未计路况。"
    time = f"{hours} hours" if minutes > 90 else f"{minutes} minutes"
    return f"{wanted} is about {km:.0f} km to the {wind}, some {time} by car without traffic."


if __name__ == "__main__":
    parser = make_parser(__doc__, "python examples/beyond/navigation.py --places examples/beyond/places.yaml")
    parser.add_argument(
        "--places", type=Path, default=Path(__file__).with_name("places.yaml"), help="YAML: here, and places with names, lat, lon"
    )
    parser.add_argument("--command", default="", help="what starts a route: a command with {place}, {lat} and {lon}; nothing when missing")
    args = parser.parse_args()
    known = read_yaml(args.places)
    if not isinstance(known, dict) or not {"here", "places"} <= set(known):
        parser.error(f"{args.places}: expected here and places")
    serve(args, ("navigation.route", "navigation.query"), partial(do, here=known["here"], places=known["places"], command=args.command))
