"""The weather of a place or a day: out of a JSON file that something of yours keeps fresh, or by a command."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from consumer import CannotError, make_parser, read_yaml, run_command, same, serve

_CONDITIONS = {"sunny": "晴", "cloudy": "多云", "rainy": "有雨", "snowy": "有雪", "windy": "有风", "foggy": "有雾"}
_TOMORROW = ("tomorrow", "明天", "明早", "明晚")
_TODAY = ("", "now", "today", "tonight", "right now", "现在", "今天", "今晚")


def do(service: str, data: Mapping[str, str], language: str, *, known: Mapping[str, Any], command: str) -> str:
    """Say the weather of a place, by default here, now or tomorrow."""
    del service
    wanted, time = data.get("place", ""), data.get("time", "")
    if command:
        return run_command(command, {"place": wanted, "time": time})
    place = next((p for p in known["places"] if (not wanted and p.get("is_here")) or any(same(str(n), wanted) for n in p["names"])), None)
    if place is None:
        raise CannotError(f"{wanted or 'here'} is not in the weather file")
    day = "tomorrow" if time.startswith(_TOMORROW) else "now" if time in _TODAY else ""
    if day not in place:
        raise CannotError(f"nothing is known for {time or 'now'}")
    weather = place[day]
    if language == "zh":
        return f"{wanted or '这里'}{time}{_CONDITIONS.get(weather['condition'], weather['condition'])}，{weather['temperature_c']}度。"
    return f"{wanted or 'Here'}{f' {time}' if time else ''}: {weather['condition']}, {weather['temperature_c']} degrees."


if __name__ == "__main__":
    parser = make_parser(__doc__, "python examples/beyond/weather.py --command 'curl -s --max-time 1 https://wttr.in/{place}?format=3'")
    parser.add_argument(
        "--file", type=Path, default=Path(__file__).with_name("weather.json"), help="JSON: places with names, now and tomorrow"
    )
    parser.add_argument(
        "--command", default="", help="what is asked instead of the file: a command with {place} and {time} that prints the answer"
    )
    args = parser.parse_args()
    content = read_yaml(args.file)
    if not isinstance(content, dict) or "places" not in content:
        parser.error(f"{args.file}: expected places")
    serve(args, ("search.weather",), partial(do, known=content, command=args.command))
