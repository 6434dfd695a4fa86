"""`voice-rl bench` measures what it says it measures; how fast that is, no test decides."""

import json
from pathlib import Path

import pytest

from tests.mosquitto import Watcher, running_mosquitto
from voice_rl_plugin.cli import main
from voice_rl_plugin.commands._bench_home import KINDS, LANGUAGES, make_home, make_sentences
from voice_rl_plugin.commands.bench import quantile
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.learning.models import BASE_FOLDER

needs_model = pytest.mark.skipif(not (BASE_FOLDER / "policy.onnx").exists(), reason="no base model in this checkout")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("entities", [1, 50, 1000])
def test_home_is_as_large_as_asked_and_always_the_same(entities: int, language: str) -> None:
    """A made home has exactly so many entities, survives its mapping form, and is made equally twice."""
    home = make_home(entities, language)

    assert len(home.entities) == len({e.id for e in home.entities}) == entities
    assert Home.from_mapping(home.to_mapping()) == home
    assert make_home(entities, language) == home


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_are_a_fixed_mixture(language: str) -> None:
    """Sentences go round the kinds, name what the home has, speak from its areas, and are the same each time."""
    home = make_home(50, language)
    sentences = make_sentences(home, language, 90)

    assert [s.kind for s in sentences[: len(KINDS)]] == list(KINDS)
    assert all(s.area is None or s.area in home.area_by_id for s in sentences)
    assert not [s.text for s in sentences if "{" in s.text]
    assert len({s.text for s in sentences}) > 60
    assert make_sentences(home, language, 90) == sentences


def test_home_of_no_entity_is_refused() -> None:
    """A home needs an entity, and a language that we speak."""
    with pytest.raises(ValueError, match="at least 1"):
        make_home(0, "en")
    with pytest.raises(ValueError, match="one of"):
        make_home(5, "fr")


def test_quantile_by_hand() -> None:
    """The median and the highest of known values, in any order."""
    values = [float(n) for n in (5, 1, 4, 2, 3)]

    assert quantile(values, 0.5) == 3.0
    assert quantile(values, 0.99) == 5.0


@needs_model
def test_decide_reports_every_home(capsys: pytest.CaptureFixture[str]) -> None:
    """One row a size and language; the smallest home of a language is the unit of its ratios."""
    code = main(["bench", "decide", "--entities", "10,20", "--language", "en,zh", "--runs", "2", "--json"])
    report = json.loads(capsys.readouterr().out)

    assert code == 0
    assert "cores" in report["machine"]
    assert [(r["language"], r["entities"]) for r in report["rows"]] == [("en", 10), ("en", 20), ("zh", 10), ("zh", 20)]
    assert all(0 < r["network_ms"] < r["median_ms"] <= r["p99_ms"] for r in report["rows"])
    assert [r["times_smallest"] for r in report["rows"] if r["entities"] == 10] == [1.0, 1.0]


@needs_model
def test_decide_takes_a_home_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A home file is measured as it is, in its own language; one without entities is a wrong setup."""
    (tmp_path / "home.json").write_text(json.dumps(make_home(12, "zh").to_mapping()))
    (tmp_path / "empty.json").write_text("{}")

    assert main(["bench", "decide", "--home", str(tmp_path / "home.json"), "--runs", "1"]) == 0
    assert "| voice-rl | zh | 12 |" in capsys.readouterr().out
    assert main(["bench", "decide", "--home", str(tmp_path / "empty.json")]) == 2


@needs_model
def test_peers_are_measured_on_the_same_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    """With --peers, hassil stands beside each of our rows."""
    pytest.importorskip("hassil")
    pytest.importorskip("home_assistant_intents")

    assert main(["bench", "decide", "--entities", "20", "--language", "en", "--runs", "1", "--peers", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [r["program"] for r in rows] == ["voice-rl", "hassil"]
    assert all(r["understood_pct"] > 0 for r in rows)


@pytest.mark.parametrize("arguments", [["--entities", "0"], ["--entities", "x"], ["--language", "fr"], ["--runs", "-1"]])
def test_wrong_arguments_are_named(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A size, a language or a number of runs that makes no sense ends with 2 and says what was expected."""
    with pytest.raises(SystemExit) as ended:
        main(["bench", "decide", *arguments])

    assert ended.value.code == 2
    assert "expected" in capsys.readouterr().err


@needs_model
def test_mqtt_times_both_and_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On a broker that is already there, daemon and echo both answer, every figure is there, and no retained message stays."""
    with running_mosquitto(tmp_path) as server:
        code = main(["bench", "mqtt", "--host", "127.0.0.1", "--port", str(server.port), "--commands", "20", "--entities", "50", "--json"])
        row = json.loads(capsys.readouterr().out)
        watcher = Watcher(server.port, name="after")
        watcher.publish("last", "word")
        watcher.wait_topic("last")
        left = [m.topic for m in watcher.seen if m.retain]
        watcher.close()

    assert code == 0
    assert row["lost"] == 0
    assert 0 < row["echo_median_ms"] < row["daemon_median_ms"]
    assert 0 < row["kept_median_ms"] < row["daemon_median_ms"]
    assert row["row_bytes"] > 500
    assert 0 < row["daemon_per_s"] < row["kept_per_s"]
    assert row["daemon_median_ms"] > row["decision_median_ms"] > 0
    assert row["cold_start_s"] > 0
    assert left == []


def test_mqtt_without_a_broker_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that is not there is one line and exit code 2."""
    monkeypatch.setattr("voice_rl_plugin.commands._bench_lab.START_S", 0.3)

    assert main(["bench", "mqtt", "--host", "127.0.0.1", "--port", "1", "--commands", "1"]) == 2
    assert "no broker at 127.0.0.1:1" in capsys.readouterr().err
