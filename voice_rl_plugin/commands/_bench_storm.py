"""A storm: ten thousand commands a second from another process, and how old the oldest one was that was still acted on.

No command says when it was spoken, and each comes from another satellite: neither its own time nor the limit of a source protects the home.
"""

import array
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from voice_rl_plugin.commands._bench_lab import ANSWER_S, Lab, figures_of, open_lab
from voice_rl_plugin.errors import BrokerError
from voice_rl_plugin.learning.store import ExperienceStore

_QUIET_S = 3.0
"""The storm is over when the daemon has decided nothing for so long."""
_COUNTED_S = 30.0
"""The broker tells of its drops every ten seconds, the daemon asks again and tells as often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StormRow:
    """The figures of one storm."""

    broker: str
    sent: int
    sent_per_s: float
    decided: int
    acted: int
    oldest_acted_s: float
    """Age of the oldest command that was acted on, from its sending to its decision."""
    median_age_s: float
    stale: int
    """Refused for their age, and counted by the daemon."""
    throttled: int
    dropped: int
    """Found the daemon's queue full."""
    broker_dropped: int | None
    """Dropped by the broker, for all its clients; None where it does not tell."""
    unaccounted: int | None
    """Sent, and in none of these counts."""
    recovery_s: float
    """From the last command of the storm until a fresh one is answered."""
    rss_mib: float | None
    """The largest that was seen."""


def measure_storm(*, host: str | None, port: int, entities: int, rate: int, seconds: float, qos: int) -> StormRow:
    """Start broker and daemon, blow, and count.

    Args:
        host: the broker's; None starts one.
        port: the broker's.
        entities: size of the made home.
        rate: commands a second.
        seconds: how long.
        qos: 0 or 1.

    Raises:
        BrokerError: there is no broker, or the daemon does not come back.
    """
    topics = ("{prefix}/health", "{prefix}/metrics")
    with open_lab(host=host, port=port, entities=entities, language="en", topics=topics) as lab:
        before = _count_rows(lab)
        times = lab.folder / "times"
        arguments = ["--host", lab.host, "--port", str(lab.port), "--prefix", lab.prefix, "--payload", lab.payloads[0].decode()]
        arguments += ["--rate", str(rate), "--seconds", str(seconds), "--qos", str(qos), "--times", str(times)]
        begun = time.monotonic()
        with subprocess.Popen(
            [sys.executable, "-m", "voice_rl_plugin.commands._bench_sender", *arguments], stdout=subprocess.DEVNULL
        ) as sender:
            largest, told = _listen(lab, sender)
        if sender.returncode:
            raise BrokerError(f"{lab.kind}: the storm ended with code {sender.returncode}; is its connection limited?")
        blown_s = time.monotonic() - begun
        recovery_s = _recover(lab, told)
        sent_at = array.array("d", times.read_bytes())
        counts = _await_counts(lab, told, wanted=len(sent_at), before=before)
        ages, acted = _ages(lab, sent_at)
        drops = counts.get("drops", {})
        stale, throttled, dropped = (int(drops.get(name, 0)) for name in ("stale", "throttled", "dropped"))
        broker_dropped = drops.get("broker_dropped")
        return StormRow(
            broker=lab.kind,
            sent=len(sent_at),
            sent_per_s=round(len(sent_at) / blown_s, 1),
            decided=len(ages),
            acted=len(acted),
            oldest_acted_s=round(max(acted, default=0.0), 3),
            median_age_s=round(sorted(acted)[len(acted) // 2], 3) if acted else 0.0,
            stale=stale,
            throttled=throttled,
            dropped=dropped,
            broker_dropped=broker_dropped,
            unaccounted=None if broker_dropped is None else len(sent_at) - len(ages) - stale - throttled - dropped - broker_dropped,
            recovery_s=round(recovery_s, 3),
            rss_mib=largest,
        )


def _listen(lab: Lab, sender: "subprocess.Popen[bytes]") -> tuple[float | None, dict[str, Any]]:
    """Answer actions until the sender has ended; return the largest memory that was seen, and the last health."""
    largest, told = figures_of(lab.daemon.pid).rss_mib, {}
    looked_at = time.monotonic()
    while sender.poll() is None:
        message = lab.line.receive(0.05)
        if message is not None and message.topic.endswith("/health"):
            told = json.loads(message.payload)
        elif message is not None and "/action/" in message.topic:
            lab.answer(message)
        if time.monotonic() - looked_at > 0.5:
            looked_at = time.monotonic()
            largest = max(largest or 0.0, figures_of(lab.daemon.pid).rss_mib or 0.0) or None
    return largest, told


def _recover(lab: Lab, told: dict[str, Any]) -> float:
    """Say something fresh until it is decided; return how long that took."""
    begun = time.monotonic()
    number = 0
    while time.monotonic() - begun < 10 * ANSWER_S:
        number += 1
        text = f"my brother reads book {number}"
        lab.line.send(f"{lab.prefix}/command", json.dumps({"text": text, "at": time.time()}).encode())
        deadline = time.monotonic() + 1.0
        while (message := lab.line.receive(max(deadline - time.monotonic(), 0.0))) is not None:
            if message.topic.endswith("/health"):
                told.update(json.loads(message.payload))
            elif message.topic == f"{lab.prefix}/decision" and text.encode() in message.payload:
                return time.monotonic() - begun
    raise BrokerError(f"after the storm nothing was answered within {10 * ANSWER_S:.0f} s")


def _await_counts(lab: Lab, told: dict[str, Any], *, wanted: int, before: int) -> dict[str, Any]:
    """Return the last health, once its counts explain every command or the time is up."""
    deadline = time.monotonic() + _COUNTED_S
    while time.monotonic() < deadline:
        drops = told.get("drops", {})
        explained = sum(int(drops.get(name, 0)) for name in ("stale", "throttled", "dropped", "broker_dropped")) + _count_rows(lab) - before
        if explained >= wanted:
            break
        message = lab.line.receive(1.0)
        if message is not None and message.topic.endswith("/health"):
            told.update(json.loads(message.payload))
    return told


def _count_rows(lab: Lab) -> int:
    with ExperienceStore(lab.folder / "store", owns_file=False) as store:
        return store.count()[0]


def _ages(lab: Lab, sent_at: "array.array[float]") -> tuple[list[float], list[float]]:
    """Return the ages of all that was decided, and of what was acted on."""
    ages: list[float] = []
    acted: list[float] = []
    with ExperienceStore(lab.folder / "store", owns_file=False) as store:
        for stored in store.all_stored():
            decision = stored.decision
            name = decision.utterance.id or ""
            if name.startswith("s") and name[1:].isdigit():
                age_s = decision.decided_at - sent_at[int(name[1:])]
                ages.append(age_s)
                if decision.outcome == "act":
                    acted.append(age_s)
    return ages, acted
