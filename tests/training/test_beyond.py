"""What is asked for beyond the house, in the corpus: its names, its slots and its right answers."""

from pathlib import Path
from random import Random

import pytest

from voice_rl_plugin.deciding.cases import judge, parse_cases
from voice_rl_plugin.domain.action import parse_action
from voice_rl_plugin.domain.beyond import SERVICES
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.frame import TAGS
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_training.corpus.banks import load_beyond
from voice_rl_training.corpus.homes import random_home
from voice_rl_training.corpus.phrasebook import parse
from voice_rl_training.corpus.samples import Sample, Stage, sample
from voice_rl_training.corpus.speech import BEYOND_TAGS
from voice_rl_training.scorecard import BEYOND_SET, Measured, Score, read_sets, to_markdown

CASES = Path(__file__).parents[1] / "cases"
LEAST = {"contact": 250, "place": 150, "language": 35, "message": 200, "text": 120, "cuisine": 80}


def made(line: str, language: str = "en", *, seed: int = 1, split: str = "train") -> Sample:
    """Return a sample of one line of a phrasebook, without noise."""
    book = parse(line, language=language, voice="me", where="x")
    rng = Random(seed)
    one = sample(rng, book.frames, {"me": book}, Stage(home=random_home(rng, language)), split=split, noise=0, compound=0, reasons=0)
    assert one is not None
    return one


@pytest.mark.parametrize("language", ["en", "zh"])
def test_names_are_many_and_never_cross_the_split(language: str) -> None:
    """Each slot has its names; but for the commonest, a name of training is none of development."""
    train, dev, both = (load_beyond(language, split) for split in ("train", "dev", "all"))

    assert set(both) == set(BEYOND_TAGS)
    assert set(BEYOND_TAGS.values()) <= set(TAGS)
    for slot, least in LEAST.items():
        assert len({name for names in both[slot].values() for name in names}) >= least, slot
        common = set(both[slot].get("common", ()))
        ours, theirs = ({name for names in pools[slot].values() for name in names} - common for pools in (train, dev))
        assert ours.isdisjoint(theirs)
        assert theirs


@pytest.mark.parametrize(
    ("line", "language", "tags", "service"),
    [
        ("@ command handover call : -\nring {contact}", "en", {"CONTACT"}, "phone.call"),
        ("@ command handover message : -\n给{contact}发消息说{message}", "zh", {"CONTACT", "CONTENT"}, "phone.message"),
        ("@ command handover route : -\ngo to {place}", "en", {"PLACE"}, "navigation.route"),
        ("@ question handover navigation : -\n到{place}多远", "zh", {"PLACE"}, "navigation.query"),
        ("@ command handover translate : -\n{text} in {language}", "en", {"CONTENT", "LANGUAGE"}, "translate.text"),
        ("@ command handover restaurant : -\n{place}附近的{cuisine}", "zh", {"PLACE", "CONTENT"}, "search.restaurant"),
        ("@ question handover weather : -\nweather in {place}", "en", {"PLACE"}, "intent.HassGetWeather"),
    ],
)
@pytest.mark.parametrize("split", ["train", "dev"])
def test_slots_are_filled_and_tagged(line: str, language: str, tags: set[str], service: str, split: str) -> None:
    """The words of a slot carry its tag, and the right answer is its service; the weather is Home Assistant's in the corpus."""
    one = made(line, language, split=split)

    assert set(one.tags) - {"O"} == tags
    assert one.golds[0].outcome == "act"
    assert one.golds[0].keys[0].startswith(f'["{service}"')


def test_what_lacks_its_contact_is_to_be_asked_about() -> None:
    """The right answer to "give them a ring" is a question; to a prohibition it is a refusal."""
    assert made("@ command handover call : -\ngive them a ring").golds[0].outcome == "clarify"
    assert made("@ prohibition handover call : -\ndon't ring {contact}").golds[0].outcome == "reject"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_cases_are_many_and_refuse_enough(language: str) -> None:
    """At least sixty cases a language, two in five of them to be refused, and every service among the others."""
    (found,) = (one for one in read_sets(CASES, [BEYOND_SET]) if one.language == language)
    services = {action.service for case in found.cases for wanted in case.wanted for action in wanted}

    assert len(found.cases) >= 60
    assert 0.35 <= sum(case.outcome == "reject" for case in found.cases) / len(found.cases) <= 0.45
    assert set(SERVICES) <= services


def test_words_are_judged_without_case_and_punctuation() -> None:
    """A message may be written as people write it; another contact is a wrong action, and so is another message."""
    (set_,) = (one for one in read_sets(CASES, [BEYOND_SET]) if one.language == "en")
    (case,) = parse_cases([{"say": "x", "want": ["phone.message contact=Mum message=I'll be late at 5"]}], set_.home)

    def verdict(line: str) -> str:
        utterance = Utterance(text="x")
        return judge(case, Decision(id="d", utterance=utterance, language="en", outcome="act", actions=(parse_action(line),)))

    assert verdict("phone.message contact=mum message=ill be late at 5") == "right"
    assert verdict("phone.message contact=dad message=ill be late at 5") == "wrong_action"
    assert verdict("phone.message contact=mum") == "wrong_action"


def test_the_scorecard_has_a_section_of_its_own() -> None:
    """The cases beyond the house stand in their own section, and not in the summary of the home."""
    (found,) = (one for one in read_sets(CASES, [BEYOND_SET]) if one.language == "en")

    def score(set_name: str, verdict: str) -> Score:
        case = found.cases[0]
        decision = Decision(id="d", utterance=Utterance(text=case.say), language="en", outcome="act", actions=case.wanted[0])
        return Score(system="voice_rl", language="en", set_name=set_name, case=case, decision=decision, verdict=verdict, latency_ms=1.0)

    scores = (score("house", "right"), score(BEYOND_SET, "right"), score(BEYOND_SET, "refused"))
    page = to_markdown(Measured(names=("house", BEYOND_SET), model="m", scores=scores), command="c", date="d", picture=None)
    home, _, beyond = page.partition("## Beyond the house")

    assert "| English | voice_rl | 1 | 100.0 % |" in home
    assert "| English | voice_rl | 2 | 50.0 % |" in beyond
