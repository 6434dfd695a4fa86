"""Scripts for the demo: what a person would type, a line each, and what has to come of it.

# a comment
:area kitchen
turn on the counter bar
expect act light.turn_on light.counter_bar
expect state light.counter_bar on brightness=255
expect clarify
expect reject
"""

from collections.abc import Mapping, Sequence
from typing import Any

from voice_rl_plugin.domain.action import Action, parse_action
from voice_rl_plugin.domain.home import States
from voice_rl_plugin.errors import ConfigError

EXPECT = "expect "


def read_script(text: str) -> tuple[str, ...]:
    """Return the lines that do something."""
    return tuple(line for raw in text.splitlines() if (line := raw.strip()) and not line.startswith("#"))


def check_script(lines: Sequence[str], *, where: str) -> None:
    """Check every expectation before anything runs.

    Raises:
        ConfigError: a line cannot be read.
    """
    for line in lines:
        if line.startswith(EXPECT):
            kind, _, rest = line.removeprefix(EXPECT).strip().partition(" ")
            if kind == "act":
                _actions(rest, where)
            elif kind == "state":
                if len(rest.split()) < 2 or "." not in rest.split()[0]:
                    raise ConfigError(f"{where}: expected 'expect state <entity_id> <value> [<attribute>=<value>]', got {line!r}")
            elif kind not in ("clarify", "reject"):
                raise ConfigError(f"{where}: expected act, clarify, reject or state after 'expect', got {line!r}")


def meets(expected: str, decision: Mapping[str, Any] | None, states: States) -> bool:
    """Whether an expectation (the words after `expect`) holds for the last decision and the states."""
    kind, _, rest = expected.strip().partition(" ")
    if kind == "state":
        return _meets_state(rest, states)
    if decision is None or decision.get("outcome") != kind:
        return False
    if kind != "act" or not rest:
        return True
    wanted = _actions(rest, "script")
    done = [Action.from_payload(payload) for payload in decision.get("actions", ())]
    return len(wanted) == len(done) and all(_same(one, other) for one, other in zip(wanted, done, strict=True))


def _actions(text: str, where: str) -> list[Action]:
    return [parse_action(part, where=where) for part in text.split(";") if part.strip()]


def _same(wanted: Action, done: Action) -> bool:
    """Whether two actions agree; a sign is enough for a step, and what is not named is not compared."""
    if wanted.service != done.service or wanted.targets != done.targets:
        return False
    for key, value in wanted.data.items():
        given = done.data.get(key)
        if value in ("+", "-") and isinstance(given, (int, float)):
            if (given > 0) != (value == "+"):
                return False
        elif given != value:
            return False
    return True


def _meets_state(text: str, states: States) -> bool:
    entity_id, value, *rest = text.split()
    state = states.get(entity_id)
    if state is None or state.value != value:
        return False
    wanted = parse_action(f"expect.state {' '.join(rest)}").data
    return all(state.attributes.get(key) == one for key, one in wanted.items())
