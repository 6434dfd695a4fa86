"""Findings: what is right or wrong with a setup, each with its fix; the checks here look at values and files only."""

import difflib
import re
import stat
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from voice_rl_plugin.config import Config
from voice_rl_plugin.deciding.safety import is_risky
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.home import Entity, Home

LEVELS = ("ok", "note", "warning", "error")
_MARKS = {"ok": "ok   ", "note": "note ", "warning": "warn ", "error": "ERROR"}
_SHOWN = 5
_SECRETS = ("password_file", "key_file", "token_file")
_PLACELESS = frozenset({"scene", "script", "automation", "person", "todo", "weather"})
"""Domains that need no area."""
_DARING = {"lock": "unlock", "cover": "open_cover", "valve": "open_valve", "alarm_control_panel": "alarm_disarm"}
"""The service that is most to be feared in a domain; elsewhere it is to turn on."""
_DANGEROUS_DOMAINS = frozenset({"switch", "input_boolean", "script", "button", "climate", "water_heater", "cover"})
_DANGEROUS = re.compile(
    r"\b(oven|stove|hob|cooker|cooktop|grill|heater|boiler|kettle|iron|sauna|fireplace|furnace|pump|gate|garage|door opener)\b"
    r"|烤箱|烤炉|灶|炉|热水器|取暖|电暖|暖风机|水壶|熨斗|桑拿|壁炉|锅|水泵|大门|院门|车库|门禁",
    re.IGNORECASE,
)
_UNSPEAKABLE = re.compile(r"0x[0-9a-f]{6,}|[a-z_]+\.[a-z0-9_]+|[0-9a-f]{12,}", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    check: str
    """What was looked at, as one word: `broker`, `names`, `risky`, ..."""
    level: str
    """One of LEVELS; an `error` keeps it from working."""
    what: str
    fix: str = ""
    """What to do about it; never empty for a warning or an error."""

    def to_payload(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)

    def to_lines(self) -> list[str]:
        """Return it for a person."""
        lines = [f"{_MARKS[self.level]} {self.check}: {self.what}"]
        return [*lines, f"      -> {self.fix}"] if self.fix else lines


def check_home(home: Home) -> list[Finding]:
    """Return what will make the daemon ask or refuse more often than needed."""
    if not home.exposed:
        fix = "write a home file and name it as home.file, or copy examples/home_assistant to Home Assistant, which then publishes the home"
        return [Finding(check="home", level="error", what="no devices are known: every command will be refused", fix=fix)]
    findings = [*_check_names(home), *_check_places(home)]
    findings += [
        Finding(
            check="members",
            level="warning",
            what=f"{entity.id} has the member {member}, which is not in this home",
            fix=f"take {member} out of the group, or expose it",
        )
        for entity in home.entities
        for member in entity.members
        if member not in home.entity_by_id
    ]
    return findings


def _check_names(home: Home) -> Iterable[Finding]:
    names = Counter((entity.area, name) for entity in home.exposed for name in _names_of(entity))
    for (area, name), count in names.items():
        if count > 1:
            yield Finding(
                check="names",
                level="warning",
                what=f"{count} entities in {area or 'no area'} are called {name!r}: it will have to ask each time",
                fix="rename all but one of them, or give each an alias of its own",
            )
    places = [(f"area {area.id}", (area.name, *area.aliases)) for area in home.areas]
    places += [(f"floor {floor.id}", (floor.name, *floor.aliases)) for floor in home.floors]
    called: dict[str, list[str]] = {}
    for place, spoken in places:
        for name in {one.casefold() for one in spoken}:
            called.setdefault(name, []).append(place)
    for name, bearers in called.items():
        if len(bearers) > 1:
            what = f"{' and '.join(bearers)} are both called {name!r}: neither is found by it"
            yield Finding(check="names", level="warning", what=what, fix="rename one of them, or drop the alias")
    dumb = [entity.id for entity in home.exposed if all(_UNSPEAKABLE.fullmatch(name) for name in _names_of(entity))]
    if dumb:
        what = f"{_listed(dumb)} {'has a name' if len(dumb) == 1 else 'have names'} that nobody can say"
        yield Finding(check="names", level="warning", what=what, fix="give it a name in words, or do not expose it")


def _check_places(home: Home) -> Iterable[Finding]:
    lost = [entity.id for entity in home.exposed if entity.area is None and entity.domain not in _PLACELESS]
    if lost:
        is_one = len(lost) == 1
        what = f"{_listed(lost)} {'has' if is_one else 'have'} no area: {'it is' if is_one else 'they are'} found by name only"
        yield Finding(check="areas", level="warning", what=what, fix="put each into its area, in Home Assistant or in the home file")
    for one in home.satellites:
        if one.area is None:
            fix = f"give {one.id} an area, in Home Assistant or under satellites: in the home file"
            yield Finding(check="satellites", level="warning", what=f"{one.id} has no area: 'here' will mean nothing to it", fix=fix)


def check_satellites(home: Home, heard: Iterable[str]) -> list[Finding]:
    """Return which satellites speak to us that the home does not know.

    Args:
        home: as it is known.
        heard: the satellite ids of recent utterances that came without an area.
    """
    known = {one.id for one in home.satellites}
    return [
        Finding(
            check="satellites",
            level="warning",
            what=f"{one} speaks to us, and the home does not know it: 'here' means nothing to it",
            fix=f"add it to the home file, under satellites: {{id: {one}, area: ...}}, or send its area with each command",
        )
        for one in sorted(set(heard) - known)
    ]


def check_risky(home: Home, configured: Sequence[str]) -> list[Finding]:
    """Return what always asks first, what perhaps should, and what was misspelled.

    Args:
        home: as it is known.
        configured: `safety.risky`.
    """
    findings = []
    for entity_id in configured:
        if home.entities and entity_id not in home.entity_by_id:
            near = difflib.get_close_matches(entity_id, home.entity_by_id, 1)
            fix = f"write {near[0]} instead" if near else "take it out, or expose the device"
            what = f"safety.risky names {entity_id}, which is not in this home"
            findings.append(Finding(check="risky", level="warning", what=what, fix=fix))
    asking = [one.id for one in home.exposed if one.id in configured or _asks_first(one, home)]
    if asking:
        findings.append(Finding(check="risky", level="note", what=f"{_listed(asking)} always {_verb(asking, 'ask')} first"))
    suspects = suspicious(home, configured)
    if suspects:
        findings.append(
            Finding(
                check="risky",
                level="warning",
                what=f"{_listed(suspects)} {_verb(suspects, 'look')} dangerous, and would be switched without a question",
                fix=f"safety: {{risky: [{', '.join(suspects)}]}} makes them ask first; a label `risky: false` in the home file says they are harmless",
            )
        )
    return findings


def suspicious(home: Home, configured: Sequence[str] = ()) -> list[str]:
    """Return the exposed entities whose names sound of heat, water or ways in, and which would be switched without a question."""
    return [
        entity.id
        for entity in home.exposed
        if entity.domain in _DANGEROUS_DOMAINS
        and entity.risky is None
        and entity.id not in configured
        and not _asks_first(entity, home)
        and any(_DANGEROUS.search(name) for name in (*_names_of(entity), entity.id.partition(".")[2].replace("_", " ")))
    ]


def check_secrets(config: Config, *, file: Path | None) -> list[Finding]:
    """Return which secret files are missing or open to everybody.

    Args:
        config: all settings.
        file: the configuration itself, if there is one.
    """
    sections = config.to_mapping().items()
    findings = [_check_secret(f"{name}.{key}", Path(values[key])) for name, values in sections for key in _SECRETS if values.get(key)]
    if file is not None and _mode(file) & (stat.S_IWGRP | stat.S_IWOTH):
        what = f"{file} can be written by others, who could send your home's voice elsewhere"
        findings.append(Finding(check="secrets", level="warning", what=what, fix=f"chmod go-w {file}"))
    store = config.store.path
    if store.is_dir() and _mode(store) & (stat.S_IRWXG | stat.S_IRWXO):
        what = f"{store} holds what was said at home, and others on this machine can look into it"
        findings.append(Finding(check="secrets", level="warning", what=what, fix=f"chmod 700 {store}"))
    return findings


def _check_secret(key: str, path: Path) -> Finding:
    try:
        path.read_bytes()
    except OSError as error:
        what = f"{key}: {path} cannot be read: {error.strerror}"
        return Finding(check="secrets", level="error", what=what, fix="write the secret there, readable for the user of the daemon")
    if _mode(path) & stat.S_IRWXO:
        return Finding(check="secrets", level="warning", what=f"{key}: {path} can be read by everybody here", fix=f"chmod o-rwx {path}")
    return Finding(check="secrets", level="ok", what=f"{key} is for its owner{' and group' if _mode(path) & stat.S_IRWXG else ''} only")


def worst(findings: Iterable[Finding]) -> str:
    """Return the highest level among findings."""
    return max((one.level for one in findings), key=LEVELS.index, default="ok")


def count_levels(findings: Sequence[Finding]) -> Mapping[str, int]:
    """Return how many findings there are of each level."""
    return {level: sum(one.level == level for one in findings) for level in LEVELS}


def _asks_first(entity: Entity, home: Home) -> bool:
    service = f"{entity.domain}.{_DARING.get(entity.domain, 'turn_on')}"
    return is_risky(Action(service=service, targets=(entity.id,)), home)


def _names_of(entity: Entity) -> set[str]:
    return {name.casefold() for name in (entity.name, *entity.aliases)}


def _listed(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return ", ".join(ids[:_SHOWN]) + more


def _verb(ids: Sequence[str], verb: str) -> str:
    return verb if len(ids) > 1 else f"{verb}s"


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0
