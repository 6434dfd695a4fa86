"""Shards: packed without loss, and the same bytes for the same seed."""

from pathlib import Path

import numpy as np
import pytest

from tests.training.makers import HOME
from voice_rl_plugin.domain.frame import MOODS, OPERATIONS, TAGS
from voice_rl_plugin.understanding.features import LEXICAL, NGRAM_IDS, WORD_IDS
from voice_rl_training.corpus.build import UNKNOWN, CorpusPlan, build, build_shard, human_row, labels_of, load_shards, pack, samples_of
from voice_rl_training.corpus.human import HumanSentence
from voice_rl_training.corpus.samples import Stage

PLAN = CorpusPlan(seed=3, homes=2, use="encoder", templates=False)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    """A shard is a function of its plan."""
    one, two = build_shard(PLAN, tmp_path / "a.npz"), build_shard(PLAN, tmp_path / "b.npz")
    other = build_shard(CorpusPlan(seed=4, homes=2, use="encoder", templates=False), tmp_path / "c.npz")

    assert one.read_bytes() == two.read_bytes()
    assert one.read_bytes() != other.read_bytes()
    assert not list(tmp_path.glob("*.partial*"))


def test_a_shard_that_is_there_is_kept(tmp_path: Path) -> None:
    """An interrupted run goes on: nothing is made twice."""
    (tmp_path / "a.npz").write_bytes(b"kept")

    assert build_shard(PLAN, tmp_path / "a.npz").read_bytes() == b"kept"


def test_a_pool_makes_what_one_process_makes(tmp_path: Path) -> None:
    """Shards made by other processes are the same bytes."""
    (made,) = build([(PLAN, tmp_path / "pool" / "a.npz")], [], processes=1)

    assert made.read_bytes() == build_shard(PLAN, tmp_path / "a.npz").read_bytes()


def test_packing_loses_nothing() -> None:
    """Lengths, rows and labels of the pack are those of the samples, end to end."""
    made = list(samples_of(PLAN, "zh"))
    arrays = pack([(one.observation(), labels_of(one)) for one in made])
    total = sum(len(one.words) for one in made)

    assert arrays["lengths"].tolist() == [len(one.words) for one in made]
    assert arrays["ids"].shape == (total, WORD_IDS)
    assert arrays["ngrams"].shape == (total, NGRAM_IDS)
    assert arrays["lexical"].shape == (total, LEXICAL)
    assert [TAGS[i] for i in arrays["tags"]] == [tag for one in made for tag in one.tags]
    assert arrays["ids"].dtype == np.int16
    assert (arrays["ids"] >= 0).all()
    assert np.array_equal(arrays["ids"][: len(made[0].words)], made[0].observation().ids)
    assert np.abs(arrays["lexical"][: len(made[0].words)] / 200 - made[0].observation().lexical).max() <= 0.0051


def test_labels_stand_on_every_token_of_their_clause() -> None:
    """A clause's mood and operation are repeated on its tokens; its start is marked once."""
    for one in samples_of(PLAN, "en"):
        labels = labels_of(one)
        assert int(labels["clause_starts"].sum()) == len(one.clauses)
        for clause in one.clauses:
            assert set(labels["moods"][clause.start : clause.end]) == {MOODS.index(clause.mood)}
            if clause.operation is not None:
                assert set(labels["operations"][clause.start : clause.end]) == {OPERATIONS.index(clause.operation)}


def test_shards_are_joined_in_order(tmp_path: Path) -> None:
    """Loading two shards is loading one after the other."""
    path = build_shard(PLAN, tmp_path / "a.npz")
    one, both = load_shards([path]), load_shards([path, path])

    assert all(len(both[name]) == 2 * len(one[name]) for name in one)
    assert np.array_equal(both["tags"], np.concatenate([one["tags"], one["tags"]]))


@pytest.mark.parametrize(("text", "has_row"), [("turn on the desk lamp", True), ("打开台灯", True), ("...", False)])
def test_a_human_sentence_is_a_row_with_unknown_labels(text: str, has_row: bool) -> None:
    """What nobody labelled is unknown, and a sentence without words is no row."""
    sentence = HumanSentence(
        text=text, language="en", mood="command", operation=None, property=None, weight=0.5, group="g", source="s", intent="i"
    )
    row = human_row(sentence, Stage(home=HOME), "den")

    assert (row is not None) == has_row
    if row is not None:
        observation, labels = row
        assert set(labels["moods"]) == {MOODS.index("command")}
        assert labels["weight"] == 0.5
        assert set(labels["operations"]) == {UNKNOWN}
        assert len(labels["tags"]) == len(observation.words)
