"""`voice-rl home`: each source by its word, what is hidden, and what differs."""

import json
from pathlib import Path

import pytest

from tests.homes.replay import Player, playing
from voice_rl_plugin import cli

FILE = """\
areas: [{id: kitchen, name: Kitchen}]
entities: [{id: light.counter_bar, name: My Bar, area: kitchen}, {id: light.shed, name: Shed}]
"""


def configure(folder: Path, text: str) -> str:
    """Write a configuration and return its path."""
    (folder / "home.yaml").write_text(FILE)
    (folder / "token").write_text("TOKEN")
    path = folder / "voice_rl.yaml"
    path.write_text(f"store: {{path: {folder}/store}}\n{text}")
    return str(path)


def run(*words: str) -> int:
    """Run `voice-rl home`."""
    return cli.main(["home", *words])


def test_home_assistant_is_shown_without_what_it_hides(tmp_path: Path, asked: Player, capsys: pytest.CaptureFixture[str]) -> None:
    """The exposed devices by area with their aliases, the satellite, and how many are hidden."""
    with playing(asked) as address:
        config = configure(tmp_path, f"home: {{home_assistant: '{address}', token_file: {tmp_path}/token, risky_label: voice risky}}")
        assert run("show", "home-assistant", "--config", config) == 0
    shown = capsys.readouterr().out

    assert "Kitchen (kitchen, Ground Floor) [厨房]\n" in shown
    assert "  light.counter_bar  Counter Bar [bar, 吧台灯]\n" in shown
    assert "  switch.kettle  Kettle  (risky)\n" in shown
    assert "satellite assist_satellite.kitchen_satellite in kitchen" in shown
    assert "lock.front_door" not in shown
    assert "entities are not exposed; --all shows them" in shown


def test_diff_compares_what_the_daemon_knew_with_what_is_so_now(tmp_path: Path, asked: Player, capsys: pytest.CaptureFixture[str]) -> None:
    """Without arguments: what came, went and changed since the daemon looked last; the file still wins."""
    with playing(asked) as address:
        config = configure(tmp_path, f"home: {{file: {tmp_path}/home.yaml, home_assistant: '{address}', token_file: {tmp_path}/token}}")
        kept = tmp_path / "store" / "last_good_home.json"
        kept.parent.mkdir()
        kept.write_text(json.dumps({"entities": [{"id": "light.old", "name": "Old"}, {"id": "light.counter_bar", "name": "Counter Bar"}]}))
        assert run("diff", "--config", config) == 1
    lines = capsys.readouterr().out.splitlines()

    assert "- light.old" in lines
    assert "+ light.shed" in lines
    assert "+ cover.blind" in lines
    assert "~ light.counter_bar: abilities, aliases, area, attributes, name, unique_id" in lines
    assert "+ area kitchen" in lines


def test_hidden_entities_are_compared_on_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was exposed and is not any more went; with --all it changed."""
    for name, exposed in (("old", "true"), ("new", "false")):
        (tmp_path / f"{name}.yaml").write_text(f"entities: [{{id: light.a, name: A, exposed: {exposed}}}]")

    assert run("diff", f"{tmp_path}/old.yaml", f"{tmp_path}/new.yaml") == 1
    assert capsys.readouterr().out == "- light.a\n"
    assert run("diff", f"{tmp_path}/old.yaml", f"{tmp_path}/new.yaml", "--all") == 1
    assert capsys.readouterr().out == "~ light.a: exposed\n"
    assert run("show", f"{tmp_path}/new.yaml", "--all") == 0
    assert "light.a  A  (not exposed)" in capsys.readouterr().out


def test_file_and_topic_are_found_by_their_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The home file, what came on the topic, and both together."""
    config = configure(tmp_path, f"home: {{file: {tmp_path}/home.yaml}}")
    kept = tmp_path / "store" / "topic_home.json"
    kept.parent.mkdir()
    kept.write_text(json.dumps({"entities": [{"id": "light.counter_bar", "name": "Bar"}, {"id": "fan.a", "name": "Fan"}]}))
    shown = {}
    for word in ("file", "topic", "now"):
        assert run("show", word, "--config", config, "--json") == 0
        shown[word] = {one["id"]: one["name"] for one in json.loads(capsys.readouterr().out)["entities"]}

    assert shown["file"] == {"light.counter_bar": "My Bar", "light.shed": "Shed"}
    assert shown["topic"] == {"light.counter_bar": "Bar", "fan.a": "Fan"}
    assert shown["now"] == {"light.counter_bar": "My Bar", "light.shed": "Shed", "fan.a": "Fan"}


@pytest.mark.parametrize(
    ("words", "text", "message"),
    [
        (["show"], "", "home: now: expected home.file or home.home_assistant"),
        (["show", "file"], "", "home: file: expected home.file"),
        (["show", "home-assistant"], "", "home: home-assistant: expected home.home_assistant"),
        (["show", "last"], "", "home: last: the daemon has kept none"),
        (["show", "topic"], "", "home: topic: the daemon has kept none"),
        (["diff", "nowhere.yaml"], "", "nowhere.yaml: cannot be read"),
        (["show", "home-assistant"], "home: {home_assistant: 'http://127.0.0.1:9', token_file: FOLDER/token}", "cannot be reached"),
        (
            ["show", "home-assistant"],
            "home: {home_assistant: 'http://127.0.0.1:9', token_file: FOLDER/none}",
            "home.token_file: expected a readable",
        ),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], text: str, message: str
) -> None:
    """A source that is not configured or cannot be asked is one line on stderr and exit code 2."""
    config = configure(tmp_path, text.replace("FOLDER", str(tmp_path)))

    assert run(*words, "--config", config) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
