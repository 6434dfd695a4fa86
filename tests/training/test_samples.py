"""Labelled utterances: deterministic, consistent, and with sane right answers."""

from itertools import pairwise
from random import Random

import pytest

from voice_rl_plugin.domain.frame import MOODS, OPERATIONS, PROPERTIES, TAGS
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.understanding.features import MAX_TOKENS
from voice_rl_training.corpus.build import CorpusPlan, frames_for, samples_of
from voice_rl_training.corpus.phrasebook import Phrasebook, PhraseFrame
from voice_rl_training.corpus.samples import Clause, Sample, Stage, sample, tokens_of, true_frame

LANGUAGES = ("en", "zh")
HOME = Home.from_mapping(
    {
        "areas": [{"id": "den", "name": "Den"}, {"id": "hall", "name": "Hall"}],
        "entities": [
            {"id": "light.den", "name": "Beacon", "area": "den"},
            {"id": "light.hall", "name": "Torch", "area": "hall"},
        ],
    }
)
NO_EDGES = {"me": Phrasebook(frames=(), openers={}, tails={})}


def some(language: str, *, use: str = "encoder", noise: float = 0.0, homes: int = 20, seed: int = 1) -> list[Sample]:
    """Return a few hundred samples."""
    return list(samples_of(CorpusPlan(seed=seed, homes=homes, use=use, noise=noise, templates=False), language))


@pytest.fixture(scope="module")
def clean() -> dict[str, list[Sample]]:
    """Return samples without noise in both languages."""
    return {language: some(language) for language in LANGUAGES}


def said(text: str, mood: str, operation: str, prop: str = "power") -> PhraseFrame:
    """Return a frame that needs a light."""
    return PhraseFrame(text=text, mood=mood, operation=operation, property=prop, domains=("light",), language="en", voice="me")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_same_seed_gives_the_same_samples(language: str) -> None:
    """Words, tags, clauses and right answers depend on the seed alone."""

    def key(seed: int) -> list[object]:
        return [(s.words, s.tags, s.begins, s.clauses, s.golds, s.area) for s in some(language, noise=0.3, homes=4, seed=seed)]

    assert key(7) == key(7)
    assert key(7) != key(8)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_labels_fit_the_words(language: str, noise: float) -> None:
    """One tag a word, known labels, and clauses that cover the sentence without a gap; noise keeps all of it."""
    made = some(language, noise=noise, homes=12)

    assert len(made) > 150
    assert any(s.is_noised for s in made) == (noise > 0)
    for one in made:
        assert 0 < len(one.words) <= MAX_TOKENS
        assert len(one.words) == len(one.tags) == len(one.begins)
        assert set(one.tags) <= set(TAGS)
        assert len(one.golds) == len(one.clauses)
        assert (one.clauses[0].start, one.clauses[-1].end) == (0, len(one.words))
        assert all(a.end == b.start for a, b in pairwise(one.clauses))
        assert all(c.mood in MOODS and c.operation in {None, *OPERATIONS} and c.property in {None, *PROPERTIES} for c in one.clauses)
        assert all(c.start < c.end for c in one.clauses)


@pytest.mark.parametrize("language", LANGUAGES)
def test_right_answers_are_sane(clean: dict[str, list[Sample]], language: str) -> None:
    """To act names one candidate, to refuse none; what forbids, tells, plans or chats is never acted on."""
    outcomes = set()
    for one in clean[language]:
        for clause, gold in zip(one.clauses, one.golds, strict=True):
            outcomes.add(gold.outcome)
            if clause.mood not in ("command", "wish", "question"):
                assert gold.outcome == "reject"
            assert (len(gold.keys) == 1) if gold.outcome == "act" else (gold.outcome != "reject" or not gold.keys)

    assert outcomes == {"act", "clarify", "reject"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_most_plain_commands_can_be_carried_out(clean: dict[str, list[Sample]], language: str) -> None:
    """The resolver does what most commands say; it is not lost in the corpus's own homes."""
    golds = [g.outcome for s in clean[language] for c, g in zip(s.clauses, s.golds, strict=True) if c.mood == "command"]

    assert golds.count("act") / len(golds) > 0.5


@pytest.mark.parametrize("language", LANGUAGES)
def test_negatives_are_a_large_share(clean: dict[str, list[Sample]], language: str) -> None:
    """At least a third of the clauses must not act."""
    golds = [g.outcome for s in clean[language] for g in s.golds]

    assert 0.3 < golds.count("reject") / len(golds) < 0.75


@pytest.mark.parametrize("language", LANGUAGES)
def test_noise_turns_acting_only_into_asking(language: str) -> None:
    """Noise never makes a right answer braver than it was on the clean words."""
    for one in some(language, noise=1.0, homes=6):
        for clause, gold in zip(one.clauses, one.golds, strict=True):
            assert clause.mood in ("command", "wish", "question") or gold.outcome == "reject"


@pytest.mark.parametrize(
    ("frame", "outcome", "key"),
    [
        (said("turn on {target}", "command", "turn_on"), "act", "light.turn_on"),
        (said("do not turn on {target}", "prohibition", "turn_on"), "reject", None),
        (said("turn on {nodevice}", "command", "turn_on"), "reject", None),
        (said("is {target} on", "question", "query", "state"), "act", "query.state"),
    ],
)
def test_right_answers_by_hand(frame: PhraseFrame, outcome: str, key: str | None) -> None:
    """In a home of two lamps, turning one on acts, forbidding it and an unknown name refuse, a question is answered."""
    stage = Stage(home=HOME)
    for seed in range(30):
        made = sample(Random(seed), [frame], NO_EDGES, stage, noise=0.0, compound=0.0)
        assert made is not None
        (gold,) = made.golds
        if "all" in made.words or "every" in made.words or gold.outcome == "clarify":
            continue
        assert gold.outcome == outcome, made.words
        assert key is None or key in gold.keys[0]


def test_a_reason_belongs_to_its_command() -> None:
    """A command said with a reason is one clause with the same right answer, and no word of the reason is tagged."""
    books = {"reasons": Phrasebook(frames=(), openers={}, tails={}, reasons={"reason": ("zebras graze",)})}
    heard = [
        made
        for seed in range(30)
        if (
            made := sample(
                Random(seed), [said("turn on {name}", "command", "turn_on")], books, Stage(home=HOME), noise=0.0, compound=0.0, reasons=1.0
            )
        )
    ]

    assert len(heard) == 30
    for made in heard:
        assert "zebras" in made.words
        assert len(made.clauses) == 1
        assert made.tags[made.words.index("zebras")] == "O"
        assert made.golds[0].outcome == "act"
    assert {made.words[0] == "zebras" for made in heard} == {True, False}


def test_tokens_of_pieces_by_hand() -> None:
    """Each word has the tag of its piece, a span begins at the piece's first word, and punctuation stays outside."""
    words, tags, begins = tokens_of([("turn off the", "O"), ("Desk Lamp", "NAME"), (", ", "O"), ("red", "COLOR")])

    assert words == ("turn", "off", "the", "desk", "lamp", ",", "red")
    assert tags == ("O", "O", "O", "NAME", "NAME", "O", "COLOR")
    assert begins == (False, False, False, True, False, False, True)


def test_tokens_of_chinese_pieces_by_hand() -> None:
    """Chinese pieces are joined without spaces, and neighbouring spans of one tag stay two."""
    words, tags, begins = tokens_of([("打开", "O"), ("客厅", "AREA"), ("的", "O"), ("灯", "CLASS"), ("台灯", "CLASS")])

    assert "".join(words) == "打开客厅的灯台灯"
    assert tags[2:] == ("AREA", "AREA", "O", "CLASS", "CLASS", "CLASS")
    assert [i for i, begin in enumerate(begins) if begin] == [2, 5, 6]


def test_true_frame_by_hand() -> None:
    """A perfect network's frame has the marked spans of its own clause alone, and no doubt."""
    clause = Clause(start=2, end=5, mood="command", operation="turn_off", property="power")
    frame = true_frame(("NAME", "O", "O", "NAME", "COLOR"), (True, False, False, True, True), clause)

    assert [(s.tag, s.start, s.end) for s in frame.spans] == [("NAME", 3, 4), ("COLOR", 4, 5)]
    assert (frame.mood, frame.operation, frame.moods["command"]) == ("command", "turn_off", 1.0)


def test_an_empty_home_plays_nothing() -> None:
    """A frame that needs a device makes no sample where there is none."""
    assert sample(Random(1), [said("turn on {target}", "command", "turn_on")], NO_EDGES, Stage(home=Home())) is None


@pytest.mark.parametrize("language", LANGUAGES)
def test_uses_do_not_share_frames(language: str) -> None:
    """What teaches the encoder, the scorer, the calibration and the stranger are different frames."""
    uses = {
        use: {f.text for f in frames_for(language, use, templates=False)[0]} for use in ("encoder", "scorer", "calibration", "stranger")
    }

    assert all(uses.values())
    assert not uses["encoder"] & uses["scorer"]
    assert not uses["encoder"] & uses["calibration"]
    assert not uses["scorer"] & uses["calibration"]
    assert all(f.voice != "stranger" for f in frames_for(language, "encoder", templates=False)[0])
