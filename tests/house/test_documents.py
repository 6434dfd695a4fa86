"""The documents and examples say what is so."""

import argparse
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from voice_rl_plugin import __version__
from voice_rl_plugin.cli import build_parser, main
from voice_rl_plugin.config import Config, load_config
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.doors import native

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(path for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")))
TOPICS = ROOT / "docs" / "mqtt.md"
OUTPUTS = (
    *("decision", "event", "action/<domain>/<service>", "say", "answer", "status", "health", "model"),
    *("metrics", "learning", "train", "error"),
)
ONE_HOME = Home.from_mapping({"areas": [{"id": "kitchen", "name": "Kitchen"}]})
READERS = {
    "command": lambda payload: native.parse_command(payload, area=None, home=ONE_HOME),
    "command/<area>": lambda payload: native.parse_command(payload, area="kitchen", home=ONE_HOME),
    "ask": lambda payload: native.parse_ask(payload, home=ONE_HOME),
    "confirm": lambda payload: native.parse_confirm(payload, area=None, home=ONE_HOME),
    "confirm/<area>": lambda payload: native.parse_confirm(payload, area="kitchen", home=ONE_HOME),
    "result": native.parse_result,
    "home": lambda payload: Home.from_mapping(json.loads(payload)),
    "model/set": native.parse_model_set,
    "learning/set": native.parse_learning_set,
    "train/set": native.parse_train_set,
}


def read_topics() -> dict[str, tuple[str, str]]:
    """Return the topics of docs/mqtt.md below the prefix, each with the kind and the text of its example."""
    text = TOPICS.read_text(encoding="utf-8")
    found: dict[str, tuple[str, str]] = {}
    for section in re.split(r"(?m)^### ", text)[1:]:
        topic = re.match(r"`voice_rl/([^`]+)`", section)
        examples = re.findall(r"(?ms)^```(\w+)\n(.*?)^```", section)
        assert topic is not None, section[:60]
        assert len(examples) == 1, topic[1]
        found[topic[1]] = examples[0]
    return found


def blocks(path: Path, kind: str) -> list[str]:
    """Return the fenced blocks of one kind."""
    return re.findall(rf"(?ms)^```{kind}\n(.*?)^```", path.read_text(encoding="utf-8"))


def commands_in(block: str) -> Iterator[list[str]]:
    """Yield the words of each `voice-rl ...` command in a shell block."""
    for line in re.sub(r"\\\n", " ", block).splitlines():
        for part in re.split(r"&&|\|\||[|;]", line.partition(" #")[0]):
            words = shlex.split(part, comments=True) if part.count("'") % 2 == 0 and part.count('"') % 2 == 0 else part.split()
            if words and words[0].rpartition("/")[2] == "voice-rl":
                yield words[1:]


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parsers of a parser's own commands."""
    found: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found |= action.choices
    return found


def all_parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield a parser and all below it."""
    yield parser
    for one in subcommands(parser).values():
        yield from all_parsers(one)


def test_topics_are_all_documented_with_an_example() -> None:
    """docs/mqtt.md has each topic that the daemon reads or writes, and no other; the table and the sections agree."""
    inputs = [topic.replace("+", "<area>") for topic in native.INPUTS]
    table = re.findall(r"(?m)^\| \[`voice_rl/([^`]+)`\]\(#([^)]+)\)", TOPICS.read_text(encoding="utf-8"))

    assert {*inputs, *OUTPUTS, "state/<domain>/<object_id>/<name>"} == set(read_topics())
    assert [topic for topic, _ in table] == list(read_topics())
    assert [anchor for _, anchor in table] == [re.sub(r"[^\w]", "", f"voice_rl{topic}") for topic, _ in table]


@pytest.mark.parametrize("topic", sorted(READERS))
def test_examples_of_inputs_are_read_by_the_daemon(topic: str) -> None:
    """What docs/mqtt.md shows for an input is what the native door reads."""
    READERS[topic](read_topics()[topic][1].strip().encode())


def test_examples_of_outputs_parse() -> None:
    """What docs/mqtt.md shows as JSON is JSON."""
    for kind, text in read_topics().values():
        if kind == "json":
            assert isinstance(json.loads(text), dict)


def test_example_of_a_decision_has_the_keys_of_a_decision() -> None:
    """The decision in docs/mqtt.md has the keys that a Decision writes."""
    from voice_rl_plugin.domain.decision import Decision  # noqa: PLC0415 - beside its only use
    from voice_rl_plugin.domain.utterance import Utterance  # noqa: PLC0415

    decision = Decision(id="d", utterance=Utterance(text="x"), language="en", outcome="act")

    assert json.loads(read_topics()["decision"][1]).keys() == decision.to_payload().keys()


def test_example_configuration_is_right() -> None:
    """examples/voice_rl.yaml is read without a complaint, its commented keys exist, and it differs from the defaults only where it must."""
    path = ROOT / "examples" / "voice_rl.yaml"
    config = load_config(path, environ={})
    uncommented = re.sub(r"(?m)^  # (\w+: \S+)$", r"  \1", path.read_text(encoding="utf-8"))

    assert config.to_mapping() | {"safety": None} == Config().to_mapping() | {"safety": None}
    assert set(yaml.safe_load(uncommented)) <= set(Config().to_mapping())
    for section, values in yaml.safe_load(uncommented).items():
        assert set(values) <= set(Config().to_mapping()[section])


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_blocks_of_documents_parse(path: Path) -> None:
    """Every yaml and json block parses, and every `voice-rl` command in a sh block exists."""
    for block in blocks(path, "yaml"):
        yaml.load(block, Loader=TagLoader)  # noqa: S506 - a SafeLoader that lets `!include` be
    for block in blocks(path, "json"):
        json.loads(block)
    known = subcommands(build_parser())
    for words in (words for block in blocks(path, "sh") for words in commands_in(block)):
        if words and not words[0].startswith("-"):
            assert words[0] in known, f"{path.name}: voice-rl {' '.join(words)}"


class TagLoader(yaml.SafeLoader):
    """Reads what Home Assistant's tags stand before as text."""


TagLoader.add_multi_constructor("!", lambda _loader, _suffix, node: str(node.value))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_of_documents_lead_somewhere(path: Path) -> None:
    """A relative link names a file that is there."""
    text = re.sub(r"(?ms)^```.*?^```", "", path.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:|#", target):
            assert (path.parent / target.partition("#")[0]).exists(), target


def test_adrs_are_numbered_and_one_page() -> None:
    """Decision records are numbered without a gap, say their status, question, decision and evidence, and fit on a page."""
    paths = sorted((ROOT / "docs" / "adr").glob("*.md"))

    assert [int(path.name[:3]) for path in paths] == list(range(1, len(paths) + 1))
    for path in paths:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {path.name[:3]}: ")
        assert "**Status**" in text
        assert [head for head in ("## Question", "## Decision", "## Evidence") if head not in text] == []
        assert len(text.split()) < 600, path.name


def test_every_command_shows_an_example() -> None:
    """Every parser of voice-rl ends its help with an example that starts with its own name."""
    for parser in all_parsers(build_parser()):
        assert parser.epilog is not None, parser.prog
        assert parser.prog in " ".join(parser.epilog.split()), parser.prog


def test_every_example_of_a_command_is_accepted() -> None:
    """Each example in a help text is a command line that its own parser takes."""
    for parser in all_parsers(build_parser()):
        examples = list(commands_in(parser.epilog or ""))
        assert examples, parser.prog
        for words in examples:
            assert callable(build_parser().parse_args(words).run), f"{parser.prog}: voice-rl {' '.join(words)}"


def test_version_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """`voice-rl --version` says the version of the package, and ends well."""
    with pytest.raises(SystemExit) as ended:
        main(["--version"])

    assert (ended.value.code, capsys.readouterr().out) == (0, f"voice-rl {__version__}\n")


def test_no_file_names_a_machine_or_an_index() -> None:
    """Scripts, settings and documents name no package index and no folder of somebody's machine."""
    spoken: list[Any] = [*DOCUMENTS, ROOT / "pyproject.toml", ROOT / "constraints.txt", ROOT / "Makefile"]
    spoken += [path for folder in ("scripts", "examples", ".ci") for path in (ROOT / folder).rglob("*") if path.is_file()]
    wrong = re.compile("|".join(["pypi" + r"\.org", "--(extra-)?index" + "-url", "/ho" + "me/", "/ro" + "ot/", "/wo" + "rk/"]))

    assert [(path.name, found[0]) for path in spoken if (found := wrong.search(path.read_text(encoding="utf-8", errors="ignore")))] == []
