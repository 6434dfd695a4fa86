"""`voice-rl bench`: how long a decision takes, a command's whole way over MQTT, a storm and a soak, measured on this machine."""

import argparse
import dataclasses
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voice_rl_plugin.commands._bench_home import LANGUAGES, Sentence, make_home, make_sentences
from voice_rl_plugin.commands._bench_mqtt import WINDOW, MqttRow, measure_mqtt
from voice_rl_plugin.commands._bench_peers import HassilPeer, Peer
from voice_rl_plugin.commands._bench_scale import ScaleRow, measure_scale
from voice_rl_plugin.commands._bench_soak import measure_soak
from voice_rl_plugin.commands._bench_storm import measure_storm
from voice_rl_plugin.config import Config
from voice_rl_plugin.deciding.decider import Decider
from voice_rl_plugin.deciding.memory import Memory
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.errors import ConfigError
from voice_rl_plugin.homes.file import load_home
from voice_rl_plugin.learning.models import BASE_FOLDER
from voice_rl_plugin.understanding.features import Observation
from voice_rl_plugin.understanding.frames import Logits
from voice_rl_plugin.understanding.onnx_policy import OnnxPolicy

_SENTENCES = 180
"""So many different ones a home; KINDS in equal parts."""


def add_parsers(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the family `bench`."""
    family = subparsers.add_parser(
        "bench",
        help="measure how fast this machine decides",
        description="Measures this program on this machine. A figure is worth comparing only within one run.",
        epilog="example:\n  voice-rl bench decide --entities 50,200,1000",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = family.add_subparsers(title="commands", metavar="COMMAND", required=True)
    decide = commands.add_parser(
        "decide",
        help="time whole decisions, text in, decision out, in homes of several sizes",
        description="Times whole decisions in one thread; homes and languages take turns, so that a busy moment hits all of them.",
        epilog="example:\n  voice-rl bench decide --entities 50,200,500,1000 --language en,zh --peers",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    decide.add_argument("--home", type=Path, metavar="FILE", help="a home file instead of made homes")
    decide.add_argument(
        "--entities", type=_sizes, default=(50, 200, 500, 1000), metavar="N,N", help="sizes of the made homes (50,200,500,1000)"
    )
    decide.add_argument("--language", type=_languages, default=LANGUAGES, metavar="L,L", help="en, zh or both (both)")
    decide.add_argument("--runs", type=_count, default=10, metavar="N", help=f"how often each of the {_SENTENCES} sentences is said (10)")
    decide.add_argument(
        "--model", type=Path, default=BASE_FOLDER, metavar="FOLDER", help="a model folder (default: the shipped base model)"
    )
    decide.add_argument("--peers", action="store_true", help="hassil beside it, if it is installed")
    decide.add_argument("--json", action="store_true", help="print one JSON object")
    decide.set_defaults(run=run_decide)
    mqtt = commands.add_parser(
        "mqtt",
        help="time a command's way over MQTT through the daemon and back",
        description="Starts the daemon and a bare echo client as processes; commands to the two take turns at QoS 1, first one at a time, then "
        "many at once.",
        epilog="example:\n  voice-rl bench mqtt --commands 500",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_broker(mqtt)
    mqtt.add_argument("--commands", type=_count, default=300, metavar="N", help="how many commands to each (300)")
    mqtt.add_argument("--language", choices=LANGUAGES, default="en")
    mqtt.set_defaults(run=run_mqtt)
    _add_storm(commands)
    _add_soak(commands)
    _add_scale(commands)


def _add_scale(commands: Any) -> None:
    scale = commands.add_parser(
        "scale",
        help="run one to several daemons, and see how many commands a second they carry out together",
        description="Daemons as processes on one broker: each a home of its own, and, with a PostgreSQL server, all of them one home.",
        epilog="example:\n  voice-rl bench scale --daemons 4 --store-url-file server.url",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    scale.add_argument("--daemons", type=_count, default=4, metavar="N", help="the most (4)")
    scale.add_argument("--commands", type=_count, default=300, metavar="N", help="to each daemon in one of three rounds (300)")
    scale.add_argument("--entities", type=_count, default=200, metavar="N", help="size of the made homes (200)")
    scale.add_argument("--language", choices=LANGUAGES, default="en")
    scale.add_argument(
        "--store-url-file", type=Path, metavar="FILE", help="holds the address of a PostgreSQL server; without it: files only"
    )
    scale.add_argument("--json", action="store_true", help="print one JSON object a line")
    scale.set_defaults(run=run_scale)


def _add_storm(commands: Any) -> None:
    storm = commands.add_parser(
        "storm",
        help="send ten thousand commands a second, and see how old the oldest is that is still acted on",
        description="Another process sends commands that name no time, each from another satellite. What is too old must be refused and counted.",
        epilog="example:\n  voice-rl bench storm --rate 10000 --seconds 10",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_broker(storm)
    storm.add_argument("--rate", type=_count, default=10_000, metavar="N", help="commands a second (10000)")
    storm.add_argument("--seconds", type=_count, default=10, metavar="S", help="how long (10)")
    storm.add_argument("--qos", type=int, choices=(0, 1), default=1, help="how the storm is sent (1)")
    storm.set_defaults(run=run_storm)


def _add_soak(commands: Any) -> None:
    soak = commands.add_parser(
        "soak",
        help="speak steadily for a long time with model swaps, and see whether anything grows or is lost",
        description="Commands at a steady rate, answered as devices would; memory, threads and files are watched once a second.",
        epilog="example:\n  voice-rl bench soak --seconds 1800",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_broker(soak)
    soak.add_argument("--rate", type=_count, default=50, metavar="N", help="commands a second (50)")
    soak.add_argument("--seconds", type=_count, default=60, metavar="S", help="how long (60)")
    soak.add_argument("--swap-every", type=_count, default=10, metavar="S", help="seconds between two models (10)")
    soak.set_defaults(run=run_soak)


def _add_broker(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", help="a broker without a password; by default one is started for the benchmark")
    parser.add_argument("--port", type=_count, default=1883, help="its port (1883)")
    parser.add_argument("--entities", type=_count, default=200, metavar="N", help="size of the made home (200)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideRow:
    """The decisions of one program in one home."""

    program: str
    language: str
    entities: int
    decisions: int
    median_ms: float
    p99_ms: float
    times_smallest: float
    """Median in units of the same program's median in the smallest home of that language, which was measured in turns with it."""
    network_ms: float
    """Of the median decision, the time inside the ONNX graphs; 0 for a program without them."""
    first_ms: float
    """Median of each sentence's first time, with nothing of it in any cache but its common words."""
    understood_pct: float
    """Decisions that act or ask; for a matcher, sentences that match. No measure of being right."""


class _TimedPolicy:
    """A policy that adds up the time spent in its graphs."""

    def __init__(self, policy: OnnxPolicy) -> None:
        self._policy = policy
        self.version = policy.version
        self.spent_s = 0.0

    def read(self, observation: Observation) -> Logits:
        """Return what the network says of each token."""
        started = time.perf_counter()
        logits = self._policy.read(observation)
        self.spent_s += time.perf_counter() - started
        return logits

    def score(self, features: NDArray[np.float32], context: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities of the candidates."""
        started = time.perf_counter()
        scores = self._policy.score(features, context)
        self.spent_s += time.perf_counter() - started
        return scores


class _Ours:
    """The decider under the clock."""

    name = "voice-rl"

    def __init__(self, home: Home, policy: OnnxPolicy) -> None:
        self.policy = _TimedPolicy(policy)
        self._decider = Decider(policy=self.policy, home=home, memory=Memory())
        self._states = home.initial_states

    def understands(self, text: str, area: str | None) -> bool:
        """Whether a decision acts or asks."""
        heard = self._decider.hear(
            Utterance(text=text, area=area, door="dry_run"), states=self._states, last=None, now=0.0, decision_id="bench"
        )
        return heard.decision is not None and heard.decision.outcome != "reject"


class _Course:
    """One program in one home, and its times."""

    def __init__(self, program: Peer, home: Home, language: str, sentences: Sequence[Sentence]) -> None:
        self.program = program
        self.entities = len(home.entities)
        self.language = language
        self.sentences = sentences
        self.times_s: list[float] = []
        self.network_s: list[float] = []
        self.understood = 0

    def say(self, number: int) -> None:
        """Say one sentence."""
        sentence = self.sentences[number]
        policy = getattr(self.program, "policy", None)
        before = policy.spent_s if policy is not None else 0.0
        started = time.perf_counter()
        understood = self.program.understands(sentence.text, sentence.area)
        self.times_s.append(time.perf_counter() - started)
        self.network_s.append(policy.spent_s - before if policy is not None else 0.0)
        self.understood += understood

    def to_row(self, smallest: "_Course") -> DecideRow:
        """Return its figures; the first round is told apart."""
        later = self.times_s[len(self.sentences) :] or self.times_s
        network = self.network_s[len(self.sentences) :] or self.network_s
        base = smallest.times_s[len(smallest.sentences) :] or smallest.times_s
        return DecideRow(
            program=self.program.name,
            language=self.language,
            entities=self.entities,
            decisions=len(later),
            median_ms=round(1000 * quantile(later, 0.5), 4),
            p99_ms=round(1000 * quantile(later, 0.99), 4),
            times_smallest=round(quantile(later, 0.5) / quantile(base, 0.5), 3),
            network_ms=round(1000 * quantile(network, 0.5), 4),
            first_ms=round(1000 * quantile(self.times_s[: len(self.sentences)], 0.5), 4),
            understood_pct=round(100 * self.understood / len(self.times_s), 1),
        )


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def measure_decide(
    homes: Sequence[tuple[Home, str]], policy: OnnxPolicy, *, runs: int, peers: bool = False, sentences: int = _SENTENCES
) -> tuple[DecideRow, ...]:
    """Time decisions in several homes, sentence by sentence in turns.

    Args:
        homes: homes with the language to speak there.
        policy: the model; all homes share it.
        runs: how often each sentence is said; the first time is told apart when there are several.
        peers: whether hassil is measured too.
        sentences: how many different ones a home.

    Raises:
        ConfigError: hassil is wanted and not installed.
    """
    courses: list[_Course] = []
    for home, language in homes:
        said = make_sentences(home, language, sentences)
        programs: list[Peer] = [_Ours(home, policy), *([HassilPeer(home, language)] if peers else [])]
        courses += [_Course(program, home, language, said) for program in programs]
    for turn in range(runs):
        for number in range(sentences):
            for course in courses:
                course.say(number)
        if sys.stderr.isatty():
            print(f"\r{turn + 1}/{runs}", end="", file=sys.stderr)
    if sys.stderr.isatty():
        print("\r", end="", file=sys.stderr)
    rows = []
    for course in sorted(courses, key=lambda one: one.program.name, reverse=True):
        equals = [one for one in courses if (one.program.name, one.language) == (course.program.name, course.language)]
        rows.append(course.to_row(min(equals, key=lambda one: one.entities)))
    return tuple(rows)


def run_decide(args: argparse.Namespace) -> int:
    """Time decisions and print a table."""
    policy = OnnxPolicy.load(args.model)
    if args.home is not None:
        home = load_home(args.home)
        if not home.exposed:
            raise ConfigError(f"{args.home}: expected a home with at least one exposed entity")
        homes = [(home, "zh" if home.language.startswith("zh") else "en")]
    else:
        homes = [(make_home(entities, language), language) for language in args.language for entities in args.entities]
    rows = measure_decide(homes, policy, runs=args.runs, peers=args.peers)
    if args.json:
        print(json.dumps({"machine": machine(), "rows": [dataclasses.asdict(row) for row in rows]}))
        return 0
    print(f"{machine()}; {_SENTENCES} sentences x {args.runs} runs a home, in turns, one thread\n")
    print("| program | language | entities | median ms | p99 ms | x smallest | in the network ms | first time ms | understood |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for row in rows:
        print(
            f"| {row.program} | {row.language} | {row.entities} | {row.median_ms:.2f} | {row.p99_ms:.2f} | {row.times_smallest:.2f} | "
            f"{row.network_ms:.2f} | {row.first_ms:.2f} | {row.understood_pct:.0f} % |"
        )
    return 0


def run_mqtt(args: argparse.Namespace) -> int:
    """Time round trips and print a table."""
    row = measure_mqtt(host=args.host, port=args.port, commands=args.commands, entities=args.entities, language=args.language)
    if args.json:
        print(json.dumps({"machine": machine(), **dataclasses.asdict(row)}))
        return 0
    print(f"{machine()}; {row.broker}, QoS 1, {row.commands} commands of {row.command_bytes} bytes to each, in turns\n")
    print("\n".join(_mqtt_table(row)))
    return 0


def run_scale(args: argparse.Namespace) -> int:
    """Measure one to several daemons and print them."""

    def tell(row: ScaleRow) -> None:
        if args.json:
            print(json.dumps(dataclasses.asdict(row)), flush=True)
            return
        cpu = "-" if row.daemon_cpu_ms is None else f"{row.daemon_cpu_ms:.2f}"
        busy, rss = "-" if row.cores_busy is None else f"{row.cores_busy:.2f}", "-" if row.rss_mib is None else f"{row.rss_mib:.0f}"
        print(
            f"| {row.arrangement} | {row.daemons} | {row.commands_per_s:.0f} | {row.times_one:.2f} | {cpu} | {row.our_cpu_ms:.2f} "
            f"| {busy} | {rss} |",
            flush=True,
        )

    if not args.json:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        print(f"{cores} cores for all processes, load {os.getloadavg()[0]:.1f} before\n")
        print("| arrangement | daemons | commands/s | x one | daemons' CPU ms | sender's CPU ms | cores busy | RSS MiB |\n|" + " --- |" * 8)
    measure_scale(
        daemons=args.daemons,
        commands=args.commands,
        entities=args.entities,
        language=args.language,
        url_file=args.store_url_file,
        tell=tell,
    )
    return 0


def run_storm(args: argparse.Namespace) -> int:
    """Blow, and print what was counted; 1 when something acted on was older than the freshness, or went uncounted."""
    row = measure_storm(host=args.host, port=args.port, entities=args.entities, rate=args.rate, seconds=float(args.seconds), qos=args.qos)
    freshness_s = Config().doors.freshness_s
    is_good = row.oldest_acted_s <= freshness_s and (row.unaccounted or 0) <= 0  # the broker counts what it dropped for others too
    if args.json:
        print(json.dumps({"machine": machine(), **dataclasses.asdict(row)}))
        return 0 if is_good else 1
    unknown = "not told by this broker"
    print(f"{machine()}; {row.broker}, QoS {args.qos}, {row.sent} commands in {args.seconds} s, {row.sent_per_s:.0f} a second\n")
    print(f"oldest command acted on: {row.oldest_acted_s:.2f} s (allowed {freshness_s:g} s), median {row.median_age_s:.2f} s")
    print(f"decided {row.decided} (acted {row.acted}), refused for age {row.stale}, throttled {row.throttled}, dropped here {row.dropped}")
    print(f"dropped by the broker: {unknown if row.broker_dropped is None else row.broker_dropped}")
    print(f"in no count: {unknown if row.unaccounted is None else row.unaccounted}")
    print(f"a fresh command was answered {row.recovery_s:.2f} s after the storm; at most {row.rss_mib} MiB resident")
    return 0 if is_good else 1


def run_soak(args: argparse.Namespace) -> int:
    """Soak, and print what grew; 1 when a command was lost or decided twice."""
    row = measure_soak(
        host=args.host,
        port=args.port,
        entities=args.entities,
        rate=args.rate,
        seconds=float(args.seconds),
        swap_every_s=float(args.swap_every),
    )
    is_good = not row.lost and not row.twice
    if args.json:
        print(json.dumps({"machine": machine(), **dataclasses.asdict(row)}))
        return 0 if is_good else 1
    print(f"{machine()}; {row.broker}, {row.sent} commands in {row.seconds:.0f} s, {row.swaps} model swaps\n")
    print(
        f"lost {row.lost}, refused for age {row.refused}, decided twice {row.twice}, actions {row.actions}; decisions by model: {row.versions}"
    )
    print(f"command -> action: median {row.median_ms:.2f} ms, p99 {row.p99_ms:.2f} ms")
    print(
        f"resident {row.rss_start_mib} -> {row.rss_end_mib} MiB ({row.rss_growth_mib_per_h} MiB an hour), threads {row.threads[0]} to {row.threads[1]}"
    )
    print(f"open files {row.files_start} -> {row.files_end}; {row.cpu_share} of one processor")
    return 0 if is_good else 1


def _mqtt_table(row: MqttRow) -> list[str]:
    def of(value: float | None, unit: str) -> str:
        return "-" if value is None else f"{value:.1f} {unit}"

    return [
        "| round trip | median ms | p99 ms |",
        "| --- | --- | --- |",
        f"| bare echo | {row.echo_median_ms:.2f} | {row.echo_p99_ms:.2f} |",
        f"| bare echo, a row of {row.row_bytes} bytes committed first | {row.kept_median_ms:.2f} | {row.kept_p99_ms:.2f} |",
        f"| command -> daemon -> action | {row.daemon_median_ms:.2f} | {row.daemon_p99_ms:.2f} |",
        f"| daemon / echo with row | {row.median_ratio:.2f} | {row.p99_ratio:.2f} |",
        f"\nOf the daemon's median, deciding took {row.decision_median_ms:.2f} ms; {row.lost} of {row.commands} commands brought no action.",
        (
            f"Throughput, {WINDOW} on their way: echo with row {row.kept_per_s:.0f} a second, daemon {row.daemon_per_s:.0f} with as many "
            f"results; ratio {row.throughput_ratio:.2f}."
        ),
        (
            f"The daemon: {of(row.rss_mib, 'MiB')} resident, {of(row.cpu_ms_per_command, 'ms')} of processor time a command, "
            f"{row.cold_start_s:.2f} s from its start until it says `online`."
        ),
    ]


def machine() -> str:
    """Return what a figure depends on: system, processors, Python."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count() or 1} cores, Python {platform.python_version()}"


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(_count(part) for part in text.split(","))


def _languages(text: str) -> tuple[str, ...]:
    parts = tuple(text.split(","))
    if set(parts) - set(LANGUAGES):
        raise argparse.ArgumentTypeError(f"expected some of {','.join(LANGUAGES)}, got {text!r}")
    return parts


def _count(text: Any) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text!r}")
    return value
