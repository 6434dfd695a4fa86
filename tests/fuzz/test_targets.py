"""Every reader of foreign bytes under hypothesis, and every input that fuzzing has ever found, as it was found."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TOPICS, Target, targets, write_archive
from voice_rl_plugin.doors import native
from voice_rl_plugin.errors import ConfigError, StoreError
from voice_rl_plugin.homes.file import load_home
from voice_rl_plugin.learning.archive import import_archive
from voice_rl_plugin.learning.store import ExperienceStore

FOUND = Path(__file__).parent / "found"
TARGETS = targets()
BY_NAME = {one.name: one for one in TARGETS}
EXAMPLES = {"decisions": 25, "archive_rows": 25, "words": 50}
HEADS = st.binary(max_size=1)
"""Several targets take their first byte as a choice."""

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
KEYS = (
    "text id language area device_id satellite_id session_id user at decision_id verdict correction choice step ok error version name aliases "
    "floors areas entities satellites files gate metrics abilities attributes supported_color_modes supported_features members state say want "
    "want_any after group mqtt port host models path decision utterance previous states actions service targets data ieee_address friendly_name definition exposes features property access "
    "value_max value_on command_topic state_topic platform schema payload_on modes position_open brightness_scale"
).split()


@st.composite
def objects(draw: st.DrawFn) -> bytes:
    """Return JSON with our own keys and foreign values, which reaches further than bytes."""
    known = st.dictionaries(
        st.sampled_from(KEYS), VALUES | st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5), max_size=3), max_size=6
    )
    return json.dumps(draw(known)).encode()


@st.composite
def mutations(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """Return a right input with a part cut out, doubled or overwritten."""
    seed = draw(st.sampled_from(seeds))
    start = draw(st.integers(0, len(seed)))
    end = draw(st.integers(start, len(seed)))
    return seed[:start] + draw(st.binary(max_size=20) | st.just(seed[start:end] * 2)) + seed[end:]


@pytest.mark.parametrize("target", TARGETS, ids=lambda one: one.name)
def test_target_reads_its_seeds(target: Target) -> None:
    """What is right is read without an error."""
    assert target.seeds
    for seed in target.seeds:
        target.run(seed)


@pytest.mark.parametrize("target", TARGETS, ids=lambda one: one.name)
def test_target_reads_or_refuses_anything(target: Target) -> None:
    """Any bytes, any JSON of our keys, and any damage to what was right end in a value or in our own error."""

    @settings(max_examples=EXAMPLES.get(target.name, 100), deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.tuples(HEADS, st.binary(max_size=200) | objects()).map(b"".join) | mutations(target.seeds))
    def check(data: bytes) -> None:
        target.run(data)

    check()


@pytest.mark.parametrize("path", sorted(FOUND.iterdir()), ids=lambda path: path.name)
def test_found_stays_mended(path: Path) -> None:
    """An input that once ended in an error that nobody had promised is now read or refused; its target is the first part of its name."""
    BY_NAME[path.name.rpartition("-")[0]].run(path.read_bytes())


def test_every_topic_is_fuzzed() -> None:
    """Each input topic of the daemon is one that the loop's target sends on; training is parsed only, since it would start a process."""
    sent = {topic.partition("/")[0] if topic.startswith(("command", "confirm")) else topic for topic in TOPICS}

    assert {one.partition("/")[0] if one.startswith(("command", "confirm")) else one for one in native.INPUTS} - sent == {"train/set"}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("home.yaml", "areas: [{id: a, name: A}]\nlanguage: 2026-13-45", "cannot be read"),
        ("home.yaml", "entities: [{id: light.a, name: A, attributes: {since: 2026-01-01}}]", "put a date into quotes"),
        ("home.yaml", "language: 0x" + "f" * 5000, "expected texts, numbers"),
        ("home.yaml", "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 10)}]\n" for n in range(9)), "at most"),
        ("home.yaml", "a: &a [*a]", "at most"),
        ("home.json", '{"language": ' + "9" * 5000 + "}", "cannot be read"),
        ("home.json", '{"areas": [{"id": "a", "name": "\\ud800"}]}', "surrogate"),
        ("home.json", '{"language": NaN}', "expected texts, numbers"),
    ],
)  # fmt: skip
def test_home_file_that_could_not_be_kept_is_refused(tmp_path: Path, name: str, text: str, words: str) -> None:
    """A date, a monstrous number, half a character, and aliases that stand for billions of values are one clear error, at once."""
    (tmp_path / name).write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError, match=words):
        load_home(tmp_path / name)


def test_light_with_strange_colour_modes_is_read(tmp_path: Path) -> None:
    """Colour modes that are no texts say nothing."""
    (tmp_path / "home.json").write_text(
        '{"entities": [{"id": "light.a", "name": "A", "attributes": {"supported_color_modes": [["xy"], {}]}}]}'
    )

    assert load_home(tmp_path / "home.json").entities[0].abilities == {"on_off"}


@pytest.mark.parametrize("row", [b"[" * 3000, b"[]", b"{}", b"null", b"1", b'{"decision": {}}', b'"x"', b"\xff"])
def test_archive_with_foreign_rows_is_refused_whole(tmp_path: Path, row: bytes) -> None:
    """Rows that are none of ours, inside a frame with right checksums, add nothing."""
    with ExperienceStore(tmp_path / "store") as store:
        for members in ([row], [b"", row], [b"", b"", row]):
            with pytest.raises(StoreError, match="not an archive"):
                import_archive(store, write_archive(tmp_path / "a.zip", members))
        assert store.count() == (0, 0)
        assert store.load_memory() == ()
