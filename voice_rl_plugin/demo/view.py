"""The terminal view: what a person types, what was decided and why, and the devices that change."""

import time
import unicodedata
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from voice_rl_plugin.demo.devices import NEUTRAL_KELVIN, RefusedError
from voice_rl_plugin.demo.line import Incoming, Line
from voice_rl_plugin.demo.script import EXPECT, meets
from voice_rl_plugin.demo.simulated import SimulatedHome
from voice_rl_plugin.demo.texts import STATE_WORDS, say
from voice_rl_plugin.domain.action import Action, parse_action
from voice_rl_plugin.domain.decision import STAGES
from voice_rl_plugin.domain.home import EntityState, Home, States
from voice_rl_plugin.errors import ConfigError

ANSWER_S = 5.0
"""How long the view waits for a decision."""
JUDGEMENT_S = 0.5
"""A yes or a no is taken in without a word."""
QUIET_S = 0.15
"""After this long without a message, an utterance is over."""
EFFECT_S = 3.0
HAND_S = 1.0
TRAINING_S = 600.0
_COLORS = {"act": "32", "clarify": "33", "reject": "31", "dim": "2", "bold": "1", "bad": "31;1"}
_JUDGEMENTS = {"y": "yes", "yes": "yes", "n": "no", "no": "no", "undo": "undo", "u": "undo", "是": "yes", "对": "yes", "不": "no", "不对": "no", "撤销": "undo"}  # fmt: skip


class Output(Protocol):
    """Takes one line of text."""

    def __call__(self, text: str, /) -> None:
        """Write the line."""


class View:
    """One person at one terminal."""

    def __init__(
        self,
        *,
        line: Line,
        devices: SimulatedHome,
        home: Home,
        write: Output,
        language: str = "en",
        area: str | None = None,
        has_colors: bool = False,
        log: str = "",
        is_alive: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._line = line
        self._devices = devices
        self._home = home
        self._write = write
        self._language = language
        self._area = area
        self._has_colors = has_colors
        self._log = log
        self._is_alive = is_alive
        self._last: dict[str, Any] | None = None
        self.expected = 0
        self.unmet = 0

    @property
    def prompt(self) -> str:
        """Return what stands before the cursor."""
        area = self._home.area_by_id.get(self._area or "")
        return f"{area.name if area else '-'}> "

    def show_welcome(self, *, port: int, broker: str, prefix: str = "voice_rl") -> None:
        """Say what this is and how the same is done from another shell."""
        area = self._home.area_by_id.get(self._area or "")
        self._say("welcome", entities=len(self._home.entities), areas=len(self._home.areas), area=area.name if area else "-", port=port, broker=broker)  # fmt: skip
        example = "打开厨房的灯" if self._language == "zh" else "turn on the kitchen lights"
        self._say("other_shell")
        self._write(
            self._paint(f"  mosquitto_pub -p {port} -t {prefix}/command{'/' + self._area if self._area else ''} -m '{example}'", "dim")
        )
        self._write(self._paint(f"  mosquitto_sub -p {port} -v -t '{prefix}/#'", "dim"))
        self._say("help")

    def take(self, text: str) -> bool:
        """Take one typed line; return whether to go on."""
        text = text.strip()
        if not text:
            return True
        if (code := self._is_alive()) is not None:
            self._say("stopped", code=code, log=self._log)
            self.unmet += 1
            return False
        if text.startswith(EXPECT):
            self._check(text.removeprefix(EXPECT))
        elif text.startswith(":"):
            return self._control(text[1:].strip())
        elif text in ("?", "\uff1f"):  # the full-width question mark
            self._explain()
        elif text.casefold() in _JUDGEMENTS:
            self._judge({"verdict": _JUDGEMENTS[text.casefold()]})
        elif (words := _correction(text)) is not None:
            self._judge({"verdict": "no", "correction": {"text": words}})
        else:
            self._speak(text)
        return True

    def show_score(self) -> None:
        """Say how many expectations were met."""
        if self.unmet:
            self._write(self._paint(say(self._language, "failed", failed=self.unmet, count=self.expected), "bad"))
        elif self.expected:
            self._say("passed", count=self.expected)

    def _speak(self, text: str) -> None:
        command = {"text": text, "id": uuid.uuid4().hex, "language": self._language, "at": time.time()}
        if self._area is not None:
            command["area"] = self._area
        self._exchange("command", command, wait_s=ANSWER_S, needs_answer=True)

    def _judge(self, judgement: dict[str, Any]) -> None:
        if self._last is None:
            self._say("nothing")
            return
        judgement["decision_id"] = self._last["decision_id"]
        asked = self._last.get("outcome") == "clarify"
        is_short = "correction" not in judgement and (judgement["verdict"] == "no" or (judgement["verdict"] == "yes" and not asked))
        answered = self._exchange("confirm", judgement, wait_s=JUDGEMENT_S if is_short else ANSWER_S, needs_answer=not is_short)
        if is_short and not answered:
            self._say("noted")

    def _exchange(self, topic: str, payload: Mapping[str, Any], *, wait_s: float, needs_answer: bool) -> bool:
        """Send one message and show what comes of it; return whether anything came."""
        for late in self._line.drain():
            self._show(late)
        before = self._line.states
        self._line.send(topic, payload)
        waiting: set[tuple[str, int]] = set()
        answered = False
        deadline = time.monotonic() + wait_s
        while True:
            now = time.monotonic()
            incoming = self._line.next(min(QUIET_S, deadline - now) if answered and not waiting else deadline - now)
            if incoming is None:
                break
            if not answered and incoming.topic not in ("status", "train"):
                answered, deadline = True, now + EFFECT_S
            fields = incoming.fields
            key = (str(fields.get("decision_id")), int(fields.get("step") or 0))
            if incoming.topic.startswith("action/"):
                waiting.add(key)
            elif incoming.topic == "result":
                waiting.discard(key)
            self._show(incoming)
        if not answered and needs_answer:
            self._say("silence", seconds=f"{wait_s:g}", log=self._log)
        self._show_changes(before, self._line.states)
        return answered

    def _show(self, incoming: Incoming) -> None:
        fields = incoming.fields
        match incoming.topic:
            case "decision":
                self._last = fields
                self._show_decision(fields)
            case "say" if fields.get("text") not in self._spoken():
                self._write(f"  {self._paint('“' + str(fields.get('text', '')) + '”', 'bold')}")
            case "error":
                self._write(self._paint(f"  {fields.get('error', 'error')}: {fields.get('detail', '')}", "bad"))
            case "result" if fields.get("ok") is False:
                self._write(self._paint(f"  {fields.get('error', '')}", "bad"))
            case "train" if fields.get("phase") != "idle":
                self._write(self._paint("  " + incoming.payload.decode(errors="replace"), "dim"))
            case _:
                pass

    def _spoken(self) -> tuple[object, ...]:
        """Return what the last decision has already shown."""
        if self._last is None:
            return ()
        return self._last.get("question"), self._last.get("reason") if self._last.get("outcome") != "act" else None

    def _show_decision(self, fields: Mapping[str, Any]) -> None:
        outcome = str(fields.get("outcome", "?"))
        sure = say(self._language, "sure", pct=round(100 * float(fields.get("confidence") or 0)))
        stage = str(fields.get("stage", ""))
        figures = f"({say(self._language, stage) if stage in STAGES else stage}, {sure}, {float(fields.get('latency_ms') or 0):.1f} ms)"
        actions = [Action.from_payload(payload) for payload in fields.get("actions", ())]
        word = "answer" if actions and all(action.domain == "query" for action in actions) else outcome
        words = say(self._language, word) if outcome in _COLORS else outcome
        self._write(f"  {self._paint(words, outcome)} {self._paint(figures, 'dim')}")
        for action in actions:
            self._write(f"    {action.to_line()}")
        if fields.get("question"):
            self._write(f"  {self._paint('“' + str(fields['question']) + '”', 'bold')}")
        elif outcome != "act" and fields.get("reason"):
            self._write(f"    {fields['reason']}")

    def _explain(self) -> None:
        if self._last is None:
            self._say("nothing")
            return
        self._show_decision(self._last)
        self._write(f"    {self._last.get('reason', '')} [{self._last.get('reason_code', '')}]")
        for number, choice in enumerate(self._last.get("choices", ()), start=1):
            lines = "; ".join(Action.from_payload(payload).to_line() for payload in choice.get("actions", ()))
            self._write(f"    {number}. {choice.get('label', '')}: {lines}")
        self._write(self._paint(f"    {self._last.get('policy_version', '')} {self._last.get('decision_id', '')}", "dim"))

    def _control(self, text: str) -> bool:
        verb, _, rest = text.partition(" ")
        rest = rest.strip()
        match verb:
            case "quit" | "q" | "exit":
                return False
            case "area":
                self._move(rest)
            case "lang" if rest in ("en", "zh"):
                self._language = rest
            case "devices":
                self._show_devices()
            case "hand":
                self._press(rest)
            case "retrain":
                self._retrain()
            case "help" | "h":
                self._say("help")
            case _:
                self._say("unknown_command")
        return True

    def _move(self, text: str) -> None:
        area = self._home.find_area(text)
        if text and area is None:
            self._say("unknown_area", areas=", ".join(f"{one.id} ({one.name})" for one in self._home.areas))
            return
        self._area = area.id if area is not None else None
        self._say("area", area=area.name if area is not None else say(self._language, "nowhere"))

    def _press(self, text: str) -> None:
        before = self._line.states
        try:
            action = parse_action(text, where=":hand")
            self._devices.press(action)
        except (ConfigError, RefusedError) as error:
            self._write(self._paint(f"  {error}", "bad"))
            return
        self._line.wait_until(lambda states, _: all(_shows(states, t, self._devices.devices.states[t]) for t in action.targets), HAND_S)
        self._show_changes(before, self._line.states)

    def _retrain(self) -> None:
        self._line.send("train/set", "start")
        deadline = time.monotonic() + TRAINING_S
        while (incoming := self._line.next(deadline - time.monotonic())) is not None:
            self._show(incoming)
            if incoming.topic == "error" or (incoming.topic == "train" and incoming.fields.get("result")):
                return

    def _show_devices(self) -> None:
        states = self._line.states
        width = max((_width(entity.name) for entity in self._home.entities), default=0)
        for area in (*self._home.areas, None):
            entities = self._home.exposed_by_area.get(area.id if area else None, ())
            if entities:
                self._write(self._paint(area.name if area else "-", "bold"))
            for entity in entities:
                self._write(
                    f"  {_pad(entity.name, width)}  {_pad(short_state(entity.id, states.get(entity.id), self._language), 16)} {self._paint(entity.id, 'dim')}"
                )

    def _show_changes(self, before: States, after: States) -> None:
        rows = []
        for entity in self._home.entities:
            old, new = (short_state(entity.id, states.get(entity.id), self._language) for states in (before, after))
            if old not in (new, "?"):
                rows.append((entity.name, old, new))
        width = max((_width(name) for name, _, _ in rows), default=0)
        old_width = max((_width(old) for _, old, _ in rows), default=0)
        for name, old, new in rows:
            self._write(f"    {_pad(name, width)}  {_pad(old, old_width)} -> {self._paint(new, 'bold')}")

    def _check(self, expected: str) -> None:
        self.expected += 1
        if expected.startswith("state "):
            is_met = self._line.wait_until(lambda states, _: meets(expected, self._last, states), EFFECT_S)
        else:
            is_met = meets(expected, self._last, self._line.states)
        if is_met:
            self._write(self._paint(f"  ok: {expected}", "dim"))
            return
        self.unmet += 1
        self._write(self._paint("  " + say(self._language, "wrong", expected=expected, got=self._got(expected)), "bad"))

    def _got(self, expected: str) -> str:
        if expected.startswith("state "):
            entity_id = expected.split()[1]
            state = self._line.states.get(entity_id)
            return f"{entity_id} {state.value} {dict(state.attributes)}" if state else f"{entity_id} unknown"
        if self._last is None:
            return "nothing"
        lines = "; ".join(Action.from_payload(payload).to_line() for payload in self._last.get("actions", ()))
        return f"{self._last.get('outcome')} {lines or self._last.get('reason', '')}"

    def _say(self, key: str, **values: object) -> None:
        self._write(say(self._language, key, **values))

    def _paint(self, text: str, color: str) -> str:
        return f"\x1b[{_COLORS[color]}m{text}\x1b[0m" if self._has_colors and color in _COLORS else text


def short_state(entity_id: str, state: EntityState | None, language: str = "en") -> str:
    """Return a state in a few characters: `on 35 % #ff0000`, 开 35 %."""
    if state is None:
        return "?"
    attributes, words = state.attributes, [STATE_WORDS.get(state.value, state.value) if language == "zh" else state.value]
    domain = entity_id.partition(".")[0]
    if domain in ("scene", "script", "button"):
        return state.value[11:19] or "?"
    if domain == "light" and state.value == "on":
        words.append(f"{round(float(attributes.get('brightness') or 0) * 100 / 255)} %")
        if attributes.get("rgb_color"):
            words.append("#" + "".join(f"{int(level):02x}" for level in attributes["rgb_color"]))
        elif attributes.get("color_temp_kelvin") not in (None, NEUTRAL_KELVIN):
            words.append(f"{attributes['color_temp_kelvin']} K")
    elif domain == "media_player" and state.value != "off" and "volume_level" in attributes:
        words.append("muted" if attributes.get("is_volume_muted") else f"{round(float(attributes['volume_level']) * 100)} %")
        if "media_track" in attributes:
            words.append(f"#{attributes['media_track']}")
    elif domain == "cover" and attributes.get("current_position") not in (None, 0, 100):
        words.append(f"{attributes['current_position']} %")
    elif domain in ("climate", "water_heater") and "temperature" in attributes:
        words.append(f"{attributes['temperature']}°")
    elif domain == "fan" and state.value == "on":
        words.append(f"{attributes.get('percentage', 0)} %")
    return " ".join(words)


def _shows(states: States, entity_id: str, wanted: EntityState) -> bool:
    seen = states.get(entity_id)
    return seen is not None and seen.value == wanted.value and dict(seen.attributes) == dict(wanted.attributes)


def _correction(text: str) -> str | None:
    head, colon, words = text.replace("\uff1a", ":", 1).partition(":")  # also the full-width colon
    return words.strip() or None if colon and _JUDGEMENTS.get(head.strip().casefold()) == "no" else None


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _width(text))
