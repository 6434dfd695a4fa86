"""Human sentences: intents of other people's data sets read as moods, operations and properties."""

import json
from pathlib import Path
from typing import Any

import pytest

from voice_rl_plugin.domain.frame import MOODS, OPERATIONS, PROPERTIES, TAGS
from voice_rl_plugin.errors import ConfigError
from voice_rl_training.corpus.human import label_of, main, read_sentences, report, skeleton


def _row(text: str, intent: str, *, source: str = "hwu64", lang: str = "en", original: str = "x", **slots: Any) -> dict[str, Any]:
    return {
        "id": text,
        "text": text,
        "lang": lang,
        "language": "zh" if lang.startswith("zh") else "en",
        "intent": intent,
        "slots": slots,
        "source": source,
        "original_intent": original,
        "meta": {},
    }


def _write(folder: Path, rows: list[dict[str, Any]]) -> Path:
    (folder / "sample.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("row", "label"),
    [
        (_row("turn on the porch lamp", "HassTurnOn", domain="light"), ("command", "turn_on", "power")),
        (_row("lock the back door", "HassTurnOn", source="home-llm", domain="lock"), ("command", "lock", "lock")),
        (_row("unlock the back door", "HassTurnOff", source="home-llm", domain="lock"), ("command", "unlock", "lock")),
        (_row("raise the study blinds", "HassTurnOn", source="home-llm", domain="cover"), ("command", "open", "position")),
        (_row("lower the study blinds", "HassTurnOff", source="home-llm", domain="cover"), ("command", "close", "position")),
        (_row("make it louder", "HassSetVolume", source="had_device_actions"), ("command", "raise", "volume")),
        (_row("set the volume to 4", "HassSetVolume"), ("command", "set", "volume")),
        (_row("decrease the volume by ten percent", "HassSetVolume"), ("command", "lower", "volume")),
        (_row("把音量调到三十", "HassSetVolume", lang="zh-CN"), ("command", "set", "volume")),
        (_row("降低音響音量", "HassSetVolumeRelative", lang="zh-TW"), ("command", "lower", "volume")),
        (_row("太吵了", "HassSetVolumeRelative", lang="zh-CN"), ("wish", "lower", "volume")),
        (_row("dim the lamps a bit", "LightBrightnessRelative", original="iot_hue_lightdim"), ("command", "lower", "brightness")),
        (_row("把灯调亮一点", "LightBrightnessRelative", lang="zh-CN", original="iot_hue_lightup"), ("command", "raise", "brightness")),
        (_row("this is too bright", "LightBrightnessRelative", original="iot_hue_lightdim"), ("wish", "lower", "brightness")),
        (_row("make the lamps blue", "HassLightSet", color="blue"), ("command", "set", "color")),
        (_row("把客厅的灯改成绿色", "HassLightSet", lang="zh-CN"), ("command", "set", "color")),
        (_row("set the lamp to forty percent", "HassLightSet", value="to forty percent"), ("command", "set", "brightness")),
        (_row("romantic light setting please", "HassLightSet"), ("command", None, None)),
        (_row("静音", "HassMediaPlayerMute", lang="zh-CN"), ("command", "mute", "volume")),
        (_row("start the vacuum", "HassVacuumStart"), ("command", "start", "cleaning")),
        (_row("start the vacuum at nine am", "HassVacuumStart"), ("scheduled", "start", "cleaning")),
        (_row("十秒内关掉卧室的灯", "HassTurnOff", lang="zh-CN", domain="light"), ("scheduled", "turn_off", "power")),
        (_row("is the back door locked", "HassGetState", source="home-llm"), ("question", "query", "state")),
        (_row("wake me at six", "AlarmSet"), ("command", "handover", "timer")),
        (_row("明天天气怎么样", "HassGetWeather", lang="zh-CN"), ("command", "handover", "weather")),
        (_row("play some jazz", "HassMediaSearchAndPlay"), ("command", "handover", "search")),
        (_row("that was wrong", "FeedbackNegate"), ("feedback", "no", "none")),
        (_row("never mind", "HassNevermind"), ("feedback", "cancel", "none")),
        (_row("book me a flight", "OUT_OF_SCOPE"), ("chat", "none", "none")),
        (_row("it's dark in here", "HassTurnOn", domain="light"), ("wish", None, None)),
        (_row("shuffle the songs", "SmartHomeUnresolved"), None),
        (_row("toggle the den lamp and open the gate", "MultiAction", source="home-llm"), None),
        (_row("关灯", "HassTurnOn", lang="zh-CN", domain="light"), None),
        (_row("how do i start the vacuum", "HassVacuumStart"), None),
        (_row("do not turn on the lamp", "HassTurnOff", domain="light"), None),
        (_row("turn the fan off and open the blinds", "HassTurnOff", domain="fan"), None),
        (_row("apaga la luz del pasillo", "HassTurnOff", source="had_device_actions", domain="light"), None),
    ],
    ids=lambda value: value["text"] if isinstance(value, dict) else "",
)
def test_label_of_looks_at_the_words_as_well_as_the_intent(row: dict[str, Any], label: tuple[str, str, str] | None) -> None:
    """An intent becomes what its sentence says; what contradicts it, or cannot be read, is left out or masked."""
    assert label_of(row) == label


def test_read_sentences_leaves_out_texts_with_two_labels_and_doubles(tmp_path: Path) -> None:
    """A text that two sources label differently is no evidence; the same text twice counts once."""
    folder = _write(
        tmp_path,
        [
            _row("be silent", "HassMediaPlayerMute"),
            _row("Be silent!", "HassNevermind"),
            _row("lamp on", "HassTurnOn", domain="light"),
            _row("lamp on", "HassTurnOn", domain="light"),
        ],
    )

    assert [sentence.text for sentence in read_sentences(folder)] == ["lamp on"]


def test_read_sentences_gives_spans_that_the_tagger_can_learn(tmp_path: Path) -> None:
    """Names, rooms and values keep their characters; a bare noun is a class, a value loses its "to" and keeps its unit."""
    row = _row("Set Bob's lamp in the den to 40 percent", "HassLightSet", source="had_device_actions", brightness=40)
    row["spans"] = {"name": [4, 14], "area": [22, 25], "brightness": [29, 31]}
    other = _row("all lights off in the attic", "HassTurnOff", domain="light")
    other["spans"] = {"area": [22, 27]}

    first, second = read_sentences(_write(tmp_path, [row, other]))

    assert first.tags() == ("O", "NAME", "NAME", "O", "O", "AREA", "O", "VALUE", "VALUE")
    assert second.tags() == ("QUANTIFIER", "CLASS", "O", "O", "O", "AREA")


def test_read_sentences_keeps_translations_and_near_duplicates_on_one_side(tmp_path: Path) -> None:
    """A sentence, its translation, and the same with another value share a group and a split."""
    english = _row("set the lamp to forty percent", "HassLightSet")
    chinese = _row("把灯调到百分之四十", "HassLightSet", lang="zh-CN", source="massive")
    english["meta"] = chinese["meta"] = {"slurp_id": 9}
    near = _row("please set the lamp to fifty percent", "HassLightSet", source="slurp")

    sentences = read_sentences(_write(tmp_path, [english, chinese, near]))

    assert len({sentence.group for sentence in sentences}) == 1
    assert [sentence.language for sentence in sentences] == ["en", "zh", "en"]


def test_read_sentences_splits_by_whole_groups_and_repeats_itself(tmp_path: Path) -> None:
    """About eight in a hundred are held out, never half a group, and always the same ones."""
    rows = [_row(f"tell me {word} {other}", "OUT_OF_SCOPE") for word in "abcdefghijklmno" for other in "pqrstuvwxyz"]
    folder = _write(tmp_path, rows)

    sentences = read_sentences(folder)

    assert sentences == read_sentences(folder)
    dev = {sentence.group for sentence in sentences if sentence.is_dev}
    assert dev.isdisjoint({sentence.group for sentence in sentences if not sentence.is_dev})
    assert 0.04 <= sum(sentence.is_dev for sentence in sentences) / len(sentences) <= 0.09


def test_read_sentences_uses_the_label_space_of_the_frames(tmp_path: Path) -> None:
    """Every part is a word of domain/frame.py or unknown; tags are tags."""
    rows = [
        _row("turn on the den lamp", "HassTurnOn", domain="light"),
        _row("make it blue", "HassLightSet", color="blue"),
        _row("no", "FeedbackNegate"),
    ]
    rows[0]["spans"] = {"area": [12, 15]}

    for sentence in read_sentences(_write(tmp_path, rows)):
        assert sentence.mood in (*MOODS, None)
        assert sentence.operation in (*OPERATIONS, None)
        assert sentence.property in (*PROPERTIES, None)
        assert 0.0 < sentence.weight <= 1.0
        assert {tag for _, _, tag in sentence.spans} <= set(TAGS)


def test_read_sentences_names_the_place_of_a_broken_line(tmp_path: Path) -> None:
    """An empty folder and a line that is no sentence are configuration errors."""
    with pytest.raises(ConfigError, match="JSONL"):
        read_sentences(tmp_path)
    (tmp_path / "broken.jsonl").write_text('{"text": "hi"}\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"broken\.jsonl:1"):
        read_sentences(tmp_path)


def test_report_counts_labels_with_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The report and the command name each label, its count and some sentences."""
    folder = _write(tmp_path, [_row("关灯", "HassTurnOff", lang="zh-CN", domain="light")])

    assert "command turn_off power zh: 1" in report(read_sentences(folder))
    assert main([str(folder)]) == 0
    assert "关灯" in capsys.readouterr().out
    assert main([str(folder / "nowhere")]) == 2
    assert main([]) == 2


def test_skeleton_drops_values_politeness_and_names() -> None:
    """Near-duplicates have the same skeleton, whatever their order, values and courtesy."""
    assert skeleton("please set the lamp to forty percent") == skeleton("set lamp to 70") == "lamp set"
    assert skeleton("请把灯调到百分之四十") == skeleton("把灯调到百分之六十吧")
    assert skeleton("turn off Bob's lamp", [(9, 19)]) == "off turn"
