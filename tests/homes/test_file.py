"""Home files: read, or refused in one line with the place."""

import json
from pathlib import Path

import pytest

from voice_rl_plugin import cli
from voice_rl_plugin.commands.home import compare_homes, find_doubts
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.errors import ConfigError
from voice_rl_plugin.homes.file import load_home
from voice_rl_plugin.homes.last_good import LastGoodHome
from voice_rl_plugin.homes.merge import merge_homes

EXAMPLES = Path(__file__).parents[2] / "examples"
SHIPPED = Path(__file__).parents[2] / "voice_rl_plugin" / "demo" / "homes"


@pytest.mark.parametrize("name", ["home.en.yaml", "home.zh.yaml"])
def test_example_home_is_the_shipped_one_and_valid(name: str) -> None:
    """The example is the demo's home, letter for letter, and round-trips."""
    home = load_home(EXAMPLES / name)

    assert (EXAMPLES / name).read_bytes() == (SHIPPED / name).read_bytes()
    assert Home.from_mapping(home.to_mapping()) == home
    assert (len(home.floors), len(home.areas)) == (2, 5)


def test_example_homes_are_the_same_home() -> None:
    """English and Chinese differ in words only."""
    english, chinese = (load_home(EXAMPLES / f"home.{language}.yaml") for language in ("en", "zh"))

    assert [(one.id, one.area) for one in english.entities] == [(one.id, one.area) for one in chinese.entities]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("entities: [", "no valid YAML"),
        ("entities: 3", "expected a list"),
        ("entitys: []", "did you mean 'entities'?"),
        ("entities: [{id: light.a, name: A, area: attic}]", "'attic' is not defined"),
        ("entities: [{id: light.a}]", "light.a: name: expected a text"),
        ("[]", "expected a mapping"),
        ("a: !!python/object/apply:os.system [x]", "no valid YAML"),
    ],
)
def test_wrong_home_file_is_refused_with_the_place(tmp_path: Path, text: str, part: str) -> None:
    """One line names the file and what is wrong in it."""
    path = tmp_path / "home.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError) as caught:
        load_home(path)
    assert str(path) in str(caught.value)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unreadable_home_file_is_refused(tmp_path: Path) -> None:
    """A missing file, another encoding and broken JSON are said in one line."""
    (tmp_path / "latin.yaml").write_bytes(b"language: \xe9")
    (tmp_path / "home.json").write_text('{"language": }')

    for name, part in (("none.yaml", "cannot be read"), ("latin.yaml", "expected UTF-8"), ("home.json", ":1:14: no valid JSON")):
        with pytest.raises(ConfigError, match=part):
            load_home(tmp_path / name)


def test_last_good_home_survives_and_damage_is_left_out(tmp_path: Path) -> None:
    """What was saved is loaded; a damaged file counts as none."""
    cache, home = LastGoodHome(tmp_path / "deep" / "home.json"), load_home(EXAMPLES / "home.zh.yaml")

    assert cache.load() is None
    cache.save(home)
    assert cache.load() == home
    assert [one.name for one in (tmp_path / "deep").iterdir()] == ["home.json"]
    (tmp_path / "deep" / "home.json").write_text("{")
    assert cache.load() is None


def test_merge_prefers_the_first_and_completes_from_the_second() -> None:
    """Same id, else same unique_id, is the same entity; same name is not."""
    file = Home.from_mapping({"areas": [{"id": "k", "name": "K"}], "entities": [{"id": "light.a", "name": "Mine", "unique_id": "u1"}]})
    topic = Home.from_mapping(
        {
            "areas": [{"id": "k", "name": "Kitchen"}, {"id": "h", "name": "Hall"}],
            "entities": [
                {"id": "light.a", "name": "Theirs", "aliases": ["x"], "area": "h", "abilities": ["on_off"]},
                {"id": "light.renamed", "name": "Again", "unique_id": "u1"},
                {"id": "light.b", "name": "Mine"},
            ],
        }
    )

    merged = merge_homes([file, topic])

    assert [one.id for one in merged.entities] == ["light.a", "light.b"]
    first = merged.entities[0]
    assert (first.name, first.aliases, first.area, first.abilities) == ("Mine", ("x",), "h", frozenset({"on_off"}))
    assert [one.name for one in merged.areas] == ["K", "Hall"]
    assert merge_homes([file]) == file
    assert merge_homes([]) == Home()


def test_doubts_and_differences_are_found() -> None:
    """Double names and things without a place are named; a diff lists what came, went and changed."""
    old = Home.from_mapping({"entities": [{"id": "light.a", "name": "X"}, {"id": "light.b", "name": "x"}]})
    new = Home.from_mapping({"entities": [{"id": "light.a", "name": "Y"}, {"id": "light.c", "name": "Z"}]})

    assert "2 entities" in find_doubts(old)[0]
    assert compare_homes(old, new) == (["light.c"], ["light.b"], {"light.a": ["name"]})


def test_home_commands_print(capsys: pytest.CaptureFixture[str]) -> None:
    """`home show` prints the mapping as JSON, `home diff` is silent about equal homes."""
    path = str(EXAMPLES / "home.en.yaml")

    assert cli.main(["home", "show", path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["language"] == "en"
    assert cli.main(["home", "diff", path, path]) == 0
    assert cli.main(["home", "show", path]) == 0
    assert "Kitchen (kitchen, Ground Floor)" in capsys.readouterr().out
    assert cli.main(["home", "show", "/nowhere.yaml"]) == 2
