"""Restaurants: the best ones of a file by cuisine and place."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from consumer import CannotError, make_parser, read_yaml, same, serve

MOST_NAMED = 3


def do(service: str, data: Mapping[str, str], language: str, *, restaurants: list[Mapping[str, Any]]) -> str:
    """Name the best that fit, best first."""
    del service
    found = [one for one in restaurants if _fits(one["cuisines"], data.get("cuisine", "")) and _fits(one["near"], data.get("place", ""))]
    if not found:
        raise CannotError("no restaurant of the file fits")
    names = [str(one["name"]) for one in sorted(found, key=lambda one: -one["rating"])[:MOST_NAMED]]
    return f"可以去{'、'.join(names)}。" if language == "zh" else f"You could try {', '.join(names)}."


def _fits(known: list[str], wanted: str) -> bool:
    return not wanted or any(same(str(one), wanted) for one in known)


if __name__ == "__main__":
    parser = make_parser(__doc__, "python examples/beyond/restaurant.py --restaurants examples/beyond/restaurants.yaml")
    parser.add_argument(
        "--restaurants", type=Path, default=Path(__file__).with_name("restaurants.yaml"), help="YAML list: name, cuisines, near, rating"
    )
    args = parser.parse_args()
    known = read_yaml(args.restaurants)
    if not isinstance(known, list):
        parser.error(f"{args.restaurants}: expected a list, got {type(known).__name__}")
    serve(args, ("search.restaurant",), partial(do, restaurants=known))
